# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What there is to know about the avatars, as text in a viewport."""

import textwrap
from collections.abc import Iterable
from typing import Any

import blf
import bpy

_SIZE, _EDGE = 11, 12  # points; pixels at an interface scale of 1
_LEAST = 20  # characters of a line, however narrow the viewport is


def draw_lines(context: Any, lines: list[str]) -> None:
    """Draws lines of text into the lower left corner of a viewport, between its toolbar and its sidebar."""
    if not lines:
        return
    scale = context.preferences.system.ui_scale
    left = _EDGE * scale + _covered(context.area, 'TOOLS')
    right = context.region.width - _EDGE * scale - _covered(context.area, 'UI')
    color = context.preferences.themes[0].view_3d.space.text_hi
    blf.size(0, _SIZE * scale)
    blf.color(0, *color, 1.0)
    blf.enable(0, blf.SHADOW)
    blf.shadow(0, 3, 0.0, 0.0, 0.0, 1.0)
    for number, line in enumerate(reversed(wrapped(lines, right - left))):
        blf.position(0, left, _EDGE * scale + number * 1.5 * _SIZE * scale, 0)
        blf.draw(0, line)
    blf.disable(0, blf.SHADOW)


def wrapped(lines: Iterable[str], width: float) -> list[str]:
    """The lines, those broken that are wider than so many pixels in the size of letters that is set."""
    shown = []
    for line in lines:
        shown += textwrap.wrap(line, max(_LEAST, int(len(line) * width / max(blf.dimensions(0, line)[0], 1.0))))
    return shown


def _covered(area: bpy.types.Area, kind: str) -> int:
    """The width of the toolbar or the sidebar where it lies over the viewport."""
    if not bpy.context.preferences.system.use_region_overlap:
        return 0
    return next((region.width for region in area.regions if region.type == kind and region.width > 1), 0)
