# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which pixels triangles cover, and how far away they are there: for meshes that a renderer gives no depth.

Edge functions after Pineda, "A Parallel Algorithm for Polygon Rasterization", 1988; many triangles at once.
"""

from typing import NamedTuple

import numpy as np

from .cameras import Camera
from .images import DEPTH_OF_NOTHING

_SAMPLES = 3  # along each side of a pixel
_BAND = 96  # rows of samples that are worked on at once
_MOST = 2_000_000  # samples that are looked at at once


class Covered(NamedTuple):
    """What triangles hide of a picture."""

    share: np.ndarray  # [H,W] float32: how much of each pixel they cover
    depth: np.ndarray  # [H,W] float32, metres along the view: the mean of what is nearest; 1e10 where nothing is


def covered(triangles: np.ndarray, camera: Camera) -> Covered:
    """What triangles [T,3,3], corners in the world, cover of a camera's picture; both of their sides are seen."""
    corners = triangles.astype(np.float64) @ camera.viewmat[:3, :3].T + camera.viewmat[:3, 3]
    corners = _clipped(corners, camera.near if camera.orthographic else max(camera.near, 1e-4))
    z = corners[..., 2]
    divisor = np.ones_like(z) if camera.orthographic else z
    points = np.stack([camera.K[axis, axis] * corners[..., axis] / divisor + camera.K[axis, 2] for axis in (0, 1)], -1)
    height, width = camera.height * _SAMPLES, camera.width * _SAMPLES
    # what is linear on the screen and larger where it is nearer: the inverse depth, or of parallel rays its negative
    nearness = -z if camera.orthographic else 1 / z
    nearest = _nearest(points * _SAMPLES, nearness, width, height)
    hit = nearest >= (-camera.far if camera.orthographic else 1 / camera.far)  # where that is beyond, so is the rest
    blocks = (camera.height, _SAMPLES, camera.width, _SAMPLES)
    count = hit.reshape(blocks).sum((1, 3))
    mean = np.where(hit, nearest, 0.0).reshape(blocks).sum((1, 3)) / np.maximum(count, 1)
    depth = -mean if camera.orthographic else 1 / np.where(count > 0, mean, 1.0)
    share = (count / _SAMPLES**2).astype(np.float32)
    return Covered(share, np.where(count > 0, depth, DEPTH_OF_NOTHING).astype(np.float32))


def _clipped(corners: np.ndarray, near: float) -> np.ndarray:
    """The parts of triangles [T,3,3] in camera space that lie beyond a depth, as triangles."""
    beyond = corners[..., 2] >= near
    count = beyond.sum(1)
    kept = [corners[count == 3]]
    for inside in (1, 2):
        cut, flags = corners[count == inside], beyond[count == inside]
        if not len(cut):
            continue
        # the corner that is alone on its side comes first
        first = (flags if inside == 1 else ~flags).argmax(1)
        a, b, c = (cut[np.arange(len(cut)), (first + turn) % 3] for turn in range(3))
        on_ab, on_ac = (_at_depth(a, other, near) for other in (b, c))
        parts = [(a, on_ab, on_ac)] if inside == 1 else [(on_ab, b, c), (on_ab, c, on_ac)]
        kept += [np.stack(part, 1) for part in parts]
    return np.concatenate(kept)


def _at_depth(start: np.ndarray, end: np.ndarray, depth: float) -> np.ndarray:
    """Where the lines from [T,3] to [T,3] have that z."""
    share = (depth - start[:, 2]) / (end[:, 2] - start[:, 2])
    return start + share[:, None] * (end - start)


def _nearest(points: np.ndarray, nearness: np.ndarray, width: int, height: int) -> np.ndarray:
    """The greatest nearness [height,width] at each sample's centre, of triangles [T,3,2] on the screen with nearness
    [T,3] at their corners; -infinity where there is none."""
    edges, values = _functions(points, nearness)
    low, high = np.floor(points.min(1) - 0.5), np.ceil(points.max(1) + 0.5)
    limits = np.array([width, height])
    low, high = np.clip(low, 0, limits).astype(np.int64), np.clip(high, 0, limits).astype(np.int64)
    found = np.full((height, width), -np.inf)
    for top in range(0, height, _BAND):
        bottom = min(top + _BAND, height)
        first, last = np.maximum(low[:, 1], top), np.minimum(high[:, 1], bottom)
        sizes = np.maximum(high[:, 0] - low[:, 0], 0) * np.maximum(last - first, 0)
        seen = np.flatnonzero(sizes)
        ends = np.cumsum(sizes[seen])
        for chunk in np.split(seen, np.searchsorted(ends, np.arange(_MOST, ends[-1] if len(seen) else 0, _MOST))):
            _draw(chunk, sizes, low[:, 0], high[:, 0], first, edges, values, found)
    return found


def _functions(points: np.ndarray, nearness: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients (of x, y and 1) of each triangle's three edge functions [T,3,3], which add up to 1 and are negative
    outside, and of its nearness [T,3]. A triangle without area has none that is ever inside."""
    after, before = np.roll(points, -1, 1), np.roll(points, -2, 1)  # the side opposite each corner
    a, b = after[..., 1] - before[..., 1], before[..., 0] - after[..., 0]
    c = after[..., 0] * before[..., 1] - before[..., 0] * after[..., 1]
    edges = np.stack([a, b, c], -1)
    area = c.sum(1)
    flat = np.abs(area) < 1e-12
    edges /= np.where(flat, 1.0, area)[:, None, None]
    edges[flat] = (0.0, 0.0, -1.0)
    return edges, (edges * nearness[..., None]).sum(1)


def _draw(
    chunk: np.ndarray, sizes: np.ndarray, left: np.ndarray, right: np.ndarray, top: np.ndarray,
    edges: np.ndarray, values: np.ndarray, found: np.ndarray,
) -> None:  # fmt: skip
    """Looks at all samples in the boxes of some triangles, and keeps the nearest in `found`."""
    counts = sizes[chunk]
    of = np.repeat(chunk, counts)
    place = np.arange(len(of)) - np.repeat(np.cumsum(counts) - counts, counts)
    across = (right - left)[of]
    column, row = left[of] + place % across, top[of] + place // across
    x, y = column + 0.5, row + 0.5
    inside = np.ones(len(of), bool)
    for side in range(3):
        a, b, c = edges[of, side].T
        inside &= a * x + b * y + c >= 0
    of, column, row, x, y = of[inside], column[inside], row[inside], x[inside], y[inside]
    a, b, c = values[of].T
    near = a * x + b * y + c
    order = np.argsort(near)  # of equal places the last one, the nearest, stays
    column, row, near = column[order], row[order], near[order]
    found[row, column] = np.maximum(found[row, column], near)
