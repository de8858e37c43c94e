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
