# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""`headgas render` of a shot: its pictures, its film, a turn around the head, and what it refuses."""

import io
import json
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from headgas import cli
from headgas.avatars import load_avatar, save_avatar
from headgas.avatars.framing import face_camera, orbit
from headgas.avatars.rendering import PlacedAvatar, render_frame
from headgas.commands_rendering import _bytes, _straight
from headgas.splatting import Camera
from tests.headgas.conftest import SIZE, intrinsics, look_at, small_avatar

Capture = pytest.CaptureFixture[str]
_FRAMES = (8, 9)


@pytest.fixture(scope="module")
def shot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An avatar, a take of it that moves, and a camera that does."""
    folder = tmp_path_factory.mktemp("shot")
    save_avatar(folder / "avatar.safetensors", small_avatar(), "headgas", {})
    moved = np.eye(4)
    moved[0, 3] = 0.02
    values = {8: [0.0, 0.0, 0.0], 9: [1.0, 0.5, 0.2]}
    frames = [{"frame": n, "values": values[n], "transform": moved.tolist()} for n in _FRAMES]
    names = ["jawOpen", "eyeBlinkLeft", "browInnerUp"]
    take = {"format": "headgas-take", "version": 1, "fps": 25, "names": names, "frames": frames}
    seen = [
        {"frame": n, "width": SIZE, "height": SIZE, "viewmat": look_at(0.1 * n).tolist(), "K": intrinsics().tolist()}
        for n in _FRAMES
    ]
    cameras = {"format": "headgas-cameras", "version": 1, "fps": 25, "frames": seen}
    for name, data in (("take", take), ("cameras", cameras)):
        (folder / f"{name}.json").write_text(json.dumps(data), encoding="utf-8")
    return folder


def _command(shot: Path, out: Path, *options: str) -> list[str]:
    return ["render", str(shot / "avatar.safetensors"), "--out", str(out), *options]


def _shot(shot: Path) -> list[str]:
    return ["--take", str(shot / "take.json"), "--cameras", str(shot / "cameras.json")]


def _expected(shot: Path, number: int) -> np.ndarray:
    """[H,W,4] uint8 sRGB with straight alpha, of one frame."""
    entry = json.loads((shot / "take.json").read_text())["frames"][_FRAMES.index(number)]
    viewmat, K = (torch.tensor(matrix, dtype=torch.float32) for matrix in (look_at(0.1 * number), intrinsics()))
    avatar = load_avatar(shot / "avatar.safetensors").avatar
    placed = PlacedAvatar(avatar, torch.tensor(entry["values"]), torch.tensor(entry["transform"]))
    return _bytes(_straight(render_frame([placed], Camera(viewmat, K, SIZE, SIZE))[0]))


def test_pictures_of_a_shot(shot: Path, capsys: Capture, tmp_path: Path) -> None:
    assert cli.main(_command(shot, tmp_path / "new" / "out", *_shot(shot))) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "new" / "out")
    images = {path.name: np.asarray(Image.open(path)) for path in (tmp_path / "new" / "out").iterdir()}
    assert sorted(images) == ["0008.png", "0009.png"]
    for number in _FRAMES:
        assert (images[f"{number:04d}.png"] == _expected(shot, number)).all()
    assert np.abs(images["0008.png"].astype(int) - images["0009.png"]).max() > 50


def test_a_shot_s_far_plane(shot: Path, tmp_path: Path) -> None:
    cameras = json.loads((shot / "cameras.json").read_text())
    cameras["frames"][1] |= {"near": 0.01, "far": 0.02}
    (tmp_path / "cameras.json").write_text(json.dumps(cameras))
    files = ["--take", str(shot / "take.json"), "--cameras", str(tmp_path / "cameras.json")]
    assert cli.main(_command(shot, tmp_path / "out", *files)) == 0
    images = [np.asarray(Image.open(tmp_path / "out" / f"{number:04d}.png")) for number in _FRAMES]
    assert (images[0] == _expected(shot, 8)).all() and not images[1].any()


def test_a_film_of_a_shot(shot: Path, tmp_path: Path) -> None:
    out = tmp_path / "film.avi"
    assert cli.main(_command(shot, out, *_shot(shot))) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["film.avi"]
    pictures, microseconds = _read_film(out)
    assert microseconds == 40_000 and len(pictures) == len(_FRAMES)
    for number, picture in zip(_FRAMES, pictures, strict=True):
        straight = _expected(shot, number) / 255
        white = straight[..., :3] * straight[..., 3:] + 1 - straight[..., 3:]
        assert np.abs(picture / 255 - white).mean() < 0.02


def _read_film(path: Path) -> tuple[list[np.ndarray], int]:
    """The pictures of an AVI file, found by its index, and microseconds from one to the next."""
    data = path.read_bytes()
    size, kind = struct.unpack_from("<I4s", data, 4)
    assert data[:4] == b"RIFF" and kind == b"AVI " and size == len(data) - 8
    headers = struct.unpack_from("<I", data, 16)[0]
    assert data[12:16] == b"LIST" and data[20:28] == b"hdrlavih"
    main = struct.unpack_from("<14I", data, 32)
    assert main[4] == 2 and main[6] == 1 and main[8:10] == (SIZE, SIZE)
    assert struct.unpack_from("<4s4s", data, 108) == (b"vids", b"MJPG")
    scale, rate = struct.unpack_from("<II", data, 108 + 20)
    assert rate / scale == 25
    movie = 20 + headers
    assert data[movie : movie + 4] == b"LIST" and data[movie + 8 : movie + 12] == b"movi"
    index = movie + 8 + struct.unpack_from("<I", data, movie + 4)[0]
    assert data[index : index + 4] == b"idx1"
    pictures = []
    for start in range(index + 8, index + 8 + struct.unpack_from("<I", data, index + 4)[0], 16):
        name, _, offset, length = struct.unpack_from("<4sIII", data, start)
        place = movie + 8 + offset
        assert data[place : place + 4] == name == b"00dc" and struct.unpack_from("<I", data, place + 4)[0] == length
        pictures.append(np.asarray(Image.open(io.BytesIO(data[place + 8 : place + 8 + length])), np.float32))
    assert start + 16 == len(data)
    return pictures, main[0]


def test_a_turn_around_the_head(shot: Path, tmp_path: Path) -> None:
    options = ["--take", str(shot / "take.json"), "--orbit", "90", "--size", "40x24"]
    assert cli.main(_command(shot, tmp_path / "turn", *options)) == 0
    images = [Image.open(path) for path in sorted((tmp_path / "turn").iterdir())]
    assert [image.size for image in images] == [(40, 24)] * 2
    assert all(np.asarray(image)[..., 3].max() > 200 for image in images)


def test_cameras_of_a_turn(shot: Path) -> None:
    avatar = load_avatar(shot / "avatar.safetensors").avatar
    around, swing = orbit(avatar, 4, 360.0, 32, 48), orbit(avatar, 4, 60.0, 32, 48)
    front = face_camera(avatar, 32)
    assert torch.allclose(around[0].viewmat, front.viewmat) and around[0].K[1, 2] == 24
    for place, yaw in ((1, 90.0), (2, 180.0)):
        assert torch.allclose(around[place].viewmat, face_camera(avatar, 32, yaw).viewmat, atol=1e-5)
    for place, yaw in enumerate((0.0, 30.0, 0.0, -30.0)):
        assert torch.allclose(swing[place].viewmat, face_camera(avatar, 32, yaw).viewmat, atol=1e-5)


REFUSED = {
    "nothing": ([], "What is to be rendered?"),
    "a take alone": (["--take", "{}/take.json"], "seen by no camera"),
    "two cameras": (["--cameras", "{}/cameras.json", "--orbit"], "--cameras and --orbit exclude"),
    "two sources": (["--capture", "{}", "--orbit"], "--capture and --orbit exclude"),
    "no frame": (["--capture", "{}"], "Which frame"),
    "an empty turn": (["--orbit", "0"], "no degrees"),
    "no size": (["--orbit", "--size", "0x8"], "no size"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_rendered(shot: Path, capsys: Capture, tmp_path: Path, name: str) -> None:
    options, message = REFUSED[name]
    command = _command(shot, tmp_path / "out", *(option.format(shot) for option in options))
    try:
        status = cli.main(command)
    except SystemExit as end:
        status = end.code
    assert status == 2 and message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_film_of_another_kind(shot: Path, capsys: Capture, tmp_path: Path) -> None:
    assert cli.main(_command(shot, tmp_path / "film.mp4", "--orbit")) == 2
    assert "a film, FILE.avi" in capsys.readouterr().err and not list(tmp_path.iterdir())
