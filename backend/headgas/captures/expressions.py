# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known about the expression of a capture's frames, in any of the spaces that they are described in.

`expression` is what avatars are trained on. `other_expressions` of a capture hold further descriptions by name;
`flame` are the parameters that the frames of VHAP and GaussianAvatars name in `flame_param_path`; and a CSV file may
describe the frames from outside. Neither images nor cameras are needed. docs/formats.md has the fields.
"""

import csv
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from headgas.avatars.expression_space import ExpressionSpace
from headgas.captures import folder as own
from headgas.captures import transforms
from headgas.captures.capture import Capture
from headgas.captures.fields import Fields, frames_of, read_json
from headgas.captures.flame_parameters import FLAME_FILE, described, read_arrays
from headgas.captures.layouts import Layout, find_layout, gaussian_avatars
from headgas.errors import HeadGaSError

MAIN, FLAME = "expression", "flame"
_OTHERS = "other_expressions"


@dataclass(frozen=True)
class FrameExpressions:
    """One description of many frames."""

    space: ExpressionSpace  # its names and their neutral values
    values: Mapping[str, np.ndarray]  # [B] float64 by the frame's name; frames without are left out


@dataclass(frozen=True)
class _Entry:
    """One frame as a capture's file has it."""

    name: str
    split: str
    fields: Fields
    top: Fields  # of the file


def frame_splits(folder: Path) -> dict[str, str]:
    """The frames of a capture in its order, with what they are for: "train" or "test".

    Raises:
        HeadGaSError: it is no capture.
    """
    if (other := _other_layout(folder)) is not None:
        return {frame.name: frame.split for frame in other.frames}
    return {entry.name: entry.split for entry in _entries(folder)}


def read_expressions(folder: Path, name: str) -> FrameExpressions:
    """How a capture's frames are described under a name, or in a CSV file of that name.

    Raises:
        HeadGaSError: nothing is called so, or a value is wrong; the file, the frame and the field are named.
    """
    if Path(name).suffix.lower() == ".csv":
        return read_table(Path(name))
    if (other := _other_layout(folder)) is not None:
        if name != MAIN:
            raise HeadGaSError(f"{folder}: its frames have no '{name}'.", f"They have {MAIN}, or a CSV file beside.")
        return FrameExpressions(other.expression_space, {f.name: f.expression.astype(float) for f in other.frames})
    entries = list(_entries(folder))
    if name == FLAME and any(FLAME_FILE in entry.fields for entry in entries):
        return _flame(folder, entries)
    spaces = [space for top in _tops(entries) if (space := _space(top, name, entries)) is not None]
    if not spaces:
        known = [MAIN, *other_names(folder), f"{FLAME} or a CSV file"]
        raise HeadGaSError(f"{folder}: its frames have no '{name}'.", f"A capture may have {', '.join(known)}.")
    if any(space.names != spaces[0].names for space in spaces):
        raise HeadGaSError(f"{folder}: its files name different parameters in '{name}'.")
    values = {entry.name: found for entry in entries if (found := _values(entry, name, len(spaces[0]))) is not None}
    return FrameExpressions(spaces[0], values)


def other_names(folder: Path) -> list[str]:
    """What a capture's `other_expressions` are called.

    Raises:
        HeadGaSError: it is no capture, or they are no object.
    """
    if _layout(folder) is not None:
        return []
    return sorted({name for top in _tops(list(_entries(folder))) for name in _others(top)})


def read_table(path: Path) -> FrameExpressions:
    """A CSV file: a column `frame`, and one for each parameter. A frame with an empty cell is left out.

    Columns whose names begin with _ are none: MediaPipe calls one `_neutral`.

    Raises:
        HeadGaSError: it is something else; line and column are named.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = list(csv.reader(file))
    except OSError as error:
        raise HeadGaSError(f"{path}: cannot be read ({error.strerror or error}).") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise HeadGaSError(f"{path}: is not a CSV file ({error}).") from None
    header = [name.strip() for name in lines[0]] if lines else []
    if len(header) < 2 or header[0].lower() != "frame":
        raise HeadGaSError(f"{path}: line 1 must name the columns: frame, then the parameters.")
    used = [column for column, name in enumerate(header) if column and not name.startswith("_")]
    space = ExpressionSpace.from_json({"kind": "custom", "names": [header[column] for column in used]}, str(path))
    values: dict[str, np.ndarray] = {}
    for number, cells in enumerate(lines[1:], 2):
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(header):
            raise HeadGaSError(f"{path}: line {number} has {len(cells)} columns; line 1 has {len(header)}.")
        frame = cells[0].strip()
        if frame in values:
            raise HeadGaSError(f"{path}: line {number} describes the frame '{frame}' again.")
        row = [_cell(path, number, header[column], cells[column]) for column in used]
        if not any(math.isnan(value) for value in row):
            values[frame] = np.array(row)
    return FrameExpressions(space, values)


def _cell(path: Path, line: int, column: str, text: str) -> float:
    """The number in a cell, nan where it is empty."""
    if not text.strip():
        return math.nan
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise HeadGaSError(f"{path}: line {line}, column '{column}' is {text.strip()[:40]!r}; expected a number.")
    return value


def _layout(folder: Path) -> Layout | None:
    """The layout, where its expressions are in no file that this one reads. FLAME's parameters are read here: for
    them neither cameras nor the user's FLAME are needed."""
    layout = None if (folder / own.FILE).is_file() else find_layout(folder)
    return None if layout is None or layout.read is gaussian_avatars.read else layout


def _other_layout(folder: Path) -> Capture | None:
    """The capture, where it has such a layout."""
    layout = _layout(folder)
    if layout is None:
        return None
    problems: list[HeadGaSError] = []
    capture = layout.read(folder, problems.append, None)
    if problems:
        raise problems[0]
    return capture


def _entries(folder: Path) -> Iterator[_Entry]:
    paths = [folder / own.FILE] if (folder / own.FILE).is_file() else transforms.files(folder)
    if not paths:
        raise HeadGaSError(f"{folder}: is not a capture: it has neither {own.FILE} nor transforms.json.")
    tops = [Fields(read_json(path), str(path)) for path in paths]
    names = transforms.frame_names([frame for top in tops for frame in frames_of(top)])
    for path, top in zip(paths, tops, strict=True):
        frames = frames_of(top)
        for number, frame in enumerate(frames):
            fields = Fields(frame, f"{path}, frame {number}")
            if path.name == own.FILE:
                yield _Entry(fields.text("name"), fields.text("split", "train"), fields, top)
            else:
                name = names[fields.text("file_path")]
                yield _Entry(name, transforms.split_of(path, frame, number, frames), fields, top)


def _tops(entries: list[_Entry]) -> list[Fields]:
    return list({entry.top.where: entry.top for entry in entries}.values())


def _others(top: Fields) -> Mapping[str, Any]:
    found = top.data.get(_OTHERS, {})
    if not isinstance(found, Mapping):
        raise top.error(_OTHERS, "an object of spaces by name")
    return found


def _space(top: Fields, name: str, entries: list[_Entry]) -> ExpressionSpace | None:
    """The space that a file says is called so."""
    if name != MAIN:
        spaces = _others(top)
        return ExpressionSpace.from_json(spaces[name], f"{top.where}, {_OTHERS}, {name}") if name in spaces else None
    if "expression_space" in top:
        return ExpressionSpace.from_json(top.data["expression_space"], top.where)
    frames = [entry.fields.data for entry in entries if entry.top.where == top.where]
    return transforms.expression_space(top, frames) if any(MAIN in frame for frame in frames) else None


def _values(entry: _Entry, name: str, count: int) -> np.ndarray | None:
    """A frame's values [count]; None where it has none."""
    fields = entry.fields
    if name != MAIN:
        if _OTHERS not in fields:
            return None
        fields = Fields(fields.data[_OTHERS], f"{fields.where}, {_OTHERS}")
    return fields.array(name, (count,)) if name in fields else None


def _flame(folder: Path, entries: list[_Entry]) -> FrameExpressions:
    values: dict[str, np.ndarray] = {}
    names: tuple[str, ...] | None = None
    read: dict[Path, tuple[tuple[str, ...], np.ndarray]] = {}  # cameras share a moment's file
    for entry in entries:
        if FLAME_FILE not in entry.fields:
            continue
        path = entry.fields.path(FLAME_FILE, folder)
        if path not in read:
            read[path] = described(path, read_arrays(path))
        here, values[entry.name] = read[path]
        names = names or here
        if here != names:
            raise HeadGaSError(f"{path}: has {len(here)} parameters of FLAME; the first frame has {len(names)}.")
    assert names is not None
    zeros = (0.0,) * len(names)
    return FrameExpressions(ExpressionSpace("FLAME", names, zeros, zeros, zeros), values)
