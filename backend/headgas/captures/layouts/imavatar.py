# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""IMAvatar, PointAvatar and SplattingAvatar: flame_params.json, with the head's pose in FLAME and not in the camera.

Source: Zheng et al., "I M Avatar", CVPR 2022, and "PointAvatar", CVPR 2023; zhengyuf/IMavatar,
code/datasets/real_dataset.py and preprocess/DECA/optimize.py: `world_mat` is world-to-camera of an OpenGL camera that
mostly stands still, for FLAME four times as large; `pose` holds rotation vectors of root, neck, jaw and both eyes;
`intrinsics` are in image sizes, fx negative because z is. initialneil/SplattingAvatar, dataset/imavatar_data.py, reads
the same and tests on the last 350 frames.
"""

import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from headgas.avatars.flame import flame_space
from headgas.captures.capture import Box, Capture, Frame
from headgas.captures.fields import Fields, check_rigid, gathered
from headgas.captures.layouts.head_pose import HeadPose
from headgas.captures.layouts.reading import (
    Listed,
    Report,
    Seen,
    assembled,
    common,
    count_of,
    found,
    listed,
    pixel_matrix,
    tail_is_test,
    viewmat_of,
)
from headgas.captures.mattes import Matte
from headgas.captures.opening import image_size
from headgas.captures.transforms import OPENGL_TO_OPENCV, boxes_around
from headgas.errors import HeadGaSError

FILE = "flame_params.json"
TEST_FRAMES = 350
_SIZE = 4.0  # of their FLAME, in ours
_OLD_SIZE = 512  # pixels that old files give the intrinsics in
_JOINTS = ("neck", "jaw", "left_eye", "right_eye")  # after the root
_LANDMARKS = 68  # iBUG's come first


@dataclass(frozen=True)
class _Part:
    """One recording of the person."""

    folder: Path
    entries: list[Listed]
    size: tuple[int, int]
    K: np.ndarray
    masked: bool  # whether the mattes are images of their own

    @classmethod
    def of(cls, folder: Path) -> "_Part":
        entries = listed(folder, {FILE: "train"})
        top, size = entries[0].top, common(entries, lambda entry: image_size(_image(folder, entry.fields)))
        fx, fy, cx, cy = top.array("intrinsics", (4,))
        unit = np.array(size) if cy <= 1 else np.array(size) / _OLD_SIZE
        K = pixel_matrix(top, abs(fx) * unit[0], abs(fy) * unit[1], cx * unit[0], cy * unit[1])
        return cls(folder, entries, size, K, (folder / "mask").is_dir())


def detect(seen: Seen) -> bool:
    return bool(_folders(seen.folder))


def read(folder: Path, report: Report, flame: Path | None) -> Capture:
    parts = [_Part.of(part) for part in _folders(folder)]
    entries = [(part, entry) for part in parts for entry in part.entries]
    if any(part.folder.name.startswith("test") for part in parts) and len(parts) > 1:
        splits = ["test" if part.folder.name.startswith("test") else "train" for part, _ in entries]
    else:
        splits = tail_is_test(len(entries), TEST_FRAMES)
    entries = [(part, replace(entry, split=split)) for (part, entry), split in zip(entries, splits, strict=True)]
    count = common(entries, lambda pair: count_of(pair[1].fields, "expression"))
    top = entries[0][1].top
    shape = top.array("shape_params", (count_of(top, "shape_params"),))
    pose = HeadPose(folder, flame, shape, count)

    def frame(pair: tuple[_Part, Listed]) -> Frame:
        return _frame(*pair, pose, count, several=len(parts) > 1)

    return assembled(folder, flame_space(count, (), _JOINTS), entries, frame, report)


def _frame(part: _Part, entry: Listed, pose: HeadPose, count: int, several: bool) -> Frame:
    fields, (width, height) = entry.fields, part.size
    right = gathered(
        {
            "image": lambda: _image(part.folder, fields),
            "mattes": lambda: (Matte(found(part.folder / "mask", _image(part.folder, fields).stem)),) * part.masked,
            "width": lambda: width,
            "height": lambda: height,
            "expression": lambda: fields.array("expression", (count,)),
            "turns": lambda: fields.array("pose", (3 * (1 + len(_JOINTS)),)),
            "world_to_camera": lambda: _world_to_camera(fields),
            "boxes": lambda: _boxes(fields, width, height),
        }
    )
    expression, turns = right.pop("expression"), right.pop("turns")
    head = pose.matrix(turns[:3], turns[3:6], expression)
    head[:3, 3] *= _SIZE
    head_to_camera = OPENGL_TO_OPENCV @ right.pop("world_to_camera") @ head
    stem = right["image"].stem
    return Frame(
        name=f"{part.folder.name}_{stem}" if several else stem,
        split=entry.split,
        viewmat=viewmat_of(head_to_camera, 1 / _SIZE),
        K=part.K,
        expression=np.concatenate([expression, turns[3:]]).astype(np.float32),
        **right,
    )


def _boxes(fields: Fields, width: int, height: int) -> dict[str, Box]:
    if "flame_keypoints" not in fields:
        return {}
    points = fields.array("flame_keypoints", (max(_LANDMARKS, count_of(fields, "flame_keypoints")), 2))
    return boxes_around((points[:_LANDMARKS] + 1) / 2 * (width, height), width, height)


def _folders(folder: Path) -> list[Path]:
    """Those of the recordings: the folder itself, or what is in it or in a folder of its own name in it."""
    folder = folder.resolve()
    within = [sorted(parent.iterdir()) for parent in (folder, folder / folder.name) if parent.is_dir()]
    kept = ([part for part in parts if (part / FILE).is_file()] for parts in ([folder], *within))
    return next((parts for parts in kept if parts), [])


def _world_to_camera(fields: Fields) -> np.ndarray:
    """[4,4] float64 of an OpenGL camera."""
    rows = fields.array("world_mat", (4 if count_of(fields, "world_mat") == 4 else 3, 4))
    matrix = np.vstack([rows[:3], [0, 0, 0, 1]])
    check_rigid(fields, "world_mat", matrix)
    return matrix


def _image(folder: Path, fields: Fields) -> Path:
    """"./image/12" in `image`, or in `images` as SplattingAvatar has it."""
    path = fields.path("file_path", folder)
    stem = re.sub(r"\.(png|jpe?g)$", "", path.name)
    for name in ("images", "image"):
        if (folder / name).is_dir():
            return found(folder / name, stem)
    raise HeadGaSError(f"{folder}: has neither a folder 'image' nor 'images'.")
