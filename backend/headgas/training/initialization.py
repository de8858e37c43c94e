# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where Gaussians start: on the head's surface, from the best that a capture offers."""

import logging

import numpy as np
import torch
from torch import Tensor

from headgas.captures import Capture, Frame
from headgas.errors import HeadGaSError

log = logging.getLogger(__name__)

_VIEWS = 24  # frames that carve the hull or give depth: more add little
_GRID = 96  # voxels along each edge of the hull's bounds
_HULL_SHELL = 2  # voxels: how thick a shell of the hull is filled
_HULL_SEEN = 0.75  # of the frames: what lies outside most pictures is not carved by them
_HULL_REACH = 0.03  # metres from the surface: hair lies there; a hull of few views bulges far beyond
_HULL_SHARE = 0.35  # of the points, where the capture knows a surface too
_JITTER = 1e-3  # metres: no two Gaussians start at the same place


def starting_points(capture: Capture, count: int, generator: np.random.Generator) -> Tensor:
    """Points [count,3] in head space: on the surface that the capture knows, and on its visual hull.

    A surface from the capture's own points or from depth images is exact, but hair and lashes are often missing in it;
    the hull is coarse and holds everything that the mattes hold.

    Raises:
        HeadGaSError: there is nothing to start from.
    """
    frames = capture.split("train")
    chosen = [frames[i] for i in np.linspace(0, len(frames) - 1, min(_VIEWS, len(frames))).round().astype(int)]
    surface = capture.load_points()
    if surface is None:
        surface = _points_from_depth(chosen)
    hull = _visual_hull(chosen)
    if not len(hull) and surface is None:
        raise HeadGaSError(
            f"{capture.path}: the mattes of its frames have no common volume, so there is nothing to start from.",
            "Are the cameras right? `headgas check` looks at each frame.",
        )
    if surface is None or not len(surface):
        parts = [(hull, count)]
    else:
        if len(hull):
            from scipy.spatial import cKDTree  # type: ignore[attr-defined]  # scipy has no stubs

            hull = hull[cKDTree(surface).query(hull, distance_upper_bound=_HULL_REACH)[0] < _HULL_REACH]
        from_hull = round(_HULL_SHARE * count) if len(hull) else 0
        parts = [(surface, count - from_hull), (hull, from_hull)]
    log.info("starting from %s", " and ".join(f"{n} points of {len(source)}" for source, n in parts))
    points = np.concatenate([source[generator.choice(len(source), n, replace=len(source) < n)] for source, n in parts])
    jitter = generator.normal(0.0, _JITTER, points.shape)
    return torch.from_numpy((points + jitter).astype(np.float32))


def _points_from_depth(frames: list[Frame]) -> np.ndarray | None:
    """Unprojects the depth images: K⁻¹ (u, v, 1) z in camera space, then into head space."""
    clouds = []
    for frame in frames:
        if frame.depth is not None and not frame.depth.is_file():
            log.warning("%s is missing: starting without the capture's depth", frame.depth)
            return None
        depth = frame.load_depth()
        if depth is None:
            return None
        v, u = np.nonzero(depth > 0)
        z = depth[v, u]
        pixels = np.stack([u + 0.5, v + 0.5, np.ones_like(z)], -1)
        camera_space = (pixels @ np.linalg.inv(frame.K).T) * z[:, None]
        clouds.append((camera_space - frame.viewmat[:3, 3]) @ frame.viewmat[:3, :3])
    return np.concatenate(clouds) if clouds else None


def _visual_hull(frames: list[Frame]) -> np.ndarray:
    """Centres of the voxels near the surface of the volume that every matte covers."""
    center, radius = _bounds(frames)
    axis = ((np.arange(_GRID) + 0.5) / _GRID * 2 - 1).astype(np.float32)
    grid = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3) * np.float32(radius)
    grid += center.astype(np.float32)
    left, points = np.arange(len(grid)), grid  # what no view has carved away yet: soon a part of the grid
    views = np.zeros(len(grid), np.int16)
    for frame in frames:
        projection = (frame.K @ frame.viewmat[:3]).astype(np.float32)
        u, v, z = projection[:, :3] @ points.T + projection[:, 3:]
        behind = z <= 0
        z[behind] = 1
        u, v = u / z, v / z
        visible = (u >= 0) & (u < frame.width) & (v >= 0) & (v < frame.height) & ~behind
        head = frame.load_rgba()[..., 3] > 0.5
        kept = ~visible
        kept[visible] = head[v[visible].astype(np.int32), u[visible].astype(np.int32)]
        views[left] += visible
        left, points = left[kept], points[kept]
    inside = np.zeros(len(grid), bool)
    inside[left] = views[left] >= _HULL_SEEN * len(frames)
    volume = inside.reshape(_GRID, _GRID, _GRID)
    core = volume.copy()
    for _ in range(_HULL_SHELL):
        core = _eroded(core)
    return grid[(volume & ~core).ravel()].astype(np.float32)


def _eroded(volume: np.ndarray) -> np.ndarray:
    padded = np.pad(volume, 1)
    n = volume.shape[0]
    result = volume.copy()
    for axis in range(3):
        for offset in (0, 2):
            window = [slice(1, n + 1)] * 3
            window[axis] = slice(offset, offset + n)
            result &= padded[tuple(window)]
    return result


def _bounds(frames: list[Frame]) -> tuple[np.ndarray, float]:
    """A ball that the head fits in: where the rays through the mattes' centres meet, and how far they spread."""
    normal_sum, point_sum = np.zeros((3, 3)), np.zeros(3)
    rays = []
    for frame in frames:
        alpha = frame.load_rgba()[..., 3] > 0.5
        if not alpha.any():
            continue
        v, u = np.nonzero(alpha)
        spread = 0.5 * max(np.ptp(u), np.ptp(v)) / frame.K[0, 0]
        middle = np.array([(u.min() + u.max() + 1) / 2, (v.min() + v.max() + 1) / 2, 1.0])
        direction = frame.viewmat[:3, :3].T @ (np.linalg.inv(frame.K) @ middle)
        direction /= np.linalg.norm(direction)
        origin = -frame.viewmat[:3, :3].T @ frame.viewmat[:3, 3]
        across = np.eye(3) - np.outer(direction, direction)
        normal_sum += across
        point_sum += across @ origin
        rays.append((origin, spread))
    if not rays:
        raise HeadGaSError("All mattes are empty: there is no head in this capture.")
    # A single camera's rays almost coincide: a weak pull to the head's origin keeps the solution finite.
    center = np.linalg.solve(normal_sum + 1e-3 * np.eye(3), point_sum)
    radius = max(np.linalg.norm(center - origin) * spread for origin, spread in rays)
    return center, 1.2 * float(radius)
