# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Damaged and malicious datasets: the message names the file and the field, and nothing of a file is run."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from headgas.captures import check_capture, load_capture, load_for_training
from headgas.errors import HeadGaSError
from tests.headgas.captures.layouts import datasets
from tests.headgas.captures.layouts.head import shots
from tests.headgas.captures.layouts.moving_flame import flame_file, moments, write_gaussian_avatars, write_imavatar

REST = np.eye(3)
Write = Callable[[Path], Path]


class Malice:
    """Unpickled in full, it would leave a file behind."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self._path),)


def refused(folder: Path, *words: str, flame: Path | None = None) -> None:
    with pytest.raises(HeadGaSError) as caught:
        load_capture(folder, flame)
    for word in words:
        assert word in str(caught.value)


def write_metrical(folder: Path) -> Path:
    return datasets.write_metrical(folder, shots(3), REST, [REST, REST])


@pytest.mark.parametrize("name", ["track_params.pt", "checkpoint/00001.frame"])
def test_malicious_pickles_are_refused_and_not_run(tmp_path: Path, name: str) -> None:
    write: Write = write_metrical if name.endswith("frame") else lambda f: datasets.write_ad_nerf(f, shots(4))
    folder = write(tmp_path / "id")
    torch.save({"exp": Malice(tmp_path / "ran")}, folder / name)
    refused(folder, name, "refused", "mkdir")
    assert not (tmp_path / "ran").exists()


def change_frame(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    path = folder / "checkpoint/00001.frame"
    data = torch.load(path, weights_only=False)
    change(data)
    torch.save(data, path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d.pop("flame"), ["flame.jaw", "missing"]),
        (lambda d: d["flame"].pop("eyes"), ["flame.eyes", "missing", "1×12"]),
        (lambda d: d["flame"].update(exp=np.zeros((1, 50))), ["61 numbers", "111"]),
        (lambda d: d["flame"].update(jaw=np.zeros((1, 6))), ["no rotation"]),
        (lambda d: d["flame"].update(eyelids=[[0.0, [1.0]]]), ["flame.eyelids"]),
        (lambda d: d["opencv"]["t"].fill(np.nan), ["opencv.t", "finite"]),
        (lambda d: d["opencv"].update(R=np.ones((1, 3, 3))), ["opencv.R", "no rotation"]),
        (lambda d: d["opencv"].update(K=-np.ones((1, 3, 3))), ["opencv.K", "-1"]),
        (lambda d: d.update(img_size="large"), ["img_size"]),
    ],
)
def test_wrong_fields_of_tracked_frames_are_named(
    tmp_path: Path, change: Callable[[dict[str, Any]], None], words: list[str]
) -> None:
    folder = write_metrical(tmp_path)
    change_frame(folder, change)
    refused(folder, "00001.frame", *words)


def test_tracked_tensors_are_read_as_arrays_are(tmp_path: Path) -> None:
    folder = write_metrical(tmp_path)
    before = load_capture(folder).frames[1].expression
    change_frame(folder, lambda d: d["flame"].update(exp=torch.from_numpy(d["flame"]["exp"]).requires_grad_()))
    np.testing.assert_array_equal(load_capture(folder).frames[1].expression, before)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x80\x02garbage", b"no pickle"])
def test_damaged_tracked_frames_are_named(tmp_path: Path, content: bytes) -> None:
    folder = write_metrical(tmp_path)
    (folder / "checkpoint/00001.frame").write_bytes(content)
    refused(folder, "00001.frame", "damaged")


def edit_json(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    data = json.loads(path.read_text(encoding="utf-8"))
    change(data)
    path.write_text(json.dumps(data), encoding="utf-8")


TRAIN, ALL, FLAME = "transforms_train.json", "transforms.json", "flame_params.json"
WRITERS: dict[str, Write] = {
    "insta": lambda f: datasets.write_insta(f, shots(5)),
    "blendshape": lambda f: datasets.write_nerf_blendshape(f, shots(4)),
    "ad_nerf": lambda f: datasets.write_ad_nerf(f, shots(4)),
    "nerface": lambda f: datasets.write_nerface(f, shots(5), 1.0, mirrored=True),
    "imavatar": lambda f: write_imavatar(f, *moments(3)),
    "vhap": lambda f: write_gaussian_avatars(f, *moments(4)),
}


@pytest.mark.parametrize(
    ("layout", "file", "change", "words"),
    [
        ("insta", TRAIN, lambda d: d["frames"][1].pop("transform_matrix"), ["frame 1", "'transform_matrix'"]),
        ("insta", TRAIN, lambda d: (d.pop("fl_x"), d.pop("camera_angle_x")), ["'camera_angle_x'", "missing"]),
        ("insta", TRAIN, lambda d: d["frames"][1].update(exp_path="../x.txt"), ["frame 1", "'exp_path'", "inside"]),
        ("insta", TRAIN, lambda d: d["frames"][1].update(exp_path="gone.txt"), ["gone.txt", "frame 1"]),
        ("insta", TRAIN, lambda d: d["frames"].append(d["frames"][0]), ["00000", "twice"]),
        ("blendshape", ALL, lambda d: d["frames"][1].update(exp_ori=[1.0]), ["frame 1", "'exp_ori'", "4 finite"]),
        ("blendshape", ALL, lambda d: d["frames"][1].update(img_id=1.5), ["frame 1", "'img_id'", "whole"]),
        ("blendshape", ALL, lambda d: d.update(fx=-3), ["focal"]),
        ("ad_nerf", TRAIN, lambda d: d["frames"].pop(), ["track_params.pt", "'exp'", "3 frames"]),
        ("ad_nerf", TRAIN, lambda d: d["frames"][1].update(transform_matrix=np.ones((4, 4)).tolist()), ["rotation"]),
        ("nerface", TRAIN, lambda d: d["frames"][1].update(expression=None), ["frame 1", "'expression'"]),
        ("nerface", TRAIN, lambda d: d.update(intrinsics=[1, 2]), ["'intrinsics'", "4 finite"]),
        ("imavatar", FLAME, lambda d: d["frames"][1].update(world_mat=[[1, 2]]), ["frame 1", "'world_mat'", "3×4"]),
        ("imavatar", FLAME, lambda d: d["frames"][1].update(pose=[0.0] * 6), ["frame 1", "'pose'", "15"]),
        ("imavatar", FLAME, lambda d: d["frames"][1].update(flame_keypoints=[[0, 0]]), ["'flame_keypoints'", "68"]),
        ("imavatar", FLAME, lambda d: d.update(shape_params="round"), ["'shape_params'"]),
        ("imavatar", FLAME, lambda d: d["frames"][0].update(expression=5), ["frame 0", "'expression'", "list"]),
        ("blendshape", ALL, lambda d: d["frames"][3].update(exp_ori=5), ["frame 3", "'exp_ori'", "list"]),
        ("vhap", TRAIN, lambda d: d["frames"][1].update(flame_param_path="../../x.npz"), ["'flame_param_path'"]),
        ("vhap", TRAIN, lambda d: d["frames"][1].update(flame_param_path="gone.npz"), ["gone.npz"]),
    ],
)
def test_wrong_fields_are_named(
    tmp_path: Path, layout: str, file: str, change: Callable[[dict[str, Any]], None], words: list[str]
) -> None:
    folder = WRITERS[layout](tmp_path / "id")
    edit_json(folder / file, change)
    refused(folder, file if words[0].startswith("frame") else "", *words, flame=flame_file(tmp_path / "flame"))


@pytest.mark.parametrize("content", ["", "one", "1.0\nnan"])
def test_a_wrong_expression_file_of_insta_is_named(tmp_path: Path, content: str) -> None:
    folder = WRITERS["insta"](tmp_path)
    (folder / "flame/exp/00001.txt").write_text(content, encoding="ascii")
    refused(folder, "00001.txt", "numbers")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda a: a.pop("rotation"), ["'rotation'"]),
        (lambda a: a.update(translation=np.zeros(4)), ["'translation'", "4 numbers"]),
        (lambda a: a.update(expr=np.zeros((1, 9))), ["parameters of FLAME"]),
        (lambda a: a.update(static_offset=np.zeros((1, 3, 3))), ["3", "9"]),
        (lambda a: a.update(neck_pose=np.full((1, 3), np.inf)), ["'neck_pose'", "finite"]),
    ],
)
def test_wrong_parameters_of_a_moment_are_named(
    tmp_path: Path, change: Callable[[dict[str, Any]], None], words: list[str]
) -> None:
    folder = WRITERS["vhap"](tmp_path / "id")
    path = folder / "flame_param/00001.npz"
    with np.load(path) as archive:
        arrays = dict(archive)
    change(arrays)
    np.savez(path, **arrays)
    refused(folder, "00001.npz", *words, flame=flame_file(tmp_path / "flame"))


def test_missing_parts_are_named(tmp_path: Path) -> None:
    folder = WRITERS["ad_nerf"](tmp_path / "a")
    (folder / "track_params.pt").unlink()
    refused(folder, "track_params.pt", "expressions")
    folder = datasets.write_flash_avatar(tmp_path, shots(3), REST, [REST, REST])
    (tmp_path / "metrical-tracker").rename(tmp_path / "elsewhere")
    refused(folder, ".frame", "checkpoint")
    folder = WRITERS["nerface"](tmp_path / "n")
    for picture in folder.glob("*/f_*.png"):
        picture.unlink()
    refused(folder, "f_0000.png", "size")
    for part in ("train", "test", "val"):
        edit_json(folder / f"transforms_{part}.json", lambda d: d.update(frames=[]))
    refused(folder, "frames")


def damage_insta(folder: Path) -> list[list[str]]:
    """Three things wrong with frame 0, which the others must not be judged by, and two with frame 1."""
    (folder / "flame/exp/00000.txt").write_text("1.0", encoding="ascii")
    (folder / "images/00000.png").unlink()
    (folder / "images/00001.png").write_bytes(b"")

    def change(data: dict[str, Any]) -> None:
        data["frames"][0]["transform_matrix"] = np.zeros((4, 4)).tolist()
        data["frames"][1].update(w=-1)

    edit_json(folder / TRAIN, change)
    return [
        ["frame 0", "'transform_matrix'"], ["00000.txt", "1 numbers", "frame 0"], ["00000.png", "cannot be read"],
        ["frame 1", "'w'"], ["00001.png", "cannot be read"],
    ]  # fmt: skip


def damage_blendshape(folder: Path) -> list[list[str]]:
    (folder / "ori_imgs/1.jpg").write_bytes(b"\xff\xd8")
    (folder / "parsing/1.png").unlink()

    def change(data: dict[str, Any]) -> None:  # the last frame is number 0
        data["frames"][3].update(img_id="first", exp_ori=[1.0], transform_matrix=None)
        data["frames"][2].update(exp_ori=[1e300, 0.0, 0.0, 0.0])

    edit_json(folder / ALL, change)
    return [
        ["frame 3", "'img_id'"], ["frame 3", "'exp_ori'"], ["frame 3", "'transform_matrix'"],
        ["frame 2", "'exp_ori'", "from -1e+09 to 1e+09"], ["1.jpg", "cannot be read"],
    ]  # fmt: skip


def damage_nerface(folder: Path) -> list[list[str]]:
    (folder / "train/f_0000.png").unlink()

    def change(data: dict[str, Any]) -> None:
        data["frames"][0].update(expression=[])
        data["frames"][1] = 7

    edit_json(folder / TRAIN, change)
    return [["frame 0", "'expression'"], ["f_0000.png", "cannot be read"], ["frame 1", "object"]]


def damage_imavatar(folder: Path) -> list[list[str]]:
    def change(data: dict[str, Any]) -> None:
        data["frames"][0].update(expression=[0.5], pose="bent", world_mat=[[0.0] * 4] * 3)

    edit_json(folder / FLAME, change)
    return [["frame 0", f"'{field}'"] for field in ("expression", "pose", "world_mat")]


def damage_vhap(folder: Path) -> list[list[str]]:
    (folder / "flame_param/00000.npz").write_bytes(b"PK")
    edit_json(folder / TRAIN, lambda d: d["frames"][0].update(transform_matrix=[], fl_x=0))
    return [["frame 0", "'transform_matrix'"], ["00000.npz"], ["frame 0", "'fl_x'"]]


DAMAGE = {"insta": damage_insta, "blendshape": damage_blendshape, "nerface": damage_nerface}
DAMAGE |= {"imavatar": damage_imavatar, "vhap": damage_vhap}


@pytest.mark.parametrize("layout", DAMAGE)
def test_all_that_is_wrong_is_listed_and_sound_frames_are_used(
    tmp_path: Path, layout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first frame is damaged, too: what frames have in common is learnt from the others."""
    monkeypatch.setenv("HEADGAS_FLAME", str(flame_file(tmp_path / "flame")))
    folder = WRITERS[layout](tmp_path / "id")
    before = len(load_capture(folder).frames)
    expected = DAMAGE[layout](folder)
    checked = check_capture(folder)
    for words in expected:
        found = [problem for problem in checked.problems if all(word in problem for word in words)]
        assert len(found) == 1, (words, checked.problems)
    left = len(load_for_training(folder, skip_damaged=True).frames)
    assert before - 3 <= left < before and left >= 1


def test_all_wrong_fields_of_a_tracked_frame_are_listed(tmp_path: Path) -> None:
    folder = write_metrical(tmp_path)
    change_frame(folder, lambda d: (d["flame"].pop("exp"), d["opencv"]["K"].fill(0), d.update(img_size=None)))
    problems = check_capture(folder).problems
    assert [[word for word in ("flame.exp", "opencv.K", "img_size") if word in one] for one in problems] == [
        ["flame.exp"], ["opencv.K"], ["img_size"]
    ]  # fmt: skip
    assert all("00001.frame" in problem for problem in problems)


def test_missing_and_wrong_images_are_listed_by_the_check(tmp_path: Path) -> None:
    folder = datasets.write_gaussian_head(tmp_path, shots(5))
    (folder / "ori_imgs/1.jpg").unlink()
    (folder / "mask/3.png").unlink()
    (folder / "mask/4.png").write_bytes(b"\x89PNG broken")
    (folder / "mask/5.png").write_bytes((folder / "mask/1.png").read_bytes()[:60])
    problems = check_capture(folder).problems
    assert len(problems) == 4
    for word, problem in zip(("1.jpg", "3.png", "4.png", "5.png"), problems, strict=True):
        assert word in problem and "cannot be read" in problem
