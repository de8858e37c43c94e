# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What triangles cover, against a ray through every sample."""

import numpy as np
import pytest

from blender_headgas.core.cameras import Camera
from blender_headgas.core.depth_raster import covered

_SIZE = 20, 14  # pixels


def _camera(orthographic: bool, near: float = 0.1, far: float = 2.3) -> Camera:
    focal = 9.0 if orthographic else 18.0
    K = np.array([[focal, 0, 10.3], [0, focal * 1.1, 6.6], [0, 0, 1]])
    viewmat = np.eye(4)
    viewmat[:3, 3] = 0.05, -0.1, 2.0
    return Camera(viewmat, K, *_SIZE, near, orthographic, far)


def _by_rays(triangles: np.ndarray, camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    """Share and depth [H,W] as `covered` has them: Möller and Trumbore's intersection, a sample at a time."""
    width, height = _SIZE
    share, depth = np.zeros((height, width)), np.full((height, width), 1e10)
    corners = triangles @ camera.viewmat[:3, :3].T + camera.viewmat[:3, 3]
    for row, column in np.ndindex(height, width):
        found = []
        for v, u in np.ndindex(3, 3):
            x = (column + (u + 0.5) / 3 - camera.K[0, 2]) / camera.K[0, 0]
            y = (row + (v + 0.5) / 3 - camera.K[1, 2]) / camera.K[1, 1]
            start = np.array([x, y, 0.0]) if camera.orthographic else np.zeros(3)
            way = np.array([0.0, 0.0, 1.0]) if camera.orthographic else np.array([x, y, 1.0])
            hits = _hits(start, way, corners)
            hits = hits[(hits >= camera.near) & (hits <= camera.far)]
            found += [hits.min()] if len(hits) else []
        share[row, column] = len(found) / 9
        if found:
            depth[row, column] = np.mean(found) if camera.orthographic else 1 / np.mean(1 / np.array(found))
    return share, depth


def _hits(start: np.ndarray, way: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Where [T] along a ray triangles [T,3,3] are hit; -infinity where not."""
    a, ab, ac = triangles[:, 0], triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]
    normal, side = np.cross(way, ac), np.cross(start - a, ab)
    volume = (normal * ab).sum(1)
    u, v, t = (normal * (start - a)).sum(1) / volume, side @ way / volume, (ac * side).sum(1) / volume
    return np.where((u >= 0) & (v >= 0) & (u + v <= 1), t, -np.inf)


@pytest.mark.parametrize("orthographic", [False, True])
@pytest.mark.parametrize("spread", [0.1, 3.0])  # small ones; and large ones, of which some pass through the camera
def test_every_sample_sees_the_nearest_triangle(orthographic, spread):
    generator = np.random.default_rng(5)
    triangles = generator.normal(size=(12, 1, 3)) * 0.5 + generator.normal(size=(12, 3, 3)) * spread
    camera = _camera(orthographic)
    share, depth = _by_rays(triangles, camera)
    found = covered(triangles, camera)
    same = np.abs(found.share - share) < 1e-6
    assert same.mean() > 0.99 and np.abs(found.share - share).max() < 0.12  # a sample on an edge
    hit = same & (share > 0)
    assert hit.any() and np.abs(found.depth[hit] / depth[hit] - 1).max() < 1e-3
    assert (found.depth[same & (share == 0)] == np.float32(1e10)).all()


def test_bands_and_chunks_change_nothing(monkeypatch):
    from blender_headgas.core import depth_raster

    triangles = np.random.default_rng(6).normal(size=(40, 3, 3))
    whole = covered(triangles, _camera(False))
    monkeypatch.setattr(depth_raster, "_BAND", 5)
    monkeypatch.setattr(depth_raster, "_MOST", 50)
    parts = covered(triangles, _camera(False))
    assert (whole.share == parts.share).all() and (whole.depth == parts.depth).all()


def test_nothing_and_flat_triangles_cover_nothing():
    flat = np.array([[[0.0, 0, 0], [1, 1, 1], [2, 2, 2]]])
    for triangles in (np.empty((0, 3, 3)), flat, flat - np.array([0, 0, 50.0])):
        found = covered(triangles, _camera(False))
        assert not found.share.any() and (found.depth == np.float32(1e10)).all()
