# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Blender character becomes a capture."""

import bpy

from .capture import capture_character
from .operator import HEADGAS_OT_capture_character, draw_menu_entry
from .sampler import sample

classes = (HEADGAS_OT_capture_character,)

__all__ = ["HEADGAS_OT_capture_character", "capture_character", "classes", "sample"]


def register() -> None:
    """Adds the menu entry."""
    bpy.types.VIEW3D_MT_object.append(draw_menu_entry)


def unregister() -> None:
    """Removes it."""
    bpy.types.VIEW3D_MT_object.remove(draw_menu_entry)
