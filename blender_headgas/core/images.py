# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Arithmetic on rendered images. Scene-linear, premultiplied, float32."""

import numpy as np

DEPTH_OF_NOTHING = 1e10  # metres; what Blender's Depth pass holds where nothing is hit


def over_colour(image: np.ndarray, colour: np.ndarray) -> np.ndarray:
    """The opaque image [H,W,4] of `image` [H,W,4] over one colour [3]."""
    behind = 1.0 - image[..., 3:]
    opaque = np.ones_like(image)
    opaque[..., :3] = image[..., :3] + behind * np.asarray(colour, np.float32)
    return opaque


def shows_what_is_behind(scene: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """Where [H,W] a rendered image [H,W,4] has a surface in its depth [H,W] (metres) that covers its pixel in part."""
    alpha = scene[..., 3]
    return (depth < DEPTH_OF_NOTHING) & (alpha > 0) & (alpha < 1)


def merged(scene: np.ndarray, depth: np.ndarray, front: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Avatars within another renderer's image, [H,W,4].

    Args:
        scene: [H,W,4]; depth: [H,W] metres, one surface a pixel.
        front: [H,W,4] the avatars as far as they are not behind that surface.
        whole: [H,W,4] all of the avatars: what the surface hides shows through where it is transparent or soft-edged.
    """
    image = front + (1 - front[..., 3:]) * scene
    through = np.where(shows_what_is_behind(scene, depth), 1 - scene[..., 3], 0)
    return image + through[..., None] * (whole - front)
