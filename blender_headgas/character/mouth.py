# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The mouth behind the lips: cavity, teeth, gums and tongue."""

import numpy as np

from .part import Part, grid_faces, joined, mirrored, ramp, with_roughness
from .pose import NEUTRAL, Pose
from .skin import SkinPoints, skin_positions, turn_jaw
from .topology import Slit

MOUTH_Z = -5.75  # where the lips meet, in the middle
_UPPER_WIDTHS = [0.52, 0.42, 0.45, 0.44, 0.44, 0.50, 0.52]  # from the middle outwards, cm
_LOWER_WIDTHS = [0.34, 0.37, 0.40, 0.44, 0.44, 0.50, 0.52]
_UPPER_HEIGHTS = [0.98, 0.88, 0.96, 0.84, 0.80, 0.76, 0.72]
_LOWER_HEIGHTS = [0.80, 0.80, 0.88, 0.80, 0.76, 0.74, 0.70]


def _jawed(positions: np.ndarray, weight: np.ndarray, pose: Pose) -> np.ndarray:
    return turn_jaw(positions, weight, pose)


def cavity(slit: Slit, points: SkinPoints) -> Part:
    """From the lips' edges inwards: the lips' inner roll, then a bag around the teeth that opens with the jaw."""
    edge_points = SkinPoints(*(getattr(points, key)[slit.loop] for key in SkinPoints.__dataclass_fields__))
    count, (first, last) = len(slit.loop), slit.corners
    turn = np.concatenate(
        [np.linspace(np.pi, 0.0, last - first + 1), np.linspace(0.0, -np.pi, count - last + first + 1)[1:-1]]
    )
    down = 0.5 - 0.5 * np.sin(turn)  # the jaw's share: 0 at the palate, 1 under the tongue
    rest = skin_positions(edge_points)
    shapes = [(-7.05, 2.6, 1.0, 1.25, 0.35), (-5.2, 2.9, 1.25, 1.5, 0.1), (-2.8, 1.7, 1.0, 1.1, 0.0),
              (-1.6, 0.3, 0.2, 0.2, 0.0)]  # y, half width, up, down, share of the lips' movement

    def deform(pose: Pose) -> np.ndarray:
        edge = skin_positions(edge_points, pose)
        side = np.sin(turn)[:, None]
        jaw = points.jaw[slit.loop]
        drawn = (edge - turn_jaw(rest, jaw, pose)).mean(axis=0)
        roll = np.array([0, 0.32, 0.0]) + side * np.array([0, 0, 0.10])
        inner = np.array([0, 0.75, 0.0]) + side * np.array([0, 0, 0.42])
        rings = [edge, edge + roll, edge + inner]
        for y, width, up, low, share in shapes:
            ring = np.stack(
                [width * np.cos(turn), y + 0.12 * np.cos(turn) ** 2 * width,
                 MOUTH_Z + np.where(np.sin(turn) > 0, up, low) * np.sin(turn)], axis=1
            )
            rings.append(_jawed(ring, down, pose) + share * drawn)
        return np.concatenate(rings)

    positions = deform(NEUTRAL)
    depth = np.repeat(np.arange(7.0), count)
    colour = ramp(depth, [0, 1, 2, 3, 5, 6], [(201, 108, 102), (176, 74, 74), (160, 60, 62), (126, 44, 48),
                                             (60, 20, 24), (30, 8, 10)])
    faces = mirrored(grid_faces(7, count))
    end = (6 * count + np.arange(count))[None]
    return Part("Mouth", positions, [faces, end], with_roughness(colour, 0.30), deform)


def _ball(columns: int, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Unit sphere: positions [V,3] and quads [F,4], its poles at +Z and -Z."""
    spin = np.linspace(0, 2 * np.pi, columns, endpoint=False)
    fall = np.linspace(0.02, np.pi - 0.02, rows)
    f, s = np.meshgrid(fall, spin, indexing="ij")
    return (
        np.stack([np.sin(f) * np.cos(s), np.sin(f) * np.sin(s), np.cos(f)], axis=-1).reshape(-1, 3),
        mirrored(grid_faces(rows, columns)),
    )


def _arch(t: np.ndarray, width: float, front: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x, y [N] and heading (radians) [N] along a dental arch, t in -1..1."""
    a = t * 1.35
    return width * np.sin(a), front + 2.1 * (1.0 - np.cos(a)), a


def _tooth_row(upper: bool) -> tuple[np.ndarray, np.ndarray]:
    """Rounded teeth on an arch: positions [V,3], quads [F,4]."""
    sizes = np.array(_UPPER_WIDTHS if upper else _LOWER_WIDTHS)
    heights = np.array(_UPPER_HEIGHTS if upper else _LOWER_HEIGHTS)
    width, front = (2.42, -7.62) if upper else (2.24, -7.38)
    fine = np.linspace(0, 1, 400)
    x, y, _ = _arch(fine, width, front)
    length = np.concatenate([[0], np.cumsum(np.hypot(np.diff(x), np.diff(y)))])
    middle = np.cumsum(sizes) - sizes / 2
    places = np.interp(middle, length, fine)
    ball, faces = _ball(14, 9)
    block = np.sign(ball) * np.abs(ball) ** 0.5
    edge = MOUTH_Z + (-0.20 if upper else -0.24)
    pieces = []
    for sign in (1, -1):
        for place, size, height in zip(places, sizes, heights, strict=True):
            cx, cy, heading = (float(v[0]) for v in _arch(np.array([sign * place]), width, front))
            tooth = block * [0.52 * size, 0.20, 0.5 * height]
            turned = np.stack(
                [tooth[:, 0] * np.cos(heading) - tooth[:, 1] * np.sin(heading),
                 tooth[:, 0] * np.sin(heading) + tooth[:, 1] * np.cos(heading), tooth[:, 2]], axis=1
            )
            cz = edge + (0.5 * height if upper else -0.5 * height)
            pieces.append((turned + [cx, cy, cz], faces))
    return joined(pieces)


def _gum(upper: bool) -> tuple[np.ndarray, np.ndarray]:
    """A rounded band that the teeth stand in."""
    width, front = (2.44, -7.48) if upper else (2.26, -7.24)
    x, y, heading = _arch(np.linspace(-1.0, 1.0, 40), width, front)
    spin = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    z = MOUTH_Z + (0.84 if upper else -1.28)
    out = 0.30 * np.cos(spin)[None, :, None] * np.stack([np.sin(heading), -np.cos(heading), 0 * heading], -1)[:, None]
    up = 0.42 * np.sin(spin)[None, :, None] * np.array([0, 0, 1.0])
    ring = np.stack([x, y, np.full_like(x, z)], axis=1)[:, None] + out + up
    return ring.reshape(-1, 3), grid_faces(40, 12)


def teeth_and_gums() -> list[Part]:
    """Both rows; the lower one follows the jaw, the upper one nothing."""
    parts = []
    for upper, name in ((True, "teethUpper"), (False, "teethLower")):
        for kind, (positions, faces) in (("Teeth", _tooth_row(upper)), ("Mouth", _gum(upper))):
            whole = np.ones(len(positions))
            deform = None if upper else (lambda pose, p=positions, w=whole: _jawed(p, w, pose))
            if kind == "Teeth":
                colour = with_roughness(np.tile(np.array([246, 240, 226]) / 255, (len(positions), 1)), 0.18)
                groups = {name: np.arange(len(positions))}
            else:
                colour = with_roughness(np.tile(np.array([205, 116, 112]) / 255, (len(positions), 1)), 0.25)
                groups = {}
            parts.append(Part(kind, positions, [faces], colour, deform, groups))
    return parts


def tongue() -> Part:
    """A soft flat ellipsoid with a furrow, lying in the jaw; it can stick out."""
    ball, faces = _ball(28, 18)
    ball = ball[:, [0, 2, 1]] * [1, -1, 1]  # the pole becomes the tip
    local = ball * np.stack([np.full(len(ball), 1.25), np.full(len(ball), 2.3), np.full(len(ball), 0.42)], axis=1)
    local[:, 2] -= 0.14 * np.exp(-((local[:, 0] / 0.22) ** 2)) * (ball[:, 2] > 0)
    local[:, 2] += 0.10 * (1 - ball[:, 1] ** 2)
    rest = local + [0, -4.95, MOUTH_Z - 0.62]
    front = np.clip(0.5 - 0.5 * ball[:, 1], 0, 1)

    def deform(pose: Pose) -> np.ndarray:
        out = pose.tongue_out * front[:, None] * np.array([0, -2.7, 1.05])
        out[:, 2] -= pose.tongue_out * 6.0 * np.clip(front - 0.78, 0, 1) ** 2  # the tip hangs down a little
        return _jawed(rest + out, np.ones(len(rest)), pose)

    colour = ramp(front, [0, 1], [(170, 76, 80), (228, 126, 124)])
    return Part("Mouth", rest, [mirrored(faces)], with_roughness(colour, 0.28), deform)
