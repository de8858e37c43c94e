# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes a take as CSV, which the reader of takes reads back.

Where all channels are ARKit's, the file is laid out as Live Link Face does it: 52 shapes and nine angles in its order
and spelling, zero where the take has none. Else it has the take's own channels and the head's three angles. The head's
moves have no place in either.
"""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .. import arkit
from ..files import write_text
from ..rotations import to_matrices
from .livelink import COUNT, EYES, HEAD, TIME
from .take import Take
from .timecodes import timecode

# Live Link Face's order, as its recordings have it
_EYE = ("Blink", "LookDown", "LookIn", "LookOut", "LookUp", "Squint", "Wide")
_MIDDLE = (
    "JawForward", "JawRight", "JawLeft", "JawOpen", "MouthClose", "MouthFunnel", "MouthPucker", "MouthRight",
    "MouthLeft", "MouthSmile*", "MouthFrown*", "MouthDimple*", "MouthStretch*", "MouthRollLower", "MouthRollUpper",
    "MouthShrugLower", "MouthShrugUpper", "MouthPress*", "MouthLowerDown*", "MouthUpperUp*", "BrowDown*",
    "BrowInnerUp", "BrowOuterUp*", "CheekPuff", "CheekSquint*", "NoseSneer*", "TongueOut",
)  # fmt: skip
SHAPES = (
    *(f"Eye{word}{side}" for side in ("Left", "Right") for word in _EYE),
    *(name.replace("*", side) for name in _MIDDLE for side in (("Left", "Right") if name[-1] == "*" else ("",))),
)


def write_table(path: Path, take: Take) -> None:
    """Writes the file at `path`, whole or not at all.

    Raises:
        HeadGaSError: it cannot be written.
    """
    names, values = columns(take)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([TIME, COUNT, *names])
    for moment, row in zip(take.times.tolist(), values.tolist(), strict=True):
        writer.writerow([timecode(moment), len(names), *(f"{value:.10f}" for value in row)])
    write_text(path, text.getvalue())


def columns(take: Take) -> tuple[Sequence[str], np.ndarray]:
    """The names [N] of a table's columns and their values [T,N]."""
    head = np.zeros((len(take.times), len(HEAD))) if take.rotations is None else head_angles(take.rotations)
    if not set(take.names) <= set(arkit.NAMES):
        if take.rotations is None:
            return take.names, take.values
        return (*take.names, *HEAD), np.concatenate([take.values, head], 1)
    shapes = np.zeros((len(take.times), len(SHAPES)))
    for column, shape in enumerate(SHAPES):
        name = shape[0].lower() + shape[1:]
        if name in take.names:
            shapes[:, column] = take.values[:, take.names.index(name)]
    return (*SHAPES, *HEAD, *EYES), np.concatenate([shapes, head, np.zeros((len(shapes), len(EYES)))], 1)


def head_angles(rotations: np.ndarray) -> np.ndarray:
    """Yaw, pitch and roll [T,3] (radians) of turns [T,4] in head space, as Live Link Face counts them in portrait.

    The turn is Ry(roll) Rz(yaw) Rx(-pitch), whose first column is (cos r cos y, sin y, -sin r cos y) and whose second
    row is (sin y, cos y cos p, cos y sin p).
    """
    matrices = to_matrices(rotations.astype(np.float64))
    yaw = np.arcsin(np.clip(matrices[:, 1, 0], -1, 1))
    pitch = np.arctan2(matrices[:, 1, 2], matrices[:, 1, 1])
    roll = np.arctan2(-matrices[:, 2, 0], matrices[:, 0, 0])
    return np.stack([yaw, pitch, roll], 1)
