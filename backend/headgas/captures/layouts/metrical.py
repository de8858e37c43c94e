# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""metrical-tracker's `.frame` files beside images, as GaussianBlendshapes and RGBAvatar take them.

Source: Zielon/metrical-tracker, tracker.py (save_checkpoint): torch pickles with numpy arrays in them. The head rests
in FLAME's axes, metres; `opencv` is world-to-camera in pixels; jaw and eyes are the first two rows of their matrices.
zjumsj/GaussianBlendshapes, FLAME/dataset.py: images/%05d.png of the same number with alpha; the last 350 are tested on.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from headgas.avatars.flame import EYELIDS, flame_space
from headgas.captures.capture import Capture, Frame
from headgas.captures.fields import LARGEST, gathered, is_pinhole
from headgas.captures.layouts.reading import Report, Seen, assembled, common, found, tail_is_test, viewmat_of
from headgas.errors import HeadGaSError
from headgas.pickles import as_array, read_torch
from headgas.shapes import fits, written
from headgas.splatting.rotations import quaternions_of

TEST_FRAMES = 350
_JOINTS = ("jaw", "left_eye", "right_eye")
_IMAGES = ("images", "input")  # the tracker's own have no alpha


@dataclass(frozen=True)
class Tracked:
    """What one `.frame` holds of the frame."""

    number: int
    expression: np.ndarray  # [E+2+9] float32: expressions, eyelids, turns of jaw and eyes
    viewmat: np.ndarray  # [4,4] float32
    K: np.ndarray  # [3,3] float32
    width: int
    height: int


def detect(seen: Seen) -> bool:
    images = any((seen.folder / name).is_dir() for name in _IMAGES)
    return images and next((seen.folder / "checkpoint").glob("*.frame"), None) is not None


def read(folder: Path, report: Report, flame: Path | None) -> Capture:
    images = next(folder / name for name in _IMAGES if (folder / name).is_dir())

    def frame(tracked: Tracked, split: str) -> Frame:
        image = found(images, f"{tracked.number:05d}")
        return Frame(
            name=image.stem,
            split=split,
            image=image,
            width=tracked.width,
            height=tracked.height,
            viewmat=tracked.viewmat,
            K=tracked.K,
            expression=tracked.expression,
        )

    return read_frames(folder, folder / "checkpoint", TEST_FRAMES, frame, report)


def read_frames(folder: Path, frames: Path, test_frames: int, frame: Any, report: Report) -> Capture:
    """A capture of a folder's `.frame` files; frame: (Tracked, split) to Frame."""
    paths = sorted(frames.glob("*.frame"))
    splits = tail_is_test(len(paths), test_frames)
    count = common(paths, lambda path: len(read_frame(path).expression))
    space = flame_space(count - len(EYELIDS) - 3 * len(_JOINTS), EYELIDS, _JOINTS)

    def one(entry: tuple[Path, str]) -> Frame:
        tracked = read_frame(entry[0])
        if len(tracked.expression) != count:
            said = f"describes the expression by {len(tracked.expression)} numbers; other frames by {count}"
            raise HeadGaSError(f"{entry[0]}: {said}.")
        return frame(tracked, entry[1])

    return assembled(folder, space, zip(paths, splits, strict=True), one, report)


def read_frame(path: Path) -> Tracked:
    """One `.frame`.

    Raises:
        HeadGaSError: it is missing, damaged, malicious, or lacks something; the field is named.
    """
    data = read_torch(path)
    if not path.stem.isdecimal():
        raise HeadGaSError(f"{path}: its name must be the frame's number.")
    right = gathered(
        {
            "exp": lambda: _array(path, data, "flame", "exp", (1, None))[0],
            "eyelids": lambda: _array(path, data, "flame", "eyelids", (1, len(EYELIDS)))[0],
            "jaw": lambda: _turns(path, data, "jaw", 1),
            "eyes": lambda: _turns(path, data, "eyes", 2),
            "viewmat": lambda: _viewmat(path, data),
            "K": lambda: _intrinsics(path, data),
            "size": lambda: _array(path, data, "img_size", None, (2,)),
        }
    )
    height, width = (int(size) for size in right["size"])
    expression = np.concatenate([right[part] for part in ("exp", "eyelids", "jaw", "eyes")])
    return Tracked(
        int(path.stem), expression.astype(np.float32), viewmat_of(right["viewmat"]), right["K"], width, height
    )


def _turns(path: Path, data: Any, name: str, count: int) -> np.ndarray:
    """Rotation vectors [3 count]."""
    vectors = rotation_vectors(_array(path, data, "flame", name, (1, 6 * count)).reshape(count, 6)).ravel()
    if not np.isfinite(vectors).all():
        raise HeadGaSError(f"{path}: its flame.{name} is no rotation.")
    return vectors


def _viewmat(path: Path, data: Any) -> np.ndarray:
    """World to camera [4,4] float64."""
    viewmat = np.eye(4)
    viewmat[:3, :3] = _array(path, data, "opencv", "R", (1, 3, 3))[0]
    viewmat[:3, 3] = _array(path, data, "opencv", "t", (1, 3))[0]
    if not np.allclose(viewmat[:3, :3] @ viewmat[:3, :3].T, np.eye(3), atol=1e-3) or np.linalg.det(viewmat) < 0:
        raise HeadGaSError(f"{path}: its opencv.R is no rotation.")
    return viewmat


def _intrinsics(path: Path, data: Any) -> np.ndarray:
    """[3,3] float32."""
    K = _array(path, data, "opencv", "K", (1, 3, 3))[0]
    if not is_pinhole(K):
        raise HeadGaSError(f"{path}: its opencv.K has the focal lengths {K[0, 0]:g} and {K[1, 1]:g}, or a skew.")
    return K.astype(np.float32)


def rotation_vectors(rows: np.ndarray) -> np.ndarray:
    """Axes times angles [n,3] of rotations that are given by two rows of their matrices [n,6]; nan where they are none.

    Source: Zhou et al., "On the Continuity of Rotation Representations in Neural Networks", CVPR 2019.
    """
    first, second = rows[:, :3], rows[:, 3:]
    with np.errstate(invalid="ignore"):
        first = first / np.linalg.norm(first, axis=1, keepdims=True)
        second = second - (first * second).sum(1, keepdims=True) * first
        second = second / np.linalg.norm(second, axis=1, keepdims=True)
    matrices = np.stack([first, second, np.cross(first, second)], 1)
    quaternions = quaternions_of(torch.from_numpy(matrices)).numpy()
    quaternions = quaternions * np.where(quaternions[:, :1] < 0, -1, 1)
    sine = np.linalg.norm(quaternions[:, 1:], axis=1, keepdims=True)
    angle = 2 * np.arctan2(sine, quaternions[:, :1])
    return quaternions[:, 1:] * np.where(sine > 1e-9, angle / np.maximum(sine, 1e-9), 2.0)


def _array(path: Path, data: Any, group: str, name: str | None, shape: tuple[int | None, ...]) -> np.ndarray:
    """data[group][name], float64 and finite."""
    value = data.get(group) if isinstance(data, Mapping) else None
    if name is not None:
        value = value.get(name) if isinstance(value, Mapping) else None
    field = group if name is None else f"{group}.{name}"
    array = as_array(value)
    if array.dtype.kind not in "fiu" or not fits(array.shape, shape) or not (np.abs(array) <= LARGEST).all():
        said = "missing" if value is None else f"{array.dtype} {written(array.shape)}"
        raise HeadGaSError(f"{path}: its {field} is {said}; expected finite numbers {written(shape)}.")
    return array.astype(np.float64)
