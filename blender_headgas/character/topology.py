# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The skin's topology: a grid over azimuth and elevation, slit open at the mouth and the eyes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

MOUTH_ELEVATION, MOUTH_HALF_WIDTH = -29.3, 14.2  # degrees
EYE_ELEVATION, EYE_AZIMUTH, EYE_HALF_WIDTH = 0.6, 21.8, 11.5  # degrees
LOWEST = -71.0


@dataclass(frozen=True)
class Slit:
    """One opening: its closed loop of vertices, starting at the right corner, over the top, back below."""

    loop: np.ndarray  # [L] vertex indices; the upper edge comes first
    corners: tuple[int, int]  # positions in the loop of the right and the left corner


@dataclass(frozen=True)
class Topology:
    """Where each skin vertex lies on the grid, and what joins them."""

    azimuth: np.ndarray  # [V] degrees
    elevation: np.ndarray  # [V] degrees
    above_mouth: np.ndarray  # [V] bool; false for the lower lip's copies of the slit's vertices
    above_eyes: np.ndarray  # [V] bool
    quads: np.ndarray  # [F,4] counter-clockwise from outside
    caps: list[list[int]]  # the crown's and the neck's polygons
    mouth: Slit
    eyes: dict[str, Slit]  # Left, Right


def _spaced(start: float, end: float, knots: Sequence[float], steps: Sequence[float]) -> np.ndarray:
    """Values from start to end whose spacing follows the piecewise linear steps at the knots."""
    fine = np.linspace(start, end, 4000)
    count = np.concatenate([[0.0], np.cumsum(np.diff(fine) / np.interp(fine[1:], knots, steps))])
    total = max(2, round(count[-1]))
    return np.interp(np.linspace(0.0, count[-1], total + 1), count, fine)


def _rows() -> np.ndarray:
    knots = [-74, -60, -50, -40, -34, -29, -25, -20, -12, -8, 0, 6, 14, 24, 40, 90]
    steps = [2.6, 2.6, 1.7, 1.0, 0.6, 0.45, 0.65, 0.9, 0.8, 0.6, 0.44, 0.55, 1.0, 1.9, 4.0, 5.0]
    stops = [LOWEST, MOUTH_ELEVATION, EYE_ELEVATION, 88.5]
    parts = [_spaced(a, b, knots, steps) for a, b in zip(stops[:-1], stops[1:], strict=True)]
    return np.concatenate([parts[0]] + [part[1:] for part in parts[1:]])


def _columns() -> np.ndarray:
    half = _spaced(0.0, 180.0, [0, 10, 32, 45, 80, 180], [0.62, 0.72, 0.76, 1.8, 4.5, 6.0])
    return np.concatenate([-half[-2:0:-1], half])


def build_topology() -> Topology:
    """The grid with its three slits; every vertex of an open edge exists twice, above and below."""
    rows, columns = _rows(), _columns()
    row_count, column_count = len(rows), len(columns)
    index = np.arange(row_count * column_count).reshape(row_count, column_count)
    azimuth = np.tile(columns, row_count)
    elevation = np.repeat(rows, column_count)
    copies: list[int] = []
    below = index.copy()  # what the faces under a row use

    def slit(row: int, centre: float, half_width: float) -> Slit:
        inside = np.where(np.abs(columns - centre) < half_width)[0]
        first, last = inside[0], inside[-1]
        inner = np.arange(first + 1, last)
        below[row, inner] = index.size + len(copies) + np.arange(len(inner))
        copies.extend(index[row, inner])
        loop = np.concatenate([index[row, first : last + 1], below[row, inner][::-1]])
        return Slit(loop, (0, last - first))

    mouth_row = int(np.argmin(np.abs(rows - MOUTH_ELEVATION)))
    eye_row = int(np.argmin(np.abs(rows - EYE_ELEVATION)))
    mouth = slit(mouth_row, 0.0, MOUTH_HALF_WIDTH)
    mouth_copies = len(copies)
    eyes = {name: slit(eye_row, side * EYE_AZIMUTH, EYE_HALF_WIDTH) for name, side in (("Left", 1), ("Right", -1))}

    source = np.array(copies)
    above_mouth = np.append(elevation >= rows[mouth_row], np.arange(len(source)) >= mouth_copies)
    above_eyes = np.append(elevation >= rows[eye_row], np.zeros(len(source), bool))
    following = np.roll(index, -1, axis=1)
    below_following = np.roll(below, -1, axis=1)
    quads = np.stack([index[:-1], following[:-1], below_following[1:], below[1:]], axis=-1).reshape(-1, 4)
    return Topology(
        azimuth=np.append(azimuth, azimuth[source]),
        elevation=np.append(elevation, elevation[source]),
        above_mouth=above_mouth,
        above_eyes=above_eyes,
        quads=quads,
        caps=[list(map(int, index[-1])), list(map(int, index[0, ::-1]))],
        mouth=mouth,
        eyes=eyes,
    )
