# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""A curve as a small picture for a panel."""

from collections.abc import Sequence

import numpy as np

SIZE = 128  # pixels of each side
_MARGIN = 6  # pixels
_THICK = 1.6  # pixels: half of the line's width
_LINE, _FILL, _GRID = (0.36, 0.72, 0.45, 1.0), (0.09, 0.18, 0.11, 0.25), (0.2, 0.2, 0.2, 0.4)  # on any theme
_LINES = 5.0  # dB between two lines of the grid


def curve_picture(seconds: Sequence[float], values: Sequence[float]) -> np.ndarray:
    """RGBA [SIZE,SIZE,4] float32 with premultiplied alpha, row 0 at the bottom, as Blender draws icons.

    A line of the grid for every 5 dB; what is below the lower twentieth of the values is cut, as training begins with
    noise.
    """
    picture = np.zeros((SIZE, SIZE, 4), np.float32)
    if len(values) < 2:
        return picture
    x, y = np.asarray(seconds, np.float64), np.asarray(values, np.float64)
    low, high = float(np.quantile(y, 0.05)), float(y.max())
    high = max(high, low + 1.0)
    inner = SIZE - 2 * _MARGIN
    columns = np.arange(inner)
    at = x[0] + (x[-1] - x[0]) * columns / (inner - 1)
    heights = (np.clip(np.interp(at, x, y), low, high) - low) / (high - low) * (inner - 1)  # [inner] pixels
    rows = np.arange(inner)[:, None]
    area = picture[_MARGIN : _MARGIN + inner, _MARGIN : _MARGIN + inner]
    area[rows <= heights] = _FILL
    for level in np.arange(np.ceil(low / _LINES) * _LINES, high, _LINES):
        area[round((level - low) / (high - low) * (inner - 1))] = _GRID
    slope = np.abs(np.gradient(heights))
    reach = _THICK * np.sqrt(1 + slope**2)  # a steep line covers more rows
    cover = np.clip(reach + 0.5 - np.abs(rows - heights), 0, 1)[..., None].astype(np.float32)
    area[:] = area * (1 - cover) + np.array(_LINE, np.float32) * cover
    return picture
