# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Planes of pixels in Blender's render results, which keep the bottom row first."""

import bpy
import numpy as np


def read_plane(render_pass: bpy.types.RenderPass, width: int, height: int) -> np.ndarray:
    """A pass [H,W,C], or [H,W] of one channel, float32, row 0 on top."""
    channels = render_pass.channels
    values = np.empty(width * height * channels, np.float32)
    render_pass.rect.foreach_get(values)
    return values.reshape((height, width, channels) if channels > 1 else (height, width))[::-1]


def write_plane(render_pass: bpy.types.RenderPass, plane: np.ndarray) -> None:
    """Fills a pass with a plane [H,W,C] or [H,W], row 0 on top."""
    render_pass.rect.foreach_set(np.ascontiguousarray(plane[::-1], np.float32).ravel())


def check_size(result: bpy.types.RenderResult, width: int, height: int) -> None:
    """Raises RuntimeError where a result is not as large as what was rendered for it."""
    if (result.resolution_x, result.resolution_y) != (width, height):
        size = f"{result.resolution_x}x{result.resolution_y}"
        raise RuntimeError(f"Blender wants {size} pixels, we rendered {width}x{height}")
