# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Eyeballs, the lids' inner rims and the lashes."""

import numpy as np

from .part import Part, grid_faces, mirrored, ramp, with_roughness
from .pose import NEUTRAL, SIDES, Pose
from .skin import SkinPoints, skin_positions
from .surface import EYE_CENTRE, EYE_RADIUS
from .topology import Slit

IRIS_ANGLE, PUPIL_ANGLE = 31.0, 13.0  # degrees from the eye's axis
_SEGMENTS = 72


def _centre(side: float) -> np.ndarray:
    return EYE_CENTRE * [side, 1, 1]


def _gazing(local: np.ndarray, name: str, pose: Pose) -> np.ndarray:
    """Eyeball vertices [V,3] relative to their centre, turned to the pose's gaze and put in place."""
    eye = pose.eyes[name]
    up, left = np.deg2rad(eye.up), np.deg2rad(eye.left)
    x, y, z = local.T
    y, z = y * np.cos(up) + z * np.sin(up), z * np.cos(up) - y * np.sin(up)
    x, y = x * np.cos(left) - y * np.sin(left), y * np.cos(left) + x * np.sin(left)
    return np.stack([x, y, z], axis=1) + _centre(SIDES[name])


def eyeball(name: str) -> Part:
    """A sphere whose pole looks out of the face: pupil, iris with fibres, limbal ring, sclera."""
    rings = np.concatenate(
        [[0.5], np.linspace(5, PUPIL_ANGLE + 1.5, 5), np.linspace(PUPIL_ANGLE + 3.0, IRIS_ANGLE + 3, 14),
         np.linspace(IRIS_ANGLE + 8, 179, 10)]
    )
    turn = np.linspace(0, 2 * np.pi, _SEGMENTS, endpoint=False)
    angle, spin = np.meshgrid(np.deg2rad(rings), turn, indexing="ij")
    angle, spin = angle.ravel(), spin.ravel()
    local = EYE_RADIUS * np.stack([np.sin(angle) * np.cos(spin), -np.cos(angle), np.sin(angle) * np.sin(spin)], axis=1)

    degrees = np.rad2deg(angle)
    fibres = 0.5 * np.sin(spin * 23 + 1.3 * np.sin(spin * 5)) + 0.5 * np.sin(spin * 37 + 2.0 * np.sin(spin * 3 + 1.0))
    inner = (degrees - PUPIL_ANGLE) / (IRIS_ANGLE - PUPIL_ANGLE)
    iris = ramp(inner, [0.0, 0.12, 0.42, 0.75, 0.9, 1.0],
                [(20, 14, 10), (146, 98, 44), (108, 122, 74), (66, 106, 92), (32, 62, 60), (20, 34, 36)])
    iris *= (1.0 + 0.22 * fibres * np.clip(np.sin(np.clip(inner, 0, 1) * np.pi), 0, 1))[:, None]
    sclera = ramp(degrees, [IRIS_ANGLE, 60, 95], [(243, 240, 236), (240, 232, 226), (222, 186, 174)])
    soft = np.clip((degrees - IRIS_ANGLE + 0.4) / 2.4, 0, 1)[:, None]
    colour = iris * (1 - soft) + sclera * soft
    pupil = np.clip((degrees - PUPIL_ANGLE) / 1.2, 0, 1)[:, None]
    colour = colour * pupil + 0.012 * (1 - pupil)
    faces = mirrored(grid_faces(len(rings), _SEGMENTS))
    pole = np.arange(_SEGMENTS)[None]
    return Part(
        "Eye", _gazing(local, name, NEUTRAL), [faces, pole], with_roughness(np.clip(colour, 0, 1), 0.12),
        lambda pose: _gazing(local, name, pose), {f"eyeball{name}": np.arange(len(local))},
    )


def _outwards(loop: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Unit directions [L,3] along the eyeball, away from the opening's middle."""
    normal = loop - centre
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    away = loop - loop.mean(axis=0)
    away -= normal * np.sum(away * normal, axis=1, keepdims=True)
    return away / np.maximum(np.linalg.norm(away, axis=1, keepdims=True), 1e-9)


def lid_rim(name: str, slit: Slit, points: SkinPoints) -> Part:
    """The lids' thickness: three rings from the lid's edge to behind it, hugging the eyeball."""
    edge_points = SkinPoints(*(getattr(points, key)[slit.loop] for key in SkinPoints.__dataclass_fields__))
    centre = _centre(SIDES[name])

    def deform(pose: Pose) -> np.ndarray:
        edge = skin_positions(edge_points, pose)
        middle = skin_positions(edge_points)  # the opening's middle stays put when the lids close
        away = _outwards(middle, centre)
        rings = [edge]
        for slide, distance in ((0.03, EYE_RADIUS + 0.06), (0.07, EYE_RADIUS + 0.005), (0.45, EYE_RADIUS - 0.02)):
            ring = edge + slide * away - centre
            rings.append(centre + ring * (distance / np.linalg.norm(ring, axis=1, keepdims=True)))
        return np.concatenate(rings)

    rest = deform(NEUTRAL)
    count = len(slit.loop)
    tone = ramp(np.repeat([0.0, 1.0, 2.0, 3.0], count), [0, 1, 3], [(196, 128, 112), (205, 138, 124), (170, 100, 92)])
    return Part("Skin", rest, [mirrored(grid_faces(4, count))], with_roughness(tone, 0.35), deform)


def lashes(name: str, slit: Slit, points: SkinPoints) -> Part:
    """Tapered spikes along the upper lid's edge, joined at the roots to a soft dark line."""
    first, last = slit.corners
    upper = slit.loop[first : last + 1]
    if SIDES[name] < 0:
        upper = upper[::-1]  # from the nose outwards on both sides
    keys = SkinPoints.__dataclass_fields__
    edge_points = SkinPoints(*(getattr(points, key)[upper] for key in keys))
    centre, side = _centre(SIDES[name]), SIDES[name]
    count = 21
    place = np.linspace(0.10, 0.985, count)
    length = 0.20 + 0.52 * place**1.5 * (1 - 0.35 * np.clip((place - 0.9) / 0.1, 0, 1))
    width = 0.56 * np.gradient(place)[:, None]

    def along(edge: np.ndarray, at: np.ndarray) -> np.ndarray:
        where = np.linspace(0, 1, len(edge))
        return np.stack([np.interp(at, where, edge[:, axis]) for axis in range(3)], axis=1)

    def deform(pose: Pose) -> np.ndarray:
        edge = skin_positions(edge_points, pose)
        root = along(edge, place)
        left, right = along(edge, np.clip(place - width[:, 0], 0, 1)), along(edge, np.clip(place + width[:, 0], 0, 1))
        normal = (root - centre) / np.linalg.norm(root - centre, axis=1, keepdims=True)
        fan = np.stack([side * (-0.15 + 1.05 * place), np.full(count, -0.30), np.full(count, 0.34)], axis=1)
        stem = normal + 0.55 * fan
        stem /= np.linalg.norm(stem, axis=1, keepdims=True)
        tip = root + length[:, None] * (stem + np.array([0, 0, 0.22]))
        bend = root + 0.55 * length[:, None] * stem
        thick = 0.045 * np.array([0, 0, 1.0])
        half = 0.36 * (right - left)
        return np.stack(
            [left + thick, right + thick, right - thick, left - thick,
             bend - half + thick, bend + half + thick, bend + half - thick, bend - half - thick, tip], axis=1
        ).reshape(-1, 3)

    rest = deform(NEUTRAL)
    base = 9 * np.arange(count)[:, None]
    sides = [[0, 1, 5, 4], [1, 2, 6, 5], [2, 3, 7, 6], [3, 0, 4, 7]]
    tips = [[4, 5, 8], [5, 6, 8], [6, 7, 8], [7, 4, 8]]
    quads = (base[:, None] + np.array(sides)).reshape(-1, 4)
    triangles = (base[:, None] + np.array(tips)).reshape(-1, 3)
    colour = with_roughness(np.tile(np.array([34, 24, 20]) / 255, (len(rest), 1)), 0.5)
    return Part("Hair", rest, [quads, triangles], colour, deform, uv=np.zeros((len(rest), 2)))
