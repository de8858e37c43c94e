# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""A shot without Blender: a take (what the face does) and cameras, each a file that docs/formats.md describes."""

import csv
import io
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from headgas.avatars.expression_space import ExpressionSpace
from headgas.captures.fields import Fields, check_rigid, frames_of, read_json
from headgas.errors import HeadGaSError
from headgas.splatting import Camera

TAKE, CAMERAS, VERSION = "headgas-take", "headgas-cameras", 1
_RATE = 30.0  # frames per second, where no file says any
_CODE = re.compile(r"(\d+):(\d{1,2}):(\d{1,2})[:;](\d{1,3}(?:\.\d+)?)")
_CODE_RATE = 60  # frames per second of timecodes in tables
_TIME, _COUNT = "timecode", "blendshapecount"
_ANGLES = {f"{what}{angle}" for what in ("head", "lefteye", "righteye") for angle in ("yaw", "pitch", "roll")}
_HINT = "Blender writes it: File > Export > HeadGaS"


@dataclass(frozen=True)
class Take:
    """T recorded moments of some parameters."""

    path: Path
    names: tuple[str, ...]
    times: np.ndarray  # [T] float64, seconds from the first moment on, rising
    values: np.ndarray  # [T,P] float32
    numbers: tuple[int, ...] | None = None  # [T] of Blender's frames, rising; None where only times are known
    transforms: np.ndarray | None = None  # [T,4,4] float64, head space to world


@dataclass(frozen=True)
class ShotCamera:
    """The camera of one of Blender's frames."""

    number: int
    camera: Camera
    near: float  # metres
    far: float = math.inf  # metres


@dataclass(frozen=True)
class Cameras:
    """F cameras, by rising numbers of frames."""

    path: Path
    rate: float  # frames per second
    frames: tuple[ShotCamera, ...]


@dataclass(frozen=True)
class Moment:
    """What one picture of a shot shows."""

    number: int
    expression: Tensor  # [B] float32
    transform: Tensor  # [4,4] float32, head space to world


def read_take(path: Path) -> Take:
    """The take in a JSON file of ours, or in a CSV table as Live Link Face and Blender's exporter write it.

    Raises:
        HeadGaSError: the file is damaged, or something else.
    """
    if path.suffix.lower() != ".csv":
        return _take(path, _opened(path, TAKE))
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise HeadGaSError(f"{path}: cannot be read ({error.strerror or error}).") from None
    except UnicodeDecodeError as error:
        raise HeadGaSError(f"{path}: is no text (byte {error.start}).") from None
    return _table(path, text)


def read_cameras(path: Path) -> Cameras:
    """The cameras in a JSON file.

    Raises:
        HeadGaSError: the file is damaged, or something else.
    """
    fields = _opened(path, CAMERAS)
    found: list[ShotCamera] = []
    for place, entry in enumerate(frames_of(fields)):
        frame = Fields(entry, f"{path}, frames[{place}]")
        number, viewmat = _number(frame), frame.array("viewmat", (4, 4))
        check_rigid(frame, "viewmat", viewmat)
        K = frame.array("K", (3, 3))
        if K[0, 0] <= 0 or K[1, 1] <= 0:
            raise frame.error("K", "focal lengths above zero")
        if found and number <= found[-1].number:
            raise frame.error("frame", "a later frame than the one before")
        size = frame.size("width"), frame.size("height")
        flat = frame.data.get("orthographic", False)
        if not isinstance(flat, bool):
            raise frame.error("orthographic", "true or false")
        near = frame.number("near", 0.01)
        if near <= 0 and not flat:
            raise frame.error("near", "metres above zero")
        far = frame.number("far", math.inf)
        if far <= near:
            raise frame.error("far", "metres above 'near'")
        camera = Camera(torch.from_numpy(viewmat).float(), torch.from_numpy(K).float(), *size, flat)
        found.append(ShotCamera(number, camera, near, far))
    return Cameras(path, _rate(fields), tuple(found))


def moments(take: Take | None, space: ExpressionSpace, cameras: Cameras | None) -> tuple[list[Moment], list[str]]:
    """What an avatar shows at the frames of `cameras`, or of the take where there is one camera or none.

    A take with numbers is looked up by them; one with times alone begins at the first camera, and what lies between
    its moments is interpolated. Parameters that it does not name are at rest.

    Returns:
        The moments, and the names in the take that the avatar does not have.

    Raises:
        HeadGaSError: nothing in the take moves the avatar, or it lacks a frame.
    """
    rest = np.array(space.neutral, np.float32)
    if take is None:
        numbers = [frame.number for frame in cameras.frames] if cameras else [1]
        return [_moment(number, rest, None) for number in numbers], []
    targets = _targets(take, space)
    values = np.tile(rest, (len(take.times), 1))
    for column, target in targets.items():
        values[:, target] = take.values[:, column]
    unknown = [name for column, name in enumerate(take.names) if column not in targets]
    if cameras is None or len(cameras.frames) == 1:
        numbers = take.numbers or range(1, len(take.times) + 1)
        places = [None] * len(values) if take.transforms is None else list(take.transforms)
        return [_moment(*row) for row in zip(numbers, values, places, strict=True)], unknown
    found = []
    for frame in cameras.frames:
        if take.numbers is None:
            time = (frame.number - cameras.frames[0].number) / cameras.rate
            row = [np.interp(time, take.times, column) for column in values.T]
            found.append(_moment(frame.number, np.array(row, np.float32), None))
            continue
        if frame.number not in take.numbers:
            raise HeadGaSError(
                f"{take.path}: has no frame {frame.number}, of which {cameras.path} has a camera.",
                "Export take and cameras of the same frames.",
            )
        place = take.numbers.index(frame.number)
        transform = None if take.transforms is None else take.transforms[place]
        found.append(_moment(frame.number, values[place], transform))
    return found, unknown


def _moment(number: int, expression: np.ndarray, transform: np.ndarray | None) -> Moment:
    place = torch.eye(4) if transform is None else torch.tensor(transform, dtype=torch.float32)
    return Moment(number, torch.from_numpy(np.array(expression, np.float32)), place)


def _targets(take: Take, space: ExpressionSpace) -> dict[int, int]:
    """Of the take's columns the parameters that they are, spelling aside."""
    known = {_spelt(name): place for place, name in enumerate(space.names)}
    found = {column: known[_spelt(name)] for column, name in enumerate(take.names) if _spelt(name) in known}
    if not found:
        message = f"{take.path}: moves nothing of the avatar: it names {', '.join(take.names[:4])} …"
        raise HeadGaSError(message, f"The avatar has {', '.join(space.names[:4]) or 'no parameters'} …")
    return found


def _spelt(name: str) -> str:
    return name.replace("_", "").lower()


def _opened(path: Path, kind: str) -> Fields:
    fields = Fields(read_json(path), str(path))
    if fields.data.get("format") != kind:
        raise HeadGaSError(f"{path}: is not a file of the format '{kind}'.", _HINT)
    if fields.data.get("version") != VERSION:
        raise fields.error("version", f"{VERSION}")
    return fields


def _rate(fields: Fields) -> float:
    rate = fields.number("fps", _RATE)
    if rate <= 0:
        raise fields.error("fps", "frames per second, above zero")
    return rate


def _number(frame: Fields) -> int:
    number = frame.number("frame")
    if number != int(number):
        raise frame.error("frame", "a whole number")
    return int(number)


def _take(path: Path, fields: Fields) -> Take:
    names: Any = fields.data.get("names")
    if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
        raise fields.error("names", "a list of parameters' names")
    numbers: list[int] = []
    values, transforms = [], []
    for place, entry in enumerate(frames_of(fields)):
        frame = Fields(entry, f"{path}, frames[{place}]")
        number = _number(frame)
        if numbers and number <= numbers[-1]:
            raise frame.error("frame", "a later frame than the one before")
        numbers.append(number)
        values.append(frame.array("values", (len(names),)))
        if "transform" in frame:
            transforms.append(frame.array("transform", (4, 4)))
    if len(transforms) not in (0, len(numbers)):
        raise HeadGaSError(f"{path}: some frames have a 'transform', others have none.", _HINT)
    times = (np.array(numbers, np.float64) - numbers[0]) / _rate(fields)
    table = np.array(values, np.float32).reshape(len(numbers), len(names))
    return Take(path, tuple(names), times, table, tuple(numbers), np.array(transforms) if transforms else None)


def _table(path: Path, text: str) -> Take:
    rows = list(csv.reader(io.StringIO(text, newline="")))
    header = [column.strip() for column in rows[0]] if rows else []
    kinds = [column.lower() for column in header]
    if _TIME not in kinds:
        raise HeadGaSError(f"{path}: line 1 names no column 'Timecode'.", _HINT)
    columns = [place for place, kind in enumerate(kinds) if kind not in ("", _TIME, _COUNT)]
    kept = [place for place in columns if kinds[place] not in _ANGLES]
    count = kinds.index(_COUNT) if _COUNT in kinds else None
    times, values = [], []
    for line, row in enumerate(rows[1:], 2):
        if not any(row) or (count is not None and count < len(row) and row[count].strip() == "0"):
            continue  # a moment without a face
        if len(row) != len(header):
            raise HeadGaSError(f"{path}: line {line} has {len(row)} columns; line 1 names {len(header)}.")
        times.append(_seconds(path, line, row[kinds.index(_TIME)]))
        values.append([_value(path, line, header[place], row[place]) for place in kept])
    if not times or not kept:
        raise HeadGaSError(f"{path}: has no {'moment' if kept else 'parameter'}.", _HINT)
    late = np.flatnonzero(np.diff(times) <= 0)
    if len(late):
        raise HeadGaSError(f"{path}: moment {late[0] + 2} is not later than the one before it.")
    since = np.array(times) - times[0]
    return Take(path, tuple(header[place] for place in kept), since, np.array(values, np.float32))


def _seconds(path: Path, line: int, text: str) -> float:
    match = _CODE.fullmatch(text.strip())
    if match is None:
        return _value(path, line, "Timecode", text)
    hours, minutes, seconds, frames = (float(part) for part in match.groups())
    return hours * 3600 + minutes * 60 + seconds + frames / _CODE_RATE


def _value(path: Path, line: int, column: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = np.nan
    if not np.isfinite(value):
        raise HeadGaSError(f"{path}: line {line}, column {column}: {text!r:.40} is no finite number.")
    return value
