# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parameters of FLAME over time: VHAP's tracked_flame_params*.npz, and GaussianAvatars' flame_param/00000.npz, ….

Arrays as VHAP and GaussianAvatars (ShenhanQian) write them: `expr` [T,E], `neck_pose`, `jaw_pose` [T,3], `eyes_pose`
[T,6] (left, right), `rotation`, `translation` [T,3]; rotation vectors in radians, metres, Y up and Z out of the face.
T is 1 where each frame has its file. The channels are called as FLAME avatars call them: expr_000, jaw_x, left_eye_y.
The head's turn and moves are FLAME's `rotation` and `translation`: where the tracker's camera stood still.
"""

import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..rotations import from_vectors
from .checks import ReadingOptions, rising, usable, wrong
from .head_axes import moves_to_head_space, turns_to_head_space
from .take import Take

_POSES = (("neck_pose", ("neck",)), ("jaw_pose", ("jaw",)), ("eyes_pose", ("left_eye", "right_eye")))
_HEAD = ("rotation", "translation")
_FOLDER = "flame_param"


def read_flame(path: Path, options: ReadingOptions) -> Take:
    """The take in a file, in the folder that it is one frame of, or in a folder.

    Raises:
        HeadGaSError: something is damaged; the message names file and field.
    """
    files = _files(path)
    if not files:
        raise wrong(path, f"is a folder without FLAME parameters ({_FOLDER}/00000.npz, …)")
    parts = [_arrays(file) for file in files]
    for file, part in zip(files, parts, strict=True):
        if part.keys() != parts[0].keys():
            odd = sorted(part.keys() ^ parts[0].keys())
            raise wrong(file, f"holds other fields than {files[0].name}; they differ in {', '.join(odd)}")
        if len(files) > 1 and len(part["expr"]) != 1:
            raise wrong(file, f"holds {len(part['expr'])} frames; expected one, as its name is a frame's number")
    numbers = np.array([int(file.stem) for file in files]) if len(files) > 1 else np.arange(len(parts[0]["expr"]))
    arrays = {field: _joined(files, [part[field] for part in parts], field) for field in parts[0]}
    names, columns = [f"expr_{i:03d}" for i in range(arrays["expr"].shape[1])], [arrays["expr"]]
    for field, joints in _POSES:
        if field in arrays:
            names += [f"{joint}_{axis}" for joint in joints for axis in "xyz"]
            columns.append(arrays[field])
    values = np.concatenate(columns, 1).astype(np.float32)
    rotations, positions = arrays.get("rotation"), arrays.get("translation")
    return Take(
        tuple(names),
        rising(path, numbers / options.frame_rate),
        values,
        None if rotations is None else turns_to_head_space(from_vectors(rotations)),
        None if positions is None else moves_to_head_space(positions - positions[0]),
    )


def _files(path: Path) -> list[Path]:
    """The file itself, or all files of one frame each beside it or in the folder `path`, by number."""
    if path.is_dir():
        folder = path / _FOLDER if (path / _FOLDER).is_dir() else path
    elif path.stem.isdecimal():
        folder = path.parent
    else:
        return [path]
    return sorted((file for file in folder.glob("*.npz") if file.stem.isdecimal()), key=lambda file: int(file.stem))


def _arrays(path: Path) -> dict[str, np.ndarray]:
    """The fields of one file, each [T,·] float64."""
    widths = {"expr": None, **{field: 3 * len(joints) for field, joints in _POSES}, **dict.fromkeys(_HEAD, 3)}
    try:
        with np.load(path, allow_pickle=False) as data:
            arrays = {field: np.asarray(data[field]) for field in widths if field in data}
    except OSError as error:
        raise wrong(path, f"cannot be read: {error.strerror or error}", "Choose the file again") from None
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError) as error:
        raise wrong(path, f"is a damaged .npz file ({error})") from None
    if "expr" not in arrays:
        raise wrong(path, "has no 'expr', so it holds no FLAME parameters")
    frames = len(arrays["expr"]) if arrays["expr"].ndim else 0
    for field, array in arrays.items():
        width = widths[field]
        if array.dtype.kind not in "fiu" or array.ndim != 2 or not array.size or (width and array.shape[1] != width):
            found = f"{array.dtype} {list(array.shape)}"
            raise wrong(path, f"'{field}' is {found}; expected numbers [frames,{width or '…'}]")
        if len(array) != frames:
            raise wrong(path, f"'{field}' has {len(array)} frames; 'expr' has {frames}")
        bad = np.argwhere(~usable(array))
        if len(bad):
            raise wrong(path, f"frame {bad[0][0]}, '{field}[{bad[0][1]}]' is no finite number")
    return {field: array.astype(np.float64) for field, array in arrays.items()}


def _joined(files: Sequence[Path], arrays: Sequence[np.ndarray], field: str) -> np.ndarray:
    """The frames of all files, [T,·]."""
    for file, array in zip(files, arrays, strict=True):
        if array.shape[1] != arrays[0].shape[1]:
            raise wrong(file, f"'{field}' has {array.shape[1]} values; in {files[0].name} it has {arrays[0].shape[1]}")
    return np.concatenate(arrays)
