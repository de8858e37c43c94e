# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The skin as a part: its colours, region by region, and its vertices in every pose."""

import numpy as np

from .hair import HAIR, hairline
from .part import Part, with_roughness
from .pose import Pose
from .skin import SkinPoints, lip_coordinates, moved_points, skin_positions
from .topology import Topology

_BASE = np.array([238, 182, 152]) / 255
_BLUSH = np.array([226, 124, 106]) / 255
_LIPS = np.array([200, 100, 98]) / 255
_SHADOW = np.array([196, 124, 100]) / 255
_NOSTRIL = np.array([120, 58, 48]) / 255


def _spot(points: SkinPoints, azimuth: float, elevation: float, width: float, height: float) -> np.ndarray:
    """A soft symmetric spot [N,1] in 0..1; degrees."""
    a, e = np.abs(points.azimuth) - azimuth, points.elevation - elevation
    return np.exp(-0.5 * ((a / width) ** 2 + (e / height) ** 2))[:, None]


def _smoothstep(low: float, high: float, x: np.ndarray) -> np.ndarray:
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def skin_colours(points: SkinPoints) -> np.ndarray:
    """sRGB and roughness [N,4] of the skin's points."""
    colour = np.tile(_BASE, (len(points.azimuth), 1))

    def tint(target: np.ndarray, amount: np.ndarray) -> None:
        colour[:] = colour * (1 - amount) + target * amount

    tint(_BLUSH, 0.50 * _spot(points, 25, -13, 8.5, 6))  # cheeks
    tint(_BLUSH, 0.34 * _spot(points, 0, -14, 6, 4))  # nose
    tint(_BLUSH, 0.16 * _spot(points, 0, -44, 10, 5))  # chin
    tint(_SHADOW, 0.34 * _spot(points, 21, 6.5, 9, 3.6))  # upper lids
    tint(_SHADOW, 0.16 * _spot(points, 20, -5.5, 7, 2))  # under the eyes
    tint(_NOSTRIL, 0.9 * _spot(points, 2.8, -18.4, 1.5, 1.0))
    distance, thickness, across = lip_coordinates(points)
    lips = (1.0 - _smoothstep(-0.07, 0.09, distance - thickness)) * (1.0 - _smoothstep(0.90, 1.04, np.abs(across)))
    tint(_LIPS * np.array([1.0, 0.96, 0.97]), lips[:, None] * np.where(points.above_mouth, 0.92, 0.82)[:, None])
    scalp = _smoothstep(-1.0, 3.5, points.elevation - hairline(points.azimuth))[:, None]
    tint(HAIR * 0.55, scalp)
    roughness = 0.47 - 0.17 * lips + 0.2 * scalp[:, 0] - 0.05 * _spot(points, 0, -12, 5, 8)[:, 0]
    return with_roughness(colour, roughness)


def skin(topology: Topology, points: SkinPoints) -> Part:
    """The face, scalp and neck."""
    rest = skin_positions(points)

    def deform(pose: Pose) -> np.ndarray:
        positions = rest.copy()
        moved = moved_points(points, pose)
        some = SkinPoints(*(getattr(points, key)[moved] for key in SkinPoints.__dataclass_fields__))
        positions[moved] = skin_positions(some, pose)
        return positions

    distance, thickness, across = lip_coordinates(points)
    groups = {"lips": np.where((distance < thickness) & (np.abs(across) < 1.0))[0]}
    for name, slit in topology.eyes.items():
        groups[f"lidEdge{name}"] = slit.loop
    caps = [np.array(cap)[None] for cap in topology.caps]
    return Part("Skin", rest, [topology.quads, *caps], skin_colours(points), deform, groups)
