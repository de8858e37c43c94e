# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""FLAME's parameters of one moment, in the `.npz` files of VHAP and GaussianAvatars."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from headgas.errors import HeadGaSError
from headgas.pickles import read_npz

FLAME_FILE = "flame_param_path"  # the field of a frame that names its file
# FLAME's turns in such a file, in the order of an avatar's parameters
_TURNS = (("neck_pose", ("neck",)), ("jaw_pose", ("jaw",)), ("eyes_pose", ("left_eye", "right_eye")))


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """What a file holds, float64 without empty dimensions in front, and finite.

    Raises:
        HeadGaSError: it is missing, damaged, or holds something else.
    """
    arrays: dict[str, np.ndarray] = {}
    for name, array in read_npz(path).items():
        if array.dtype.kind not in "fiu" or not np.isfinite(array).all():
            raise HeadGaSError(f"{path}: its '{name}' holds values that are not finite numbers.")
        arrays[name] = array.astype(np.float64).reshape(array.shape[1:] if array.shape[:1] == (1,) else array.shape)
    return arrays


def described(path: Path, arrays: Mapping[str, np.ndarray]) -> tuple[tuple[str, ...], np.ndarray]:
    """Names and values [B] of what moves in the face, as avatars that FLAME drives call it.

    Raises:
        HeadGaSError: something of it is missing or wrong.
    """
    if "expr" not in arrays:
        raise HeadGaSError(f"{path}: has no 'expr', so it holds no parameters of FLAME.")
    parts = [arrays["expr"].ravel()]
    names = [f"expr_{i:03d}" for i in range(len(parts[0]))]
    for field, joints in _TURNS:
        if field in arrays:
            turns = [f"{joint}_{axis}" for joint in joints for axis in "xyz"]
            names += turns
            parts.append(vector(path, arrays, field, len(turns)))
    return tuple(names), np.concatenate(parts)


def vector(path: Path, arrays: Mapping[str, np.ndarray], field: str, count: int) -> np.ndarray:
    """One array of the file, [count].

    Raises:
        HeadGaSError: it is missing, or of another length.
    """
    if field not in arrays:
        raise HeadGaSError(f"{path}: has no '{field}'.")
    if arrays[field].size != count:
        raise HeadGaSError(f"{path}: '{field}' has {arrays[field].size} numbers; expected {count}.")
    return arrays[field].ravel()
