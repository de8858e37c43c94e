# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The areas of Blender's windows, and having them drawn again."""

from collections.abc import Iterator

import bpy


def areas(*kinds: str) -> Iterator[bpy.types.Area]:
    """The areas of these types in all windows; none in the background."""
    for window in bpy.context.window_manager.windows:
        yield from (area for area in window.screen.areas if area.type in kinds)


def redraw(*kinds: str) -> None:
    """Has all areas of these types drawn again; 3D viewports, with their sidebars, where none is named."""
    for area in areas(*(kinds or ('VIEW_3D',))):
        area.tag_redraw()
