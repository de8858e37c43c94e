# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What there is to know about the avatars, as text in a viewport."""

from typing import Any

import blf
import bpy

_SIZE, _EDGE = 11, 12  # points; pixels at an interface scale of 1


def draw_lines(context: Any, lines: list[str]) -> None:
    """Draws lines of text into the lower left corner of a viewport, beside its toolbar."""
    if not lines:
        return
    scale = context.preferences.system.ui_scale
    left = _EDGE * scale + _toolbar(context.area)
    color = context.preferences.themes[0].view_3d.space.text_hi
    blf.size(0, _SIZE * scale)
    blf.color(0, *color, 1.0)
    blf.enable(0, blf.SHADOW)
    blf.shadow(0, 3, 0.0, 0.0, 0.0, 1.0)
    for number, line in enumerate(reversed(lines)):
        blf.position(0, left, _EDGE * scale + number * 1.5 * _SIZE * scale, 0)
        blf.draw(0, line)
    blf.disable(0, blf.SHADOW)


def _toolbar(area: bpy.types.Area) -> int:
    """The width of the toolbar where it lies over the viewport."""
    if not bpy.context.preferences.system.use_region_overlap:
        return 0
    return next((region.width for region in area.regions if region.type == 'TOOLS' and region.width > 1), 0)
