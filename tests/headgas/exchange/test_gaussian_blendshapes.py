# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The viewer's folder of 3D Gaussian Blendshapes: arrays written byte by byte, driven as the published code does it."""

import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from headgas.avatars.spherical_harmonics import sh_to_color
from headgas.errors import HeadGaSError
from headgas.exchange import ReadingOptions, beside, read_avatar
from headgas.splatting.rotations import products
from tests.headgas.avatars.test_flame import Y_UP, posed
from tests.headgas.avatars.test_headgas import camera
from tests.headgas.exchange.flame_files import flame_fields, write_flame

COUNT, TEETH, EXPRESSIONS = 6, 4, 5
FACE = {
    "pos": (COUNT, 3), "shs": (COUNT, 4, 3), "scale": (COUNT, 3), "rot": (COUNT, 4), "opacity": (COUNT, 1),
    "xyz_t": (COUNT, 3, EXPRESSIONS), "shs_t": (COUNT, 4, 3, EXPRESSIONS), "scale_t": (COUNT, 3, EXPRESSIONS),
    "rot_t": (COUNT, 4, EXPRESSIONS), "opacity_t": (COUNT, 1, EXPRESSIONS), "pos_t": (36, COUNT, 3), "W": (COUNT, 5),
    "eyelid": (COUNT, 3, 2),
}  # fmt: skip


def write_npy(path: Path, array: np.ndarray) -> None:
    """Byte by byte: version 1.0 of the format, float32, C order (numpy.lib.format)."""
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {array.shape}, }}".encode()
    header += b" " * (-(10 + len(header) + 1) % 64) + b"\n"
    values = struct.pack(f"<{array.size}f", *array.ravel().tolist())
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + values)


def write_dump(folder: Path, teeth: bool = True) -> dict[str, dict[str, np.ndarray]]:
    random = np.random.default_rng(4)
    parts = {"fix_chkpnt500": FACE}
    if teeth:
        parts |= {f"mouth{i}_chkpnt500": {name: (TEETH, *FACE[name][1:]) for name in list(FACE)[:5]} for i in (0, 1)}
    written: dict[str, dict[str, np.ndarray]] = {}
    for name, shapes in parts.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        written[name] = {key: random.normal(size=shape).astype(np.float32) for key, shape in shapes.items()}
        if "W" in shapes:
            written[name]["W"] = np.abs(written[name]["W"])
            written[name]["W"] /= written[name]["W"].sum(1, keepdims=True)
            for key in ("xyz_t", "pos_t", "eyelid"):
                written[name][key] *= 0.05
        for key, array in written[name].items():
            write_npy(folder / name / f"{key}.npy", array)
    return written


@pytest.fixture
def no_flame(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HEADGAS_FLAME", raising=False)


@pytest.mark.usefixtures("no_flame")
def test_expressions_and_eyelids_move_without_flame(tmp_path: Path) -> None:
    written = write_dump(tmp_path, teeth=False)["fix_chkpnt500"]
    imported = read_avatar(tmp_path)
    avatar, names = imported.avatar, imported.avatar.expression_space.names
    assert names == (*(f"expr_{i:03d}" for i in range(EXPRESSIONS)), "eyelid_left", "eyelid_right")
    said = " ".join(imported.warnings)
    assert "jaw and eyes do not move" in said and "flame.is.tue.mpg.de" in said and "teeth are missing" in said
    e = np.array([0.5, -0.2, 0, 0.3, 1.0, 0.7, 0.4])
    found = avatar.splats(torch.tensor(e).float())
    moved = written["pos"] + written["xyz_t"] @ e[:5] + written["eyelid"] @ e[5:]
    assert np.allclose(found.means, moved @ Y_UP.T, atol=1e-5)
    for name, values in (("scale", found.log_scales), ("opacity", found.logits[:, None])):
        assert np.allclose(values, written[name] + written[f"{name}_t"] @ e[:5], atol=0.02), name
    assert np.allclose(found.harmonics[:, 0], written["shs"][:, 0] + written["shs_t"][:, 0] @ e[:5], atol=0.02)
    half = torch.tensor([[0.5**0.5, 0.5**0.5, 0, 0]])  # about x by 90°
    q = torch.tensor(written["rot"] + written["rot_t"] @ e[:5]).float()
    product = products(half.expand(COUNT, 4), q)
    cosine = torch.nn.functional.cosine_similarity(found.quaternions, product)
    assert (cosine.abs() > 0.999).all()


@pytest.mark.usefixtures("no_flame")
def test_colours_stay_where_they_look_at(tmp_path: Path) -> None:
    """Harmonics of degree 1 seen from above in the file are seen from above in head space."""
    written = write_dump(tmp_path, teeth=False)["fix_chkpnt500"]
    found = read_avatar(tmp_path).avatar.splats(torch.zeros(7))
    direction = np.array([[0.0, 0.6, 0.8]], np.float32)
    before = sh_to_color(torch.from_numpy(written["shs"]), torch.from_numpy(direction).expand(COUNT, 3))
    after = sh_to_color(found.harmonics, torch.from_numpy(direction @ Y_UP.T.astype(np.float32)).expand(COUNT, 3))
    assert torch.allclose(before, after, atol=1e-4)


def test_jaw_and_eyes_move_with_the_users_flame(tmp_path: Path) -> None:
    """The face is skinned with its own weights about FLAME's joints, which the expressions move, too."""
    written = write_dump(tmp_path / "dump")
    flame, fields = write_flame(tmp_path), flame_fields()
    imported = read_avatar(tmp_path / "dump", ReadingOptions(flame=flame))
    avatar = imported.avatar
    assert avatar.expression_space.names[-9:-6] == ("jaw_x", "jaw_y", "jaw_z") and avatar.count == COUNT + 2 * TEETH
    assert len(imported.warnings) == 1 and "--shape" in imported.warnings[0]
    e = np.array([0.5, -0.2, 0, 0.3, 1.0, 0.7, 0.4, 0.3, 0.1, -0.2, 0.2, 0, 0.1, 0.1, 0.3, 0])
    pose = np.concatenate([np.zeros(6), e[7:]]).reshape(5, 3)
    face = written["fix_chkpnt500"]
    shaped = face["pos"] + face["eyelid"] @ e[5:7] + face["xyz_t"] @ e[:5]
    betas = np.zeros(400)
    betas[300:305] = e[:5]
    joints = fields["J_regressor"] @ (fields["v_template"] + fields["shapedirs"] @ betas)
    twin = {  # a FLAME whose points are the face and whose joints are given
        "v_template": np.concatenate([shaped, joints]), "shapedirs": np.zeros((COUNT + 5, 3, 400)),
        "posedirs": np.concatenate([face["pos_t"].transpose(1, 2, 0), np.zeros((5, 3, 36))]),
        "J_regressor": np.concatenate([np.zeros((5, COUNT)), np.eye(5)], 1),
        "weights": np.concatenate([face["W"], np.eye(5)]),
    }  # fmt: skip
    found = avatar.gaussians(torch.tensor(e).float(), camera()).means
    assert np.allclose(found[:COUNT], posed(twin, np.zeros(400), pose)[:COUNT] @ Y_UP.T, atol=1e-5)
    upper = written["mouth0_chkpnt500"]["pos"] @ Y_UP.T
    assert np.allclose(found[COUNT : COUNT + TEETH], upper, atol=1e-6)
    lower = written["mouth1_chkpnt500"]["pos"] @ Y_UP.T
    assert not np.allclose(found[COUNT + TEETH :], lower, atol=1e-2)


@pytest.mark.usefixtures("no_flame")
def test_broken_folders_are_named(tmp_path: Path) -> None:
    face = tmp_path / "fix_chkpnt500"
    for name, change, word in (
        ("rot_t", None, r"rot_t\.npy.*cannot be read"),
        ("W", np.zeros((COUNT, 4), np.float32), r"W\.npy.*expected floats 6×5"),
        ("shs", np.zeros((COUNT, 5, 3), np.float32), "harmonics"),
        ("xyz_t", np.full((COUNT, 3, EXPRESSIONS), np.nan, np.float32), "xyz_t.*not finite"),
        ("pos", np.full((COUNT, 3), np.nan, np.float32), "position"),
    ):
        write_dump(tmp_path, teeth=False)
        (face / f"{name}.npy").unlink() if change is None else write_npy(face / f"{name}.npy", change)
        with pytest.raises(HeadGaSError, match=word):
            read_avatar(tmp_path)
    write_dump(tmp_path, teeth=False)
    path = face / "shs_t.npy"
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(HeadGaSError, match=r"shs_t\.npy: is damaged"):
        read_avatar(tmp_path)


@pytest.mark.usefixtures("no_flame")
@pytest.mark.parametrize("part", ["fix_chkpnt500/W.npy", "mouth1_chkpnt500/pos.npy"])
def test_any_array_stands_for_the_folder(tmp_path: Path, part: str) -> None:
    write_dump(tmp_path / "dump")
    assert beside(tmp_path / "dump" / part) == tmp_path / "dump.headgas.safetensors"
    assert read_avatar(tmp_path / "dump" / part).avatar.count == COUNT + 2 * TEETH


@pytest.mark.usefixtures("no_flame")
def test_an_array_that_is_missing_is_named_whichever_was_chosen(tmp_path: Path) -> None:
    write_dump(tmp_path)
    (tmp_path / "fix_chkpnt500/xyz_t.npy").unlink()
    for path in (tmp_path, tmp_path / "fix_chkpnt500", tmp_path / "fix_chkpnt500/pos.npy"):
        with pytest.raises(HeadGaSError, match=r"xyz_t\.npy: cannot be read"):
            read_avatar(path)


def test_an_array_on_its_own_is_no_avatar(tmp_path: Path) -> None:
    write_npy(tmp_path / "pos.npy", np.zeros((3, 3), np.float32))
    with pytest.raises(HeadGaSError, match="not a .npy file of the kind"):
        read_avatar(tmp_path / "pos.npy")
