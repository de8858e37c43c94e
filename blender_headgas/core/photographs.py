# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""A capture's photographs and their cameras, read from capture.json or transforms*.json (docs/formats.md)."""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .errors import HeadGaSError

FILES = ("capture.json", "transforms.json", "transforms_train.json")  # what a folder is looked through for
# transforms.json: Y up, Z out of the face, OpenGL cameras -> Z up, -Y out of the face, OpenCV cameras
_TO_HEAD_SPACE = np.array([[1, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0], [0, 0, 0, 1]], np.float64)
_OPENGL_TO_OPENCV = np.diag([1.0, -1.0, -1.0, 1.0])


@dataclass(frozen=True)
class Photograph:
    """One frame of a capture."""

    image: str  # path inside the capture's folder, with forward slashes
    width: int  # pixels
    height: int  # pixels
    viewmat: np.ndarray  # [4,4] float64, head space to OpenCV camera space
    K: np.ndarray  # [3,3] float64, pixels


@dataclass(frozen=True)
class Photographs:
    """The frames of a capture, in the order of its file."""

    folder: Path
    frames: tuple[Photograph, ...]
    rate: float | None  # frames per second, where the file says

    def missing(self) -> list[str]:
        """The images that are not there."""
        return [frame.image for frame in self.frames if not (self.folder / frame.image).is_file()]


def read_photographs(path: Path) -> Photographs:
    """The photographs of a capture: its folder, or one of its JSON files."""
    if path.is_dir():
        found = next((path / name for name in FILES if (path / name).is_file()), None)
        if found is None:
            raise HeadGaSError(f"{path} is no capture", f"A capture has {', '.join(FILES)}")
        path = found
    data = _content(path)
    entries = data.get("frames")
    if not isinstance(entries, list) or not entries:
        raise _wrong(path, "frames", "a list of at least one frame")
    read = _own if data.get("format") == "headgas-capture" else _transforms
    frames = tuple(read(f"{path}, frame {number}", entry, data) for number, entry in enumerate(entries))
    rate = data.get("fps")
    if rate is not None and (not _is_number(rate) or rate <= 0):
        raise _wrong(path, "fps", "a number above zero")
    return Photographs(path.parent, frames, rate)


def photograph_at(frame: float, frames: np.ndarray) -> int:
    """Which photograph is to be seen at a frame of the scene, where `frames` [N], rising, says when each one begins."""
    return max(int(np.searchsorted(frames, frame + 1e-4, side="right")) - 1, 0)


def _own(where: str, entry: Any, _data: dict[str, Any]) -> Photograph:
    fields = _fields(where, entry)
    K = _array(where, fields, "K", (3, 3))
    if K[0, 0] <= 0 or K[1, 1] <= 0:
        raise _wrong(where, "K", "positive focal lengths")
    width, height = (_size(where, fields, name) for name in ("width", "height"))
    return Photograph(_image(where, fields, "image"), width, height, _rigid(where, fields, "viewmat"), K)


def _transforms(where: str, entry: Any, data: dict[str, Any]) -> Photograph:
    own = _fields(where, entry)
    fields = {name: data[name] for name in data if name not in ("frames", "transform_matrix", "file_path")} | own
    width, height = (_size(where, fields, name) for name in ("w", "h"))
    image = _image(where, fields, "file_path")
    if not Path(image).suffix:
        image += ".png"  # NeRFace leaves it out
    viewmat = np.linalg.inv(_TO_HEAD_SPACE @ _rigid(where, fields, "transform_matrix") @ _OPENGL_TO_OPENCV)
    return Photograph(image, width, height, viewmat, _intrinsics(where, fields, width, height))


def _intrinsics(where: str, fields: dict[str, Any], width: int, height: int) -> np.ndarray:
    """K [3,3] in pixels: NeRFace's four numbers (the centre as a share), focal lengths, or the angle of view."""
    if isinstance(fields.get("intrinsics"), list) and len(fields["intrinsics"]) == 4:
        fx, fy, cx, cy = _array(where, fields, "intrinsics", (4,)) * (1, 1, width, height)
        fx, fy = abs(fx), abs(fy)
    elif fields.get("fl_x") is not None:
        fx = _number(where, fields, "fl_x")
        fy = _number(where, fields, "fl_y", fx)
        cx, cy = _number(where, fields, "cx", width / 2), _number(where, fields, "cy", height / 2)
    else:
        fx = fy = width / 2 / math.tan(_number(where, fields, "camera_angle_x") / 2)
        cx, cy = width / 2, height / 2
    if fx <= 0 or fy <= 0:
        raise _wrong(where, "fl_x", "positive focal lengths")
    return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]], np.float64)


def _content(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise HeadGaSError(f"{path} cannot be read: {error.strerror or error}", "Choose the file again") from None
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise HeadGaSError(f"{path} is not JSON ({error})", f"A capture has {', '.join(FILES)}") from None
    return _fields(str(path), data)


def _fields(where: str, data: Any) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise HeadGaSError(f"{where} is no JSON object", "docs/formats.md describes captures")
    return data


def _image(where: str, fields: dict[str, Any], name: str) -> str:
    image = fields.get(name)
    if not isinstance(image, str) or not image or Path(image).is_absolute() or ".." in Path(image).parts:
        raise _wrong(where, name, "a path inside the capture's folder")
    return Path(image).as_posix()


def _size(where: str, fields: dict[str, Any], name: str) -> int:
    size = _number(where, fields, name)
    if size != int(size) or not 0 < size <= 65536:
        raise _wrong(where, name, "a whole number of pixels between 1 and 65536")
    return int(size)


def _number(where: str, fields: dict[str, Any], name: str, missing: float | None = None) -> float:
    value: Any = fields.get(name, missing)
    if not _is_number(value):
        raise _wrong(where, name, "a finite number")
    return float(value)


def _array(where: str, fields: dict[str, Any], name: str, shape: tuple[int, ...]) -> np.ndarray:
    try:
        value = np.asarray(fields[name], np.float64)
    except (KeyError, TypeError, ValueError):
        value = None
    if value is None or value.shape != shape or not np.isfinite(value).all():
        raise _wrong(where, name, f"{'×'.join(map(str, shape))} finite numbers")
    return value


def _rigid(where: str, fields: dict[str, Any], name: str) -> np.ndarray:
    matrix = _array(where, fields, name, (4, 4))
    turn = matrix[:3, :3]
    if not np.allclose(turn @ turn.T, np.eye(3), atol=1e-3) or np.linalg.det(turn) < 0:
        raise _wrong(where, name, "a rotation and a translation")
    if not np.allclose(matrix[3], (0, 0, 0, 1), atol=1e-6):
        raise _wrong(where, name, "the last row 0 0 0 1")
    return matrix


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _wrong(where: Path | str, field: str, expected: str) -> HeadGaSError:
    return HeadGaSError(f"{where}: the field '{field}' needs {expected}", "docs/formats.md describes captures")
