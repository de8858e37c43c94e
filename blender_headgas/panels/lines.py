# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Long texts in panels, which Blender does not wrap."""

import textwrap

import bpy


def characters_of(region: bpy.types.Region) -> int:
    """About how many of them fit beside an icon in one line of a panel."""
    interface = bpy.context.preferences.system.ui_scale or 1.0  # 0 without a window
    return max(20, int(region.width / interface / 6.5) - 10)


def draw_error(layout: bpy.types.UILayout, text: str, characters: int) -> None:
    """A text in lines of so many characters, with a warning sign before the first."""
    draw_text(layout, text, characters, 'ERROR')


def draw_text(layout: bpy.types.UILayout, text: str, characters: int, icon: str) -> None:
    """A text in lines of so many characters, with an icon before the first."""
    column = layout.column(align=True)
    lines = [line for paragraph in text.splitlines() for line in textwrap.wrap(paragraph, characters)]
    for number, line in enumerate(lines):
        column.label(text=line, icon='BLANK1' if number else icon)
