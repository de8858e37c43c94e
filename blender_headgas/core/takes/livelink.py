# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables of takes: Live Link Face's CSV, our own with any channels, and the CSV of Audio2Face-3D's client.

Columns are known by their names, never by their place: apps order and spell them differently. Live Link Face writes
`Timecode,BlendShapeCount`, 52 shapes and nine angles in radians (three of the head, three of each eye). The eyes'
angles are left out: the shapes eyeLook… say the same (their correlation is above 0.99 in recordings).

The signs of the head's angles are documented nowhere; other importers contradict each other. They were inferred from
one recording of an iPhone (think-biq/LLV, examples/dao.gesichter, 180 frames), on the assumption that its owner kept
looking at one place: then gaze, the head's turn times the eyes', must stay where it is. It does best (its spread is
0.06 rad; 0.13 without the head's turn) with yaw to the subject's left, pitch up and roll to the subject's left; the
best other signs give 0.08 rad, angles in another unit 0.10 or more. The order of the turns, roll outermost and pitch
innermost, is the best one too, but others are near (0.07 rad). A second recording, with the phone upright
(sentien-io/SentienLiveLinkFace, recording, 1628 frames), agrees: 0.052 rad; 0.054 with another sign of roll, 0.104 with
another one of pitch, 0.080 without the head's turn. Held in landscape the app turns yaw and pitch round
(nmfisher/blender_livelinkface).

Spreadsheet programs save tables again with semicolons or tabs, and where a language has them with decimal commas.

`animation_frames.csv` of NVIDIA's Audio2Face-3D-Samples has `timeCode` in seconds and columns `blendShapes.JawOpen`.
"""

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..arkit import canonical
from ..rotations import about, multiplied
from .checks import ReadingOptions, is_number, usable, wrong
from .take import Take
from .timecodes import parse_times

TIME, COUNT = "Timecode", "BlendShapeCount"
HEAD = ("HeadYaw", "HeadPitch", "HeadRoll")
EYES = tuple(f"{side}Eye{angle}" for side in ("Left", "Right") for angle in ("Yaw", "Pitch", "Roll"))
_PREFIX = "blendshapes."


def is_table(text: str) -> bool:
    """Whether a text's first line names a column of times and at least one more."""
    return _separator(text) is not None


def read_table(path: Path, text: str, options: ReadingOptions) -> Take:
    """The take in a table.

    Raises:
        HeadGaSError: something in it is damaged; the message names line and column.
    """
    separator = _separator(text)
    if separator not in (None, ","):
        text = text.replace(",", ".").replace(separator, ",")
    header = [column.strip() for column in next(csv.reader(io.StringIO(text, newline="")))]
    kinds = [column.lower() for column in header]
    time, count = kinds.index(TIME.lower()), kinds.index(COUNT.lower()) if COUNT.lower() in kinds else None
    # a column without a name holds the numbers of the rows, as pandas writes them
    columns = [place for place, kind in enumerate(kinds) if kind and place not in (time, count)]
    names = _names(path, [header[place] for place in columns])
    if not set(names) - {*HEAD, *EYES}:
        raise wrong(path, "line 1: names no channel")
    found = quick_columns(text, len(header), time, columns, count)
    if found is None:
        found = careful_columns(path, text, header, time, columns, count)
    codes, values, numbers = found
    times = _rising(path, parse_times(path, codes, numbers, time + 1), numbers)
    angles = [names.index(angle) for angle in HEAD if angle in names]
    channels = [place for place, name in enumerate(names) if name not in HEAD and name not in EYES]
    rotations = None
    if len(angles) == len(HEAD):
        rotations = head_turns(*values[:, angles].T, landscape=options.landscape)
    return Take(tuple(names[place] for place in channels), times, values[:, channels].astype(np.float32), rotations)


def _separator(text: str) -> str | None:
    """What stands between the columns; None where the first line names no column of times and another."""
    first = text.partition("\n")[0].lower()
    for separator in (",", ";", "\t"):
        columns = [column.strip(' \r"') for column in first.split(separator)]
        if TIME.lower() in columns and len(columns) > 1:
            return separator
    return None


def head_turns(yaw: np.ndarray, pitch: np.ndarray, roll: np.ndarray, landscape: bool = False) -> np.ndarray:
    """Live Link Face's angles of the head, each [T] in radians, become turns [T,4] float32 in head space."""
    if landscape:
        yaw, pitch = -yaw, -pitch
    return multiplied(about(1, roll), multiplied(about(2, yaw), about(0, -pitch))).astype(np.float32)


def _names(path: Path, columns: Sequence[str]) -> list[str]:
    """Channels' names: ARKit's in ARKit's own spelling, the angles in Live Link Face's, all others as they are."""
    angles = {angle.lower(): angle for angle in (*HEAD, *EYES)}
    names: list[str] = []
    for column in columns:
        bare = column[len(_PREFIX) :] if column.lower().startswith(_PREFIX) else column
        name = angles.get(bare.lower()) or canonical(bare)
        if name in names:
            raise wrong(path, f"line 1: the column '{column}' is there twice", "Delete one of the two columns")
        names.append(name)
    return names


def quick_columns(
    text: str, width: int, time: int, columns: list[int], count: int | None
) -> tuple[list[str], np.ndarray, Sequence[int]] | None:
    """What careful_columns() finds, four times as fast; None where anything is unusual, damaged or without a face."""
    lines = text.split("\n")
    while lines and not lines[-1].strip():
        lines.pop()
    rows = lines[1:]
    if '"' in text or not rows or any(row.count(",") != width - 1 for row in rows):
        return None
    counts = [] if count is None else [count]
    try:
        values = np.loadtxt(rows, delimiter=",", usecols=[*counts, *columns], comments=None, ndmin=2)
    except ValueError:
        return None
    if len(values) != len(rows) or not usable(values).all() or (values[:, : len(counts)] != len(columns)).any():
        return None
    codes = [row.split(",", time + 1)[time] for row in rows]
    return codes, values[:, len(counts) :], range(2, len(rows) + 2)


def careful_columns(
    path: Path, text: str, header: list[str], time: int, columns: list[int], count: int | None
) -> tuple[list[str], np.ndarray, Sequence[int]]:
    """The texts of the times [T], values [T,len(columns)] float64, and the numbers of their lines [T], from 1 on.

    Rows in which Live Link Face saw no face are left out.

    Raises:
        HeadGaSError: something is damaged; the message names line and column.
    """
    lines = csv.reader(io.StringIO(text, newline=""))
    next(lines)
    rows, numbers = [], []
    while True:
        try:
            row = next(lines, None)
        except csv.Error as error:
            raise wrong(path, f"line {lines.line_num}: {error}") from None
        if row is None:
            break
        if not any(row) or (count is not None and count < len(row) and row[count].strip() == "0"):
            continue
        if len(row) != len(header):
            raise wrong(path, f"line {lines.line_num}: has {len(row)} columns; line 1 names {len(header)}")
        if count is not None and row[count].strip() != str(len(columns)):
            where = f"line {lines.line_num}, column {count + 1} ({header[count]})"
            said = f"says {row[count]!r:.40}; there are {len(columns)}"
            raise wrong(path, f"{where}: {said}", f"Delete the column {COUNT}")
        rows.append(row)
        numbers.append(lines.line_num)
    if not rows:
        raise wrong(path, "has no line with values below line 1")
    values = np.array(
        [
            [_number(path, row[place], f"line {number}, column {place + 1} ({header[place]})") for place in columns]
            for number, row in zip(numbers, rows, strict=True)
        ]
    )
    return [row[time] for row in rows], values, numbers


def _number(path: Path, text: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not is_number(value):
        raise wrong(path, f"{where}: '{text:.40}' is no finite number")
    return value


def _rising(path: Path, times: np.ndarray, numbers: Sequence[int]) -> np.ndarray:
    """Seconds [T] from the first row on."""
    late = np.flatnonzero(np.diff(times) <= 0)
    if len(late):
        raise wrong(path, f"line {numbers[int(late[0]) + 1]}: its time is not later than that of the line before")
    return times - times[0]
