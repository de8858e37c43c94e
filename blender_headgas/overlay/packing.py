# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames as textures hold them: 8 bytes a pixel instead of 20, and only where the avatars are.

Blender makes textures of float32 while it draws, and each byte takes some of that time. So a pixel is two floats: red,
green and blue in the one, alpha and depth in the other, 30 bits each. Colours are coded by their square roots, about as
evenly as the eye sees them.
"""

from dataclasses import dataclass, replace

import numpy as np

from ..client import Picture
from ..core.cameras import Camera

WHITE, BRIGHTEST = 806, 1023  # the codes of 1.0, and of the brightest linear colour: (1023 / 806)² = 1.61
NOTHING = (1 << 20) - 1  # the depth's code where nothing is
NORMAL = 1 << 23  # what has it added is neither zero, tiny, infinite nor no number: drivers leave its bits alone
_SEEN = 1e-3  # alpha
_EDGE = 4  # pixels around what is seen: lines are drawn there
_FAR = 1e9  # metres
_ROWS = 64  # at a time: they stay in the processor's cache


@dataclass(frozen=True, eq=False)
class PackedFrame:
    """What is seen of a picture."""

    words: np.ndarray  # [h,w,2] float32, row 0 on top
    coverage: np.ndarray | None  # [A,h,w] float32
    camera: Camera  # of these pixels alone
    near: float  # metres, the depth whose code is 0
    step: float  # metres from one code to the next


def packed(picture: Picture, camera: Camera) -> PackedFrame:
    """Packs the picture [H,W] that `camera` took."""
    rows, columns = _seen(picture.image[..., 3])
    image, depth = picture.image[rows, columns], picture.depth[rows, columns]
    hit = depth < _FAR
    near = float(depth.min()) if hit.any() else 0.0
    step = max(float(np.max(depth, where=hit, initial=near)) - near, 1e-6) / (NOTHING - 1)
    words = np.empty((*depth.shape, 2), np.uint32)
    for start in range(0, len(depth), _ROWS):
        part = slice(start, start + _ROWS)
        _pack(words[part], image[part], depth[part], near, step)
    coverage = None if picture.coverage is None else np.ascontiguousarray(picture.coverage[:, rows, columns])
    K = camera.K.copy()
    K[:2, 2] -= columns.start, rows.start
    camera = replace(camera, K=K, width=depth.shape[1], height=depth.shape[0])
    return PackedFrame(words.view(np.float32), coverage, camera, near, step)


def _pack(words: np.ndarray, image: np.ndarray, depth: np.ndarray, near: float, step: float) -> None:
    roots = np.sqrt(np.maximum(image, 0.0))
    roots *= WHITE
    roots += 0.5
    codes = np.minimum(roots, BRIGHTEST, out=roots).astype(np.uint32)
    steps = (depth - np.float32(near)) * np.float32(1.0 / step)
    steps += 0.5
    depths = np.minimum(steps, NOTHING, out=steps).astype(np.uint32)
    words[..., 0] = (codes[..., 0] | codes[..., 1] << 10 | codes[..., 2] << 20) + NORMAL
    words[..., 1] = (depths | codes[..., 3] << 20) + NORMAL


def _seen(alpha: np.ndarray) -> tuple[slice, slice]:
    """The rows and columns of an alpha [H,W] where something is, and a little around; one pixel where nothing is."""
    seen = alpha > _SEEN
    spans = []
    for axis in (1, 0):
        where = np.flatnonzero(seen.any(axis))
        low, high = (where[0] - _EDGE, where[-1] + 1 + _EDGE) if len(where) else (0, 1)
        spans.append(slice(max(0, int(low)), min(int(high), seen.shape[1 - axis])))
    return spans[0], spans[1]
