# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""A curve in a frame, drawn with pillow."""

import math
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

_WIDTH, _HEIGHT = 640, 320  # pixels
_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 24, 28, 46  # pixels around the frame
_FINE = 3  # drawn this many times larger and reduced: smooth lines
_FONT_SIZE = 13
_INK, _GRID, _CURVE = (40, 40, 40), (222, 222, 222), (42, 125, 70)


def curve_plot(points: Sequence[tuple[float, float]], x_title: str, y_title: str) -> np.ndarray:
    """A curve through points (x, y), if any, x from zero. Returns [H,W,3] uint8."""
    xs, ys = [x for x, _ in points], [y for _, y in points]
    x_ticks = ticks(0.0, max(xs, default=1.0))
    y_ticks = ticks(min(ys, default=0.0), max(ys, default=1.0))
    picture = Image.new("RGB", (_WIDTH * _FINE, _HEIGHT * _FINE), "white")
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(_FONT_SIZE * _FINE)

    def place(x: float, y: float) -> tuple[float, float]:
        across = (x - x_ticks[0]) / (x_ticks[-1] - x_ticks[0]) * (_WIDTH - _LEFT - _RIGHT)
        up = (y - y_ticks[0]) / (y_ticks[-1] - y_ticks[0]) * (_HEIGHT - _TOP - _BOTTOM)
        return (_LEFT + across) * _FINE, (_HEIGHT - _BOTTOM - up) * _FINE

    def write(position: tuple[float, float], text: str, anchor: str) -> None:
        draw.text(position, text, fill=_INK, font=font, anchor=anchor)

    for x in x_ticks:
        draw.line((place(x, y_ticks[0]), place(x, y_ticks[-1])), fill=_GRID, width=_FINE)
        column, row = place(x, y_ticks[0])
        write((column, row + 6 * _FINE), f"{x:,.10g}", "mt")
    for y in y_ticks:
        draw.line((place(x_ticks[0], y), place(x_ticks[-1], y)), fill=_GRID, width=_FINE)
        column, row = place(x_ticks[0], y)
        write((column - 6 * _FINE, row), f"{y:.10g}", "rm")
    write((_WIDTH * _FINE / 2, (_HEIGHT - 6) * _FINE), x_title, "mb")
    write((8 * _FINE, 6 * _FINE), y_title, "lt")
    places, radius = [place(x, y) for x, y in points], 4 * _FINE
    if len(places) > 1:
        draw.line(places, fill=_CURVE, width=2 * _FINE, joint="curve")
    for column, row in places:
        draw.ellipse((column - radius, row - radius, column + radius, row + radius), fill=_CURVE)
    return np.asarray(picture.resize((_WIDTH, _HEIGHT), Image.Resampling.LANCZOS))


def ticks(low: float, high: float) -> list[float]:
    """Round numbers from at most `low` to at least `high`, about five steps of 1, 2 or 5 times a power of ten."""
    span = max(high - low, 1e-3)
    power = 10.0 ** math.floor(math.log10(span / 5))
    step = next(power * factor for factor in (1, 2, 5, 10) if span / (power * factor) <= 5.0 + 1e-9)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(step * number, 10) for number in range(first, max(last, first + 1) + 1)]
