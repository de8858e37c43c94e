# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""A piece of the character: vertices, faces, colours and how a pose moves it; and the grids pieces are made of."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from .pose import Pose


@dataclass
class Part:
    """One piece; centimetres, display-referred sRGB colours whose alpha is the roughness."""

    material: str
    positions: np.ndarray  # [V,3] in the neutral pose
    faces: list[np.ndarray]  # arrays [F,3] or [F,4], or single polygons [1,n]
    colours: np.ndarray  # [V,4], 0 to 1
    deform: Callable[[Pose], np.ndarray] | None = None  # pose -> [V,3]; None when nothing moves it
    groups: dict[str, np.ndarray] = field(default_factory=dict)  # vertex groups: name -> indices into the part
    uv: np.ndarray | None = None  # [V,2]: across and along a strand


def grid_faces(rows: int, columns: int, closed: bool = True) -> np.ndarray:
    """Quads [F,4] of a row-major grid; closed joins the last column to the first."""
    index = np.arange(rows * columns).reshape(rows, columns)
    following = np.roll(index, -1, axis=1)
    if not closed:
        index, following = index[:, :-1], following[:, :-1]
    return np.stack([index[:-1], following[:-1], following[1:], index[1:]], axis=-1).reshape(-1, 4)


def ramp(x: np.ndarray, knots: list[float], colours: list[tuple]) -> np.ndarray:
    """Colours [N,3] in 0..1 interpolated at x [N] between knots given in 0..255."""
    table = np.array(colours, float) / 255.0
    return np.stack([np.interp(x, knots, table[:, channel]) for channel in range(3)], axis=1)


def with_roughness(colours: np.ndarray, roughness: float | np.ndarray) -> np.ndarray:
    """Colours [N,3] with a roughness as fourth channel: [N,4]."""
    return np.column_stack([colours, np.broadcast_to(roughness, len(colours))])


def mirrored(faces: np.ndarray) -> np.ndarray:
    """Faces [F,k] with their winding reversed."""
    return faces[:, ::-1]


def joined(pieces: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """Positions [V,3] and faces [F,k] of several (positions, faces) in one."""
    positions, faces, count = [], [], 0
    for piece, piece_faces in pieces:
        positions.append(piece)
        faces.append(piece_faces + count)
        count += len(piece)
    return np.concatenate(positions), np.concatenate(faces)
