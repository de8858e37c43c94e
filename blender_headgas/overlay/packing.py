# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames as textures hold them: 8 bytes a pixel instead of 20, only where the avatars are, and in strips.

Blender makes textures of float32 while it draws, and each byte takes some of that time. So a pixel is two floats: red,
green and blue in the one, alpha, the avatar and depth in the other, 30 bits each. Colours are coded by their square
roots, about as evenly as the eye sees them; depths by the logarithm of 1 m more than their distance from the nearest,
so that something far away takes little from what is near. A redraw makes one strip, and a frame is drawn when it has
all of them: thus no redraw takes longer the larger a frame is.
"""

from dataclasses import dataclass, replace

import numpy as np

from ..client import Picture
from ..core.cameras import Camera

WHITE, BRIGHTEST = 806, 1023  # the codes of 1.0, and of the brightest linear colour: (1023 / 806)² = 1.61
NOTHING = (1 << 16) - 1  # the depth's code where nothing is
NOBODY = 15  # where no avatar has half a pixel to itself; the avatars are 0 to 14
NORMAL = 1 << 23  # what has it added is neither zero, tiny, infinite nor no number: drivers leave its bits alone
STRIP = 384 * 1024  # pixels that a redraw takes in, about
SHARED = 4  # rows that neighbouring strips both have, on each side: a line is drawn from what is around it
_SEEN = 1e-3  # alpha
_HALF = 0.5  # of alpha, from which a pixel is an avatar's
_EDGE = 4  # pixels around what is seen: lines are drawn there
_FAR = 1e9  # metres
_FINEST = 1e-7  # of a depth's logarithm: what float32 tells apart
_ROWS = 64  # at a time: they stay in the processor's cache


@dataclass(frozen=True, eq=False)
class PackedFrame:
    """What is seen of a picture."""

    words: np.ndarray  # [h,w,2] float32, row 0 on top
    camera: Camera  # of these pixels alone
    near: float  # metres, the depth whose code is 0
    step: float  # of the logarithm, from one code to the next

    def strips(self) -> list[tuple[int, int]]:
        """The first row of each strip, and the one behind its last."""
        height, width = self.words.shape[:2]
        count = -(-height * width // STRIP)
        ends = [round(number * height / count) for number in range(count + 1)]
        return list(zip(ends[:-1], ends[1:], strict=True))

    def rows(self, start: int, end: int) -> np.ndarray:
        """The words of a strip, and of the rows that it shares with its neighbours."""
        return self.words[max(0, start - SHARED) : end + SHARED]


def packed(picture: Picture, camera: Camera) -> PackedFrame:
    """Packs the picture [H,W] that `camera` took."""
    rows, columns = _seen(picture.image[..., 3])
    image, depth = picture.image[rows, columns], picture.depth[rows, columns]
    owners = image[..., 3:4] if picture.coverage is None else np.moveaxis(picture.coverage[:, rows, columns], 0, -1)
    hit = depth < _FAR
    near = float(depth.min()) if hit.any() else 0.0
    span = float(np.max(depth, where=hit, initial=near)) - near
    step = max(float(np.log1p(span)) / (NOTHING - 1), _FINEST)
    words = np.empty((*depth.shape, 2), np.uint32)
    for start in range(0, len(depth), _ROWS):
        part = slice(start, start + _ROWS)
        _pack(words[part], image[part], depth[part], owners[part, :, :NOBODY], near, step)
    K = camera.K.copy()
    K[:2, 2] -= columns.start, rows.start
    camera = replace(camera, K=K, width=depth.shape[1], height=depth.shape[0])
    return PackedFrame(words.view(np.float32), camera, near, step)


def _pack(
    words: np.ndarray, image: np.ndarray, depth: np.ndarray, owners: np.ndarray, near: float, step: float
) -> None:
    """owners: each avatar's part of alpha [h,w,A]."""
    roots = np.sqrt(np.maximum(image, 0.0))
    roots *= WHITE
    roots += 0.5
    codes = np.minimum(roots, BRIGHTEST, out=roots).astype(np.uint32)
    steps = depth - np.float32(near - 1.0)
    np.log(steps, out=steps)
    steps *= np.float32(1.0 / step)
    steps += 0.5
    np.clip(steps, 0.0, NOTHING - 1, out=steps)
    np.copyto(steps, NOTHING, where=depth >= _FAR)
    owner = np.full(depth.shape, NOBODY << 16, np.uint32)
    for avatar in range(owners.shape[2]):
        np.copyto(owner, avatar << 16, where=owners[..., avatar] >= _HALF)
    words[..., 0] = (codes[..., 0] | codes[..., 1] << 10 | codes[..., 2] << 20) + NORMAL
    words[..., 1] = (steps.astype(np.uint32) | owner | codes[..., 3] << 20) + NORMAL


def _seen(alpha: np.ndarray) -> tuple[slice, slice]:
    """The rows and columns of an alpha [H,W] where something is, and a little around; one pixel where nothing is."""
    seen = alpha > _SEEN
    spans = []
    for axis in (1, 0):
        where = np.flatnonzero(seen.any(axis))
        low, high = (where[0] - _EDGE, where[-1] + 1 + _EDGE) if len(where) else (0, 1)
        spans.append(slice(max(0, int(low)), min(int(high), seen.shape[1 - axis])))
    return spans[0], spans[1]
