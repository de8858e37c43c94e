# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The skin in a pose: lids, lips and slides on the grid, projected on the form, then turned with the jaw."""

from dataclasses import dataclass, replace

import numpy as np

from .pose import NEUTRAL, SIDES, Pose, Slide
from .surface import EYE_CENTRE, EYE_RADIUS, RAY_ORIGIN, directions, skin_radius
from .topology import EYE_AZIMUTH, EYE_ELEVATION, EYE_HALF_WIDTH, MOUTH_ELEVATION, MOUTH_HALF_WIDTH, Topology

JAW_HINGE = np.array([0.0, 0.4, -2.2])
DEGREES_PER_CM_EYE, CM_PER_DEGREE_MOUTH = 6.1, 0.19
# The corners of the resting mouth turn up a little.
_FRIENDLY = tuple(Slide(side * MOUTH_HALF_WIDTH, MOUTH_ELEVATION, 5.5, 6.0, move_elevation=1.5) for side in (1, -1))
LID_REACH_UP, LID_REACH_DOWN = 7.5, 7.0  # degrees over which a lid's movement fades out


@dataclass(frozen=True)
class SkinPoints:
    """Points on the skin by their resting place on the grid; all arrays [N], angles in degrees."""

    azimuth: np.ndarray
    elevation: np.ndarray
    above_mouth: np.ndarray
    above_eyes: np.ndarray
    jaw: np.ndarray  # share of the jaw's movement, 0 to 1

    @classmethod
    def upper_face(cls, azimuth: np.ndarray, elevation: np.ndarray) -> "SkinPoints":
        """Points above the eyes, where brows and hair grow."""
        over = np.ones(len(azimuth), bool)
        return cls(azimuth, elevation, over, over, np.zeros(len(azimuth)))


def _gauss(x: np.ndarray, width: float) -> np.ndarray:
    return np.exp(-0.5 * (x / width) ** 2)


def _lid_offset(points: SkinPoints, pose: Pose) -> np.ndarray:
    """Degrees [N] by which the lids move the skin up or down."""
    offset = np.zeros(len(points.azimuth))
    distance = np.abs(points.elevation - EYE_ELEVATION)
    for name, side in SIDES.items():
        eye = pose.eyes[name]
        u = np.clip((points.azimuth * side - EYE_AZIMUTH) / EYE_HALF_WIDTH, -1.0, 1.0)  # -1 at the nose
        arch = np.sqrt(np.maximum(1.0 - u * u, 0.0))
        upper = eye.upper * arch**1.15 * (1.0 - 0.10 * u)
        lower = -eye.lower * arch**1.35 * (1.0 + 0.14 * u)
        near = np.exp(-(np.maximum(np.abs(points.azimuth * side - EYE_AZIMUTH) / EYE_HALF_WIDTH - 1.0, 0.0) ** 2) * 6.0)
        tilt = 0.10 * u * near * np.exp(-distance / 6.0)
        lid = np.where(
            points.above_eyes, upper * np.exp(-distance / LID_REACH_UP), lower * np.exp(-distance / LID_REACH_DOWN)
        )
        offset += (lid + tilt) * DEGREES_PER_CM_EYE
    return offset


def lip_coordinates(points: SkinPoints) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distance from the mouth's slit (cm), the lip's thickness (cm), and across in -1..1; all [N]."""
    across = points.azimuth / MOUTH_HALF_WIDTH
    bow = 1.0 - 0.20 * _gauss(across, 0.10) + 0.10 * _gauss(np.abs(across) - 0.24, 0.13)
    upper = 0.60 * bow * np.maximum(1.0 - np.abs(across) ** 1.6, 0.0) + 0.04
    lower = 0.86 * np.maximum(1.0 - np.abs(across) ** 2.2, 0.0) ** 0.8 + 0.04
    distance = np.abs(points.elevation - MOUTH_ELEVATION) * CM_PER_DEGREE_MOUTH
    return distance, np.where(points.above_mouth, upper, lower), across


def _relief(points: SkinPoints) -> np.ndarray:
    """Centimetres [N] that lips and small forms add to the form."""
    distance, thickness, across = lip_coordinates(points)
    taper = np.sqrt(np.maximum(1.0 - across**2, 0.0))
    fullness = np.where(points.above_mouth, 0.27 - 0.04 * _gauss(across, 0.12), 0.35)
    lips = fullness * taper**0.9 * np.exp(-(((distance / thickness - 0.42) / 0.46) ** 2))
    a, e = np.abs(points.azimuth), points.elevation
    philtrum = -0.09 * _gauss(a, 1.6) * _gauss(e + 23.0, 2.2) + 0.05 * _gauss(a - 3.4, 1.4) * _gauss(e + 23.4, 2.0)
    chin_fold = -0.16 * _gauss(a, 7.0) * _gauss(e + 36.2, 1.7)
    corner = -0.14 * _gauss(a - MOUTH_HALF_WIDTH - 0.4, 1.6) * _gauss(e - MOUTH_ELEVATION, 1.8)
    return lips + philtrum + chin_fold + corner


def _slid(points: SkinPoints, pose: Pose) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Azimuth, elevation (degrees) and swelling (cm), each [N], after the pose's slides."""
    azimuth, elevation = points.azimuth.copy(), points.elevation.copy()
    swell = np.zeros(len(azimuth))
    for slide in _FRIENDLY + pose.slides:
        away = points.azimuth - slide.azimuth
        weight = _gauss(away, slide.width) * _gauss(points.elevation - slide.elevation, slide.height)
        if slide.lip:
            weight = weight * (points.above_mouth == (slide.lip > 0))
        azimuth += weight * (slide.move_azimuth - slide.squeeze * away)
        elevation += weight * slide.move_elevation
        swell += weight * slide.swell
    return azimuth, elevation, swell


def _lid_clearance(positions: np.ndarray, points: SkinPoints) -> np.ndarray:
    """Positions [N,3] with the skin near the eyes pushed out where it would touch an eyeball."""
    result = positions.copy()
    for side in SIDES.values():
        centre = EYE_CENTRE * [side, 1, 1]
        r = result - centre
        distance = np.linalg.norm(r, axis=1)
        close = (distance < EYE_RADIUS + 0.12) & (r[:, 1] < 0)
        result[close] = centre + r[close] * ((EYE_RADIUS + 0.12) / distance[close])[:, None]
    return result


def turn_jaw(positions: np.ndarray, weight: np.ndarray, pose: Pose) -> np.ndarray:
    """Positions [N,3] turned about the jaw's hinge by the share weight [N] of the pose's jaw."""
    angle = np.deg2rad(pose.jaw_open) * weight
    r = positions - JAW_HINGE
    turned = np.stack(
        [
            r[:, 0] + weight * pose.jaw_left,
            r[:, 1] * np.cos(angle) - r[:, 2] * np.sin(angle) - weight * pose.jaw_forward,
            r[:, 1] * np.sin(angle) + r[:, 2] * np.cos(angle),
        ],
        axis=1,
    )
    return turned + JAW_HINGE


def skin_positions(points: SkinPoints, pose: Pose = NEUTRAL) -> np.ndarray:
    """Where the points are in a pose: [N,3] in centimetres."""
    azimuth, elevation, swell = _slid(points, pose)
    rays = directions(azimuth, elevation + _lid_offset(points, pose))
    radius = skin_radius(rays) + _relief(points) + swell
    held = pose.lips_held * _gauss(points.elevation - MOUTH_ELEVATION, 4.5)
    return turn_jaw(_lid_clearance(RAY_ORIGIN + radius[:, None] * rays, points), points.jaw * (1.0 - held), pose)


def moved_points(points: SkinPoints, pose: Pose) -> np.ndarray:
    """Mask [N] of the points that a pose can move: the rest needs no projection."""
    azimuth, elevation, swell = _slid(points, pose)
    rest_azimuth, rest_elevation, _ = _slid(points, NEUTRAL)
    lids = _lid_offset(points, pose) - _lid_offset(points, NEUTRAL)
    moved = np.maximum(np.abs(azimuth - rest_azimuth), np.abs(elevation - rest_elevation) + np.abs(lids))
    jaw = abs(pose.jaw_open) + abs(pose.jaw_left) + abs(pose.jaw_forward)
    return (moved > 2e-3) | (np.abs(swell) > 1e-4) | ((points.jaw > 1e-4) & (jaw > 0))


def jaw_weights(topology: Topology) -> np.ndarray:
    """Share [V] of the jaw's movement: harmonic between the lower lip and chin (1) and the skull (0).

    Harmonic weights flow around the corners of the mouth, because the slit has no edges across.
    """
    a, e = np.abs(topology.azimuth), topology.elevation
    upper, lower = topology.above_mouth, ~topology.above_mouth
    one = lower & (((a < 9.5) & (e > -45)) | ((a < 24) & (e < -36) & (e > -50)))
    zero = (upper & (a < 11.5)) | (e > -9) | (e < -64) | (a > 88)
    free = ~(one | zero)
    weight = one.astype(float)
    weight[free] = 0.4
    edges = np.concatenate([topology.quads[:, [i, (i + 1) % 4]] for i in range(4)])
    start, end = np.concatenate([edges, edges[:, ::-1]]).T
    degree = np.maximum(np.bincount(start, minlength=len(a)), 1)
    for _ in range(500):
        mean = np.bincount(start, weight[end], minlength=len(a)) / degree
        weight[free] = mean[free]
    return weight


def grid_points(topology: Topology) -> SkinPoints:
    """The topology's vertices as points with their jaw weights."""
    points = SkinPoints(
        topology.azimuth, topology.elevation, topology.above_mouth, topology.above_eyes, np.zeros(len(topology.azimuth))
    )
    return replace(points, jaw=jaw_weights(topology))
