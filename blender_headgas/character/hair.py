# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hair and brows: tapered locks that flow over the head from a side parting."""

import numpy as np

from .part import Part, with_roughness
from .pose import NEUTRAL, SIDES, Pose
from .skin import SkinPoints, skin_positions
from .surface import RAY_ORIGIN, angles, directions, skin_radius

HAIR = np.array([92, 56, 36]) / 255
BROW = np.array([74, 46, 32]) / 255
_AROUND = 6
_PARTING_ROOTS = 20  # on either side
PARTING = 2.6  # cm; the parting runs front to back on the subject's left


def hairline(azimuth: np.ndarray) -> np.ndarray:
    """Elevation in degrees [N] below which no hair grows, over azimuth [N] in degrees."""
    return np.interp(np.abs(azimuth), [0, 18, 34, 48, 62, 74, 84, 96, 110, 128, 180],
                     [41, 41, 37, 27, 20, 12, 8, 10, -4, -26, -34])


def _tube(path: np.ndarray, outward: np.ndarray, width: np.ndarray, thickness: np.ndarray) -> np.ndarray:
    """A lock around a path [n,3]: cross-sections [n,_AROUND,3]; width and thickness [n] are half axes."""
    tangent = np.gradient(path, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    across = np.cross(tangent, outward)
    across /= np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-9)
    up = np.cross(across, tangent)
    turn = np.linspace(0, 2 * np.pi, _AROUND, endpoint=False)
    return (
        path[:, None]
        + (width[:, None] * np.cos(turn))[..., None] * across[:, None]
        + (thickness[:, None] * np.sin(turn))[..., None] * up[:, None]
    )


def _lock_faces(rings: int, locks: int) -> np.ndarray:
    """Quads [F,4] of several tubes with the same number of rings."""
    index = np.arange(rings * _AROUND).reshape(rings, _AROUND)
    following = np.roll(index, -1, axis=1)
    one = np.stack([index[:-1], following[:-1], following[1:], index[1:]], axis=-1).reshape(-1, 4)
    return (one[None] + (np.arange(locks) * rings * _AROUND)[:, None, None]).reshape(-1, 4)


def _lock_uv(rings: int, locks: int, seeds: np.ndarray) -> np.ndarray:
    """Across (with a random offset per lock) and along, [V,2]."""
    across = np.abs(np.linspace(-1, 1, _AROUND, endpoint=False))
    u = np.tile(across, (locks, rings, 1)) + seeds[:, None, None] * 37.0
    v = np.tile(np.linspace(0, 1, rings)[:, None], (locks, 1, _AROUND))
    return np.stack([u, v], axis=-1).reshape(-1, 2)


def _flow(points: np.ndarray) -> np.ndarray:
    """Combing direction [N,3] at scalp points [N,3]: away from the parting, down the sides and the back."""
    x, y, z = points.T
    side = np.where(x > PARTING, 1.0, -1.0)
    front = np.clip((-y - 1.0) / 5.0, 0, 1) * np.clip((z - 3.0) / 4.0, 0, 1)
    back = np.clip((y - 2.0) / 5.0, 0, 1)
    flow = np.stack(
        [side * (1.0 - 0.75 * back) * (0.55 + 0.45 * np.clip(z / 8, 0, 1)),
         -0.55 * front * (side < 0) + 0.35 * (1 - front) + 0.4 * back,
         -0.15 - 0.75 * np.clip(1 - z / 10, 0, 1) - 0.5 * back], axis=1
    )
    return flow


def _scalp_roots(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Azimuth and elevation [N] in degrees, from the lowest to the highest."""
    azimuth, elevation = [], []
    for level in np.arange(-30.0, 89.0, 8.0):
        count = max(3, int(46 * np.cos(np.deg2rad(min(level, 84)))))
        around = np.linspace(-180, 180, count, endpoint=False) + rng.uniform(-3, 3, count) + level * 2.3
        around = (around + 180) % 360 - 180
        height = level + rng.uniform(-2.5, 2.5, count)
        keep = height > hairline(around) + 0.5
        azimuth.append(around[keep])
        elevation.append(height[keep])
    front = np.linspace(-62, 50, 26)  # a row along the hairline, so that the face has a clean frame
    azimuth.append(front)
    elevation.append(hairline(front) + 1.5 + rng.uniform(0, 2, len(front)))
    along = np.linspace(-8.2, 6.0, _PARTING_ROOTS)  # both sides of the parting, so that no scalp shows
    for beside in (-0.12, 0.12):
        spots = np.stack([np.full_like(along, PARTING + beside), along, np.full_like(along, 9.0)], axis=1)
        a, e = angles(spots)
        azimuth.append(a)
        elevation.append(e)
    return np.concatenate(azimuth), np.concatenate(elevation)


def hair(seed: int = 4) -> Part:
    """The hairdo: each lock follows the combing direction over the head and lifts off towards its tip."""
    rng = np.random.default_rng(seed)
    azimuth, elevation = _scalp_roots(rng)
    count, rings = len(azimuth), 10
    rays = directions(azimuth, elevation)
    at = RAY_ORIGIN + skin_radius(rays)[:, None] * rays
    layer = np.clip((elevation + 20) / 100, 0, 1)
    front = np.clip((-at[:, 1] - 2.0) / 4.0, 0, 1) * (elevation > 25)
    length = 4.2 + 3.6 * layer + 1.2 * front + rng.uniform(-0.8, 0.8, count)
    length *= np.where((elevation < 14) & (np.abs(azimuth) < 100), 0.55, 1.0)
    rooted = np.where(np.arange(count) >= count - 2 * _PARTING_ROOTS, 0.42, 0.05)  # the parting has no trough
    wobble = rng.uniform(-0.16, 0.16, (count, 3))
    path = np.empty((count, rings, 3))
    outward = np.empty_like(path)
    for step in range(rings):
        t = step / (rings - 1)
        r = at - RAY_ORIGIN
        ray = r / np.linalg.norm(r, axis=1, keepdims=True)
        surface = skin_radius(ray)
        rise = np.sin(np.pi * min(t * 1.05, 1.0))
        lift = rooted + (0.25 + 0.5 * layer - rooted) * min(t * 4.0, 1.0)
        lift += (0.5 + 0.6 * front) * rise * (0.4 + layer) + 0.12 * t**2
        place = RAY_ORIGIN + (surface + lift)[:, None] * ray
        path[:, step], outward[:, step] = place, ray
        flow = _flow(at) + wobble
        flow -= ray * np.sum(flow * ray, axis=1, keepdims=True)
        flow /= np.maximum(np.linalg.norm(flow, axis=1, keepdims=True), 1e-6)
        at = at + flow * (length / (rings - 1))[:, None]
    t = np.linspace(0, 1, rings)
    profile = np.clip(np.minimum((t + 0.10) / 0.3, 1.0), 0, 1) ** 0.7 * np.maximum(1.0 - t**3.2, 0.03)
    width = rng.uniform(0.75, 1.05, count)
    locks = np.stack(
        [_tube(path[i], outward[i], width[i] * profile, 0.36 * width[i] * profile**0.8) for i in range(count)]
    )
    shade = rng.uniform(0.82, 1.18, count)[:, None, None] * (0.72 + 0.42 * np.sin(np.pi * t**0.8))[:, None]
    colour = HAIR * np.broadcast_to(shade, (count, rings, _AROUND)).reshape(-1, 1)
    start = np.arange(count)[:, None] * rings * _AROUND
    root_caps, tip_caps = start + np.arange(_AROUND)[::-1], start + (rings - 1) * _AROUND + np.arange(_AROUND)
    return Part(
        "Hair", locks.reshape(-1, 3), [_lock_faces(rings, count), root_caps, tip_caps],
        with_roughness(np.clip(colour, 0, 1), 0.42), uv=_lock_uv(rings, count, rng.random(count)),
    )


def brows(name: str, seed: int = 2) -> Part:
    """One brow: short locks along an arch, rooted on the skin so that every slide carries them."""
    rng = np.random.default_rng(seed)
    side, count, rings = SIDES[name], 22, 6
    t = np.linspace(0, 1, count)
    azimuth = 7.0 + 26.5 * t
    elevation = 15.2 + 3.9 * np.sin(np.pi * np.clip(t, 0, 1) ** 0.85 * 0.72) - 3.2 * t**2.2
    steer = np.interp(t, [0, 0.15, 0.5, 1.0], [1.5, 0.75, 0.25, -0.35]) + rng.uniform(-0.10, 0.10, count)
    reach = np.interp(t, [0, 0.2, 0.7, 1.0], [3.4, 5.0, 4.6, 3.0])
    along = np.linspace(-0.35, 1, rings)
    place_a = azimuth[:, None] + reach[:, None] * along * np.cos(steer)[:, None]
    place_e = elevation[:, None] + reach[:, None] * along * np.sin(steer)[:, None] * 0.62 - 0.6
    points = SkinPoints.upper_face(side * place_a.ravel(), place_e.ravel())
    stretch = np.linspace(0, 1, rings)
    profile = np.clip((stretch + 0.02) / 0.5, 0.1, 1) * np.maximum(1 - stretch**2.4, 0.05)
    half = np.interp(t, [0, 0.25, 0.7, 1.0], [0.20, 0.27, 0.22, 0.12])

    def deform(pose: Pose) -> np.ndarray:
        roots = skin_positions(points, pose).reshape(count, rings, 3)
        outward = roots - RAY_ORIGIN
        outward /= np.linalg.norm(outward, axis=-1, keepdims=True)
        lifted = roots + outward * (0.05 + 0.06 * np.sin(np.pi * stretch))[:, None]
        tubes = [_tube(lifted[i], outward[i], half[i] * profile, 0.08 * profile) for i in range(count)]
        return np.stack(tubes).reshape(-1, 3)

    rest = deform(NEUTRAL)
    shade = np.repeat(rng.uniform(0.85, 1.12, count), rings * _AROUND)[:, None]
    start = np.arange(count)[:, None] * rings * _AROUND
    caps = start + np.arange(_AROUND)[::-1]
    return Part(
        "Hair", rest, [_lock_faces(rings, count), caps], with_roughness(BROW * shade, 0.55), deform,
        {f"brow{name}": np.arange(len(rest))}, _lock_uv(rings, count, rng.random(count)),
    )
