# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes of FLAME parameters: VHAP's one file, GaussianAvatars' file a frame, and everything that can be wrong."""

import zipfile

import numpy as np
import pytest

from blender_headgas.core.errors import HeadGaSError
from blender_headgas.core.rotations import to_matrices
from blender_headgas.core.takes import read_take


def _arrays(frames, **changes):
    random = np.random.default_rng(3)
    widths = {"expr": 100, "neck_pose": 3, "jaw_pose": 3, "eyes_pose": 6, "rotation": 3, "translation": 3}
    arrays = {name: random.normal(size=(frames, width)).astype(np.float32) / 4 for name, width in widths.items()}
    arrays |= {"shape": np.zeros(300, np.float32), "static_offset": np.zeros((1, 5143, 3), np.float32)}
    return {name: array for name, array in (arrays | changes).items() if array is not None}


def test_one_file_of_vhap(tmp_path):
    arrays = _arrays(5, rotation=np.tile(np.float32([0, 0.5, 0]), (5, 1)))
    np.savez(tmp_path / "tracked_flame_params_30.npz", **arrays)
    take = read_take(tmp_path / "tracked_flame_params_30.npz", frame_rate=25)
    assert take.times == pytest.approx(np.arange(5) / 25) and len(take.names) == 112
    assert take.names[:2] == ("expr_000", "expr_001")
    assert take.names[100:] == tuple(f"{j}_{a}" for j in ("neck", "jaw", "left_eye", "right_eye") for a in "xyz")
    expected = np.concatenate([arrays[name] for name in ("expr", "neck_pose", "jaw_pose", "eyes_pose")], 1)
    assert np.array_equal(take.values, expected)
    assert np.allclose(to_matrices(take.rotations) @ [0, -1, 0], [np.sin(0.5), -np.cos(0.5), 0], atol=1e-6)
    x, y, z = (arrays["translation"] - arrays["translation"][0]).T
    assert np.allclose(take.positions, np.stack([x, -z, y], 1))


def test_a_file_for_each_frame(tmp_path):
    folder = tmp_path / "flame_param"
    folder.mkdir()
    arrays = _arrays(4)
    for row, number in enumerate((2, 3, 5, 10)):  # some are missing; text would sort 10 before 2
        one = {name: array[row : row + 1] if len(array) == 4 else array for name, array in arrays.items()}
        np.savez(folder / f"{number:0{1 if number == 10 else 5}d}.npz", **one)
    np.savez(tmp_path / "canonical_flame_param.npz", **_arrays(1))
    for path in (tmp_path, folder, folder / "00003.npz"):
        take = read_take(path, frame_rate=10)
        assert take.times == pytest.approx([0, 0.1, 0.3, 0.8]) and np.array_equal(take.values[:, :100], arrays["expr"])


def test_only_what_is_there(tmp_path):
    np.savez(tmp_path / "few.npz", expr=np.ones((3, 50)), jaw_pose=np.zeros((3, 3)))
    take = read_take(tmp_path / "few.npz")
    assert take.names[49:] == ("expr_049", "jaw_x", "jaw_y", "jaw_z") and take.rotations is take.positions is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"expr": None}, "has no 'expr'"),
        ({"expr": np.zeros(100)}, r"'expr' is float64 \[100\]"),
        ({"expr": np.zeros((0, 100))}, r"'expr' is float64 \[0, 100\]"),
        ({"expr": np.array([["a"]])}, r"'expr' is <U1"),
        ({"expr": np.array([{}, {}])}, "is a damaged .npz file"),
        ({"jaw_pose": np.zeros((5, 4))}, r"'jaw_pose' is float64 \[5, 4\]; expected numbers \[frames,3\]"),
        ({"jaw_pose": np.zeros((4, 3))}, "'jaw_pose' has 4 frames; 'expr' has 5"),
        ({"eyes_pose": np.where(np.arange(30).reshape(5, 6) == 20, np.nan, 0)}, r"frame 3, 'eyes_pose\[2\]'"),
    ],
)
def test_damaged_arrays(tmp_path, changes, message):
    np.savez(tmp_path / "bad.npz", **_arrays(5, **changes))
    with pytest.raises(HeadGaSError, match=message) as error:
        read_take(tmp_path / "bad.npz")
    assert "bad.npz" in error.value.message


def test_damaged_files(tmp_path):
    np.savez(tmp_path / "whole.npz", **_arrays(5))
    content = (tmp_path / "whole.npz").read_bytes()
    (tmp_path / "half.npz").write_bytes(content[: len(content) // 2])
    with pytest.raises(HeadGaSError, match="half.npz: is a damaged .npz file"):
        read_take(tmp_path / "half.npz")
    (tmp_path / "flipped.npz").write_bytes(content.replace(b"\x93NUMPY", b"\x93NUMPX"))
    with pytest.raises(HeadGaSError, match="flipped.npz: is a damaged .npz file"):
        read_take(tmp_path / "flipped.npz")
    with zipfile.ZipFile(tmp_path / "text.npz", "w") as archive:
        archive.writestr("expr.npy", "no array")
    with pytest.raises(HeadGaSError, match="text.npz"):
        read_take(tmp_path / "text.npz")


def test_damaged_folders(tmp_path):
    with pytest.raises(HeadGaSError, match="folder without FLAME parameters"):
        read_take(tmp_path)
    np.savez(tmp_path / "00000.npz", **_arrays(1))
    np.savez(tmp_path / "00001.npz", **_arrays(1, jaw_pose=None))
    with pytest.raises(HeadGaSError, match="00001.npz: holds other fields than 00000.npz; they differ in jaw_pose"):
        read_take(tmp_path)
    np.savez(tmp_path / "00001.npz", **_arrays(1, expr=np.zeros((1, 50))))
    with pytest.raises(HeadGaSError, match="00001.npz: 'expr' has 50 values; in 00000.npz it has 100"):
        read_take(tmp_path)
    np.savez(tmp_path / "00001.npz", **_arrays(2))
    with pytest.raises(HeadGaSError, match="00001.npz: holds 2 frames"):
        read_take(tmp_path)
