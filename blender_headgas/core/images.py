# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Arithmetic on rendered images. Scene-linear, premultiplied, float32."""

import numpy as np

DEPTH_OF_NOTHING = 1e10  # metres; what Blender's Depth pass holds where nothing is hit
_ROUNDING = 1e-4  # far above that of float32 depths, and far below what is seen
_WIDEST_EDGE = 32  # pixels that a blurred edge may be away from where its depth was measured


def over_colour(image: np.ndarray, colour: np.ndarray, hidden: np.ndarray | None = None) -> np.ndarray:
    """The image [H,W,4] over one colour [3]; opaque, but where holdouts hide the colour behind.

    hidden: [H,W] how much of each pixel holdouts hide, beside what the image covers.
    """
    alpha = np.ones_like(image[..., 3:]) if hidden is None else 1 - hidden[..., None]
    return np.concatenate([image[..., :3] + (alpha - image[..., 3:]) * np.asarray(colour, np.float32), alpha], -1)


def shows_what_is_behind(scene: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """Where [H,W] a rendered image [H,W,4] has a surface in its depth [H,W] (metres) that covers its pixel in part."""
    alpha = scene[..., 3]
    return (depth < DEPTH_OF_NOTHING) & (alpha > 0) & (alpha < 1)


def depth_of_soft_edges(scene: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """The depth [H,W] (metres) of a rendered image [H,W,4], also where something covers a pixel in part, but not where
    the renderer measured: at blurred edges. It is the nearest of its neighbours there, and from them on of theirs.
    """
    filled, partly = depth.copy(), (scene[..., 3] > 0) & (scene[..., 3] < 1)
    for _ in range(_WIDEST_EDGE):
        missing = partly & (filled >= DEPTH_OF_NOTHING)
        around = _neighbours(filled, DEPTH_OF_NOTHING).min(0)
        found = missing & (around < DEPTH_OF_NOTHING)
        if not found.any():
            break
        filled[found] = around[found]
    return filled


def hides_nothing(limit: np.ndarray, covered: np.ndarray, farthest: float) -> bool:
    """Whether a depth limit [H,W] (metres) lies behind all of a picture wherever it has `covered` [H,W] anything.

    farthest: metres, of the picture's farthest part.
    """
    return bool((limit[covered > 0] > farthest * (1 + _ROUNDING) + _ROUNDING).all())


def grown(mask: np.ndarray) -> np.ndarray:
    """A mask [H,W] bool with the pixels around it: renderers blur edges over more than their own pixel."""
    return np.logical_or.reduce(_neighbours(mask, False))


def _neighbours(plane: np.ndarray, outside: float) -> np.ndarray:
    """A plane [H,W] shifted by at most a pixel, in all ways: [9,H,W]; `outside` is what comes in."""
    padded = np.pad(plane, 1, constant_values=outside)
    height, width = plane.shape
    return np.stack([padded[y : y + height, x : x + width] for y in range(3) for x in range(3)])


def merged(
    scene: np.ndarray, depth: np.ndarray, front: np.ndarray, whole: np.ndarray, hidden: np.ndarray, cut: np.ndarray
) -> np.ndarray:
    """Avatars within another renderer's image, [H,W,4].

    Args:
        scene: [H,W,4]; depth: [H,W] metres, one surface a pixel.
        front: [H,W,4] the avatars as far as they are not behind that surface.
        whole: [H,W,4] all of the avatars: what the surface hides shows through where it is transparent or soft-edged.
        hidden: [H,W] how much of a pixel avatars that are holdouts hide of the scene.
        cut: [H,W] bool, where holdouts that the renderer knows made the scene's alpha smaller.
    """
    image = front + (1 - front[..., 3:] - hidden[..., None]) * scene
    through = np.where(shows_what_is_behind(scene, depth) & ~cut, 1 - scene[..., 3], 0)
    return image + through[..., None] * (whole - front)
