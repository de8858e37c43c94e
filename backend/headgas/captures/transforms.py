# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Captures in `transforms*.json` folders as nerfstudio has them, with an `expression` in each frame.

`transform_matrix` is camera-to-head with an OpenGL camera (looks along -Z, Y up); the head's space has Y up and Z out
of the face, as NeRFace, AD-NeRF and their descendants have it.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from headgas.avatars.expression_space import ExpressionSpace
from headgas.captures.capture import Box, Capture, Frame, seen_range
from headgas.captures.fields import Fields, WrongFields, frames_of, gathered, read_json
from headgas.captures.mattes import Matte
from headgas.errors import HeadGaSError

# Files in order of their claim to a frame; where only transforms.json exists, it says the split itself.
_SPLIT_FILES = {"transforms_train.json": "train", "transforms_val.json": "train", "transforms_test.json": "test"}
_SINGLE_FILE = "transforms.json"
_HELD_OUT = 0.1  # of the frames, at the end, where a single file does not say its split

# Y up, Z out of the face -> Z up, -Y out of the face
TO_HEAD_SPACE = np.array([[1, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0], [0, 0, 0, 1]], np.float64)
OPENGL_TO_OPENCV = np.diag([1.0, -1.0, -1.0, 1.0])

_LANDMARKS = "landmarks68_px"  # iBUG's: both eyes, outer and inner lips
_EYES, _MOUTH = slice(36, 48), slice(48, 68)
_ENDINGS = (".png", ".jpg", ".jpeg")  # of images that are named without one
_DISTORTION = ("k1", "k2", "k3", "k4", "p1", "p2")
_BOX_MARGIN = 0.25  # of the landmarks' width, on every side: lids and lips lie outside their landmarks


def is_transforms_folder(folder: Path) -> bool:
    return bool(files(folder))


def files(folder: Path) -> list[Path]:
    """The files that list a capture's frames, in the order of their claim to one; none where it is no such capture."""
    split = [folder / name for name in _SPLIT_FILES if (folder / name).is_file()]
    return split or [path for path in [folder / _SINGLE_FILE] if path.is_file()]


def read_transforms(folder: Path, report: Callable[[HeadGaSError], None]) -> Capture:
    """Reads the folder; what is wrong with single frames goes to `report`, and those frames are left out.

    Raises:
        HeadGaSError: a file as a whole cannot be used.
    """
    paths = files(folder)
    space: ExpressionSpace | None = None
    frames: dict[str, Frame] = {}
    tops = [Fields(read_json(path), str(path)) for path in paths]
    estimated = any([top.poses_estimated() for top in tops])
    names = frame_names([entry for top in tops for entry in frames_of(top)])
    for path, fields in zip(paths, tops, strict=True):
        entries = frames_of(fields)
        here = expression_space(fields, entries)
        if space is None:
            space = here
        elif len(here) != len(space):
            raise HeadGaSError(f"{path}: frames have {len(here)} expression values, {paths[0]} has {len(space)}.")
        elif here.names != space.names:
            raise HeadGaSError(f"{path}: its 'expression_names' are not those of {paths[0]}.")
        for number, entry in enumerate(entries):
            split = split_of(path, entry, number, entries)
            try:
                frame = _frame(folder, fields, number, entry, space, split, names)
                if frame.name in frames:
                    raise WrongFields(f"{path}, frame {number}: the image {frame.name!r} is used twice.", vars(frame))
                frames[frame.name] = frame
            except HeadGaSError as error:
                report(error)
    assert space is not None
    kept = tuple(frames.values())
    return Capture(folder, seen_range(space, kept) if kept else space, kept, poses_estimated=estimated)


def split_of(path: Path, entry: Any, number: int, entries: list[Any]) -> str:
    """What a frame is for: as the file's name says, as the frame says, else the last ones are held out."""
    if path.name in _SPLIT_FILES:
        return _SPLIT_FILES[path.name]
    said = entry.get("split") if isinstance(entry, dict) else None
    if said is not None:
        return "test" if said == "test" else "train"
    if any(isinstance(e, dict) and "split" in e for e in entries):
        return "train"
    return "test" if number >= len(entries) - max(1, round(_HELD_OUT * len(entries))) else "train"


def expression_space(fields: Fields, entries: list[Any]) -> ExpressionSpace:
    """The space of a file's expressions; unnamed parameters get numbers.

    Raises:
        HeadGaSError: no frame has an expression.
    """
    said = [entry.get("expression") for entry in entries if isinstance(entry, Mapping)]
    counts = Counter(len(values) for values in said if isinstance(values, list) and values)
    if not counts:
        raise HeadGaSError(
            f"{fields.where}: no frame has the field 'expression'; expected a list of numbers in each.",
            "An avatar can only learn what each frame's expression is: a folder without expressions is no capture.",
        )
    usual = counts.most_common(1)[0][0]
    names = fields.data.get("expression_names", [f"expression_{i:02d}" for i in range(usual)])
    described = str(fields.data.get("expression_kind", "custom")).lower()
    kinds = {"arkit": "ARKit", "flame": "FLAME", "facewarehouse": "FaceWarehouse"}
    kind = next((kind for key, kind in kinds.items() if described.startswith(key)), "custom")
    return ExpressionSpace.from_json({"kind": kind, "names": names}, fields.where)


def frame_names(entries: list[Any]) -> dict[str, str]:
    """What the frames of a folder are called, by their `file_path`: as the image without its ending, and with the
    folder that it is in where that would be another's name, too."""
    said = [entry.get("file_path") for entry in entries if isinstance(entry, Mapping)]
    paths = {path for path in said if isinstance(path, str)}
    stems = Counter(Path(path).stem for path in paths)
    return {
        path: Path(path).stem if stems[Path(path).stem] == 1 else "_".join(Path(path).with_suffix("").parts)
        for path in paths
    }


def image_path(fields: Fields, folder: Path, within: Path | None = None) -> Path:
    """The image that a frame names; without an ending it is one of those that there are.

    Raises:
        HeadGaSError: `file_path` is missing, or leads out of the folder (or of `within`).
    """
    path = fields.path("file_path", folder, within)
    if path.suffix:
        return path
    named = [path.with_name(path.name + ending) for ending in _ENDINGS]
    return next((one for one in named if one.is_file()), named[0])


def _frame(
    folder: Path,
    top: Fields,
    number: int,
    entry: Any,
    space: ExpressionSpace,
    split: str,
    names: Mapping[str, str],
) -> Frame:
    fields = Fields(entry, f"{top.where}, frame {number}")

    def viewmat() -> np.ndarray:
        camera_to_head = fields.rigid("transform_matrix")
        return np.linalg.inv(TO_HEAD_SPACE @ camera_to_head @ OPENGL_TO_OPENCV).astype(np.float32)

    def mattes() -> tuple[Matte, ...]:
        return (Matte(fields.path("mask_path", folder)),) if "mask_path" in fields else ()

    found = gathered(
        {
            "image": lambda: image_path(fields, folder),
            "mattes": mattes,
            "viewmat": viewmat,
            "camera": lambda: intrinsics(fields, top),
            "expression": lambda: fields.array("expression", (len(space),)).astype(np.float32),
            "landmarks": lambda: fields.array(_LANDMARKS, (68, 2)) if _LANDMARKS in fields else None,
            "depth": lambda: fields.path("depth_path", folder) if "depth_path" in fields else None,
            "depth_unit": lambda: top.positive("depth_unit", 1.0),
        }
    )
    K, width, height = found.pop("camera")
    landmarks = found.pop("landmarks")
    return Frame(
        name=names[fields.text("file_path")],
        split=split,
        width=width,
        height=height,
        K=K.astype(np.float32),
        boxes={} if landmarks is None else boxes_around(landmarks, width, height),
        **found,
    )


def intrinsics(frame: Fields, top: Fields) -> tuple[np.ndarray, int, int]:
    """K [3,3] and the image size: per frame, else from the top of the file.

    Raises:
        HeadGaSError: something is missing or wrong, or the lens bends lines.
    """

    def source(field: str) -> Fields:
        return frame if field in frame else top

    bent = [field for field in _DISTORTION if source(field).number(field, 0.0)]
    if bent:
        raise source(bent[0]).error(bent[0], "0: undistort the images first, cameras of captures are pinholes")
    width, height = source("w").size("w"), source("h").size("h")
    if "fl_x" in source("fl_x"):
        fx = source("fl_x").number("fl_x")
        fy = source("fl_y").number("fl_y", fx)
        cx, cy = source("cx").number("cx", width / 2), source("cy").number("cy", height / 2)
    else:
        fx = fy = focal_length(source("camera_angle_x"), width)
        cx, cy = width / 2, height / 2
    if fx <= 0 or fy <= 0:
        raise source("fl_x").error("fl_x", "positive focal lengths")
    return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]]), width, height


def focal_length(fields: Fields, width: int) -> float:
    """Pixels, of a picture so wide that `camera_angle_x` sees."""
    angle = fields.number("camera_angle_x")
    if not 0 < angle < math.pi:
        raise fields.error("camera_angle_x", "an angle between 0 and π")
    return 0.5 * width / math.tan(0.5 * angle)


def boxes_around(points: np.ndarray, width: int, height: int) -> dict[str, Box]:
    """The boxes of eyes and mouth, from iBUG's 68 landmarks [68,2] in pixels."""
    boxes: dict[str, Box] = {}
    for name, part in (("eyes", _EYES), ("mouth", _MOUTH)):
        low, high = points[part].min(0), points[part].max(0)
        margin = _BOX_MARGIN * (high[0] - low[0]) * (0.5 if name == "eyes" else 1.0)
        x0, y0 = np.floor(np.maximum(low - margin, 0)).astype(int)
        x1, y1 = np.ceil(np.minimum(high + margin, (width, height))).astype(int)
        if x1 > x0 and y1 > y0:
            boxes[name] = (int(x0), int(y0), int(x1), int(y1))
    return boxes
