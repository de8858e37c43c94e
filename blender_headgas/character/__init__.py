# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo head: a whole animatable character made from formulas, with the 52 ARKit-named shape keys."""

import bpy

from .build import build_demo_character
from .operator import HEADGAS_OT_add_demo_character, draw_menu_entry
from .studio import add_studio

classes = (HEADGAS_OT_add_demo_character,)

__all__ = ["HEADGAS_OT_add_demo_character", "add_studio", "build_demo_character", "classes", "draw_menu_entry"]


def register() -> None:
    """Adds the menu entry."""
    bpy.types.VIEW3D_MT_mesh_add.append(draw_menu_entry)


def unregister() -> None:
    """Removes it."""
    bpy.types.VIEW3D_MT_mesh_add.remove(draw_menu_entry)
