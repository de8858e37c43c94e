# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a viewport is rendered, how finely, and through which camera."""

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ..core.cameras import Camera, PixelRegion, cropped, intrinsics, is_orthographic, opencv_viewmat
from .packing import STRIP

MARGIN = 0.15  # of a control mesh's diagonal: hair and open jaws reach beyond it
_STEP = 16  # pixels; the region's edges lie on multiples, so that small moves keep its size
_FINENESSES = (1.0, 0.5, 0.25)  # of a viewport's pixels
_OUTWARD = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], np.float64)  # of sorted corners
_QUICK = 0.04  # seconds; a frame that takes longer is rendered coarsely while something moves


@dataclass(frozen=True, eq=False)
class View:
    """How a viewport sees the world."""

    view: np.ndarray  # [4,4] float64, world to camera space as OpenGL has it
    projection: np.ndarray  # [4,4] float64, camera to clip space
    width: int  # pixels
    height: int  # pixels

    @cached_property
    def key(self) -> tuple:
        """Equal for equal views."""
        return self.view.tobytes(), self.projection.tobytes(), self.width, self.height

    @cached_property
    def to_clip(self) -> np.ndarray:
        """[4,4] float64, world to clip space."""
        return self.projection @ self.view


def camera_of(view: View) -> Camera:
    """The camera that renders all of a viewport."""
    projection = view.projection
    orthographic = is_orthographic(projection)
    scale, offset = projection[2, 2], projection[2, 3]  # of the depth
    near = (1.0 + offset) / scale if orthographic else offset / (scale - 1.0)  # where OpenGL has -1
    far = (offset - 1.0) / scale if orthographic else offset / min(scale + 1.0, -1e-9)  # where it has 1
    return Camera(
        viewmat=opencv_viewmat(np.linalg.inv(view.view)),
        K=intrinsics(projection, view.width, view.height),
        width=view.width,
        height=view.height,
        near=float(near),
        orthographic=orthographic,
        far=float(far),
    )


def around(corners: np.ndarray, margin: float) -> np.ndarray:
    """The corners [8,3] of a box, sorted, moved away from its centre by `margin` of its diagonal along each axis."""
    return corners + margin * math.dist(corners[0].tolist(), corners[7].tolist()) * _OUTWARD


def region_of(view: View, corners: np.ndarray) -> PixelRegion | None:
    """The part of the viewport that the world's points `corners` [n,3] span; None where they are out of sight.

    A box that reaches behind the camera may be anywhere: then it is all of the viewport. Few numbers, at many redraws:
    each of numpy's functions would take longer than all of this.
    """
    clip = (corners @ view.to_clip[:, :3].T + view.to_clip[:, 3]).tolist()
    before = [(x / w, y / w) for x, y, _, w in clip if w > 1e-6]
    if not before:
        return None
    if len(before) < len(clip):
        return PixelRegion(0, 0, view.width, view.height)
    (left, right), (bottom, top) = (
        _steps(min(ends), max(ends), size)
        for ends, size in zip(zip(*before, strict=True), (view.width, view.height), strict=True)
    )
    return PixelRegion(left, bottom, right - left, top - bottom) if right > left and top > bottom else None


def _steps(first: float, last: float, size: int) -> tuple[int, int]:
    """From where to where in pixels, within a viewport of `size`; the ends are told from -1 to 1."""
    low, high = ((end + 1) / 2 * size / _STEP for end in (first, last))
    return max(0, min(size, math.floor(low) * _STEP)), max(0, min(size, math.ceil(high) * _STEP))


def camera_for(view: View, region: PixelRegion, fineness: float) -> Camera:
    """The camera that renders a region of the viewport with `fineness` of its pixels."""
    whole = camera_of(view)
    width, height = max(1, round(region.width * fineness)), max(1, round(region.height * fineness))
    K = cropped(whole.K, view.height, region)
    K[0] *= width / region.width
    K[1] *= height / region.height
    return replace(whole, K=K, width=width, height=height)


def fineness_of(region: PixelRegion, limit: int, restless: bool, pace: float | None) -> float:
    """The share of the viewport's pixels that is rendered.

    Args:
        limit: pixels of the longer side, at most.
        restless: something moves; then a frame must be quick.
        pace: seconds per pixel of the last frame; None before the first.
    """
    finest = min(1.0, limit / max(region.width, region.height))
    if not restless:
        return finest
    pixels = region.width * region.height * finest**2
    most = math.sqrt(STRIP / pixels)  # one redraw takes it in
    if pace is None:
        return finest * min(_FINENESSES[-1], most)
    quick = (share for share in _FINENESSES if share <= most and pixels * share**2 * pace <= _QUICK)
    return finest * next(quick, min(_FINENESSES[-1], most))


def is_cut(alpha: np.ndarray, region: PixelRegion, view: View) -> bool:
    """Whether something opaque [H,W], row 0 on top, touches an edge of its region that is not the viewport's own."""
    edges = (
        (alpha[:, 0], region.x > 0),
        (alpha[:, -1], region.x + region.width < view.width),
        (alpha[-1], region.y > 0),
        (alpha[0], region.y + region.height < view.height),
    )
    return any(inside and bool((edge > 1 / 255).any()) for edge, inside in edges)
