# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the viewports of a scene show its avatars."""

import bpy


def redraw_viewports() -> None:
    """Has every 3D viewport drawn again."""
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == 'VIEW_3D':
                area.tag_redraw()


def _redraw(_settings: bpy.types.PropertyGroup, _context: bpy.types.Context) -> None:
    redraw_viewports()


class HeadGaSViewportSettings(bpy.types.PropertyGroup):
    """How the viewports of a scene show its avatars"""

    show: bpy.props.BoolProperty(
        name="Avatars",
        description="Show avatars as the backend renders them; else their control meshes stand in for them",
        default=True,
        update=_redraw,
    )
    autostart: bpy.props.BoolProperty(
        name="Start the Backend", description="Start the backend as soon as an avatar is seen", default=True
    )
    limit: bpy.props.IntProperty(
        name="Resolution Limit",
        description="The longer side of what is rendered, in pixels; larger views are enlarged from that",
        default=1024,
        min=64,
        soft_max=4096,
        subtype='PIXEL',
        update=_redraw,
    )


def viewport_settings(scene: bpy.types.Scene) -> HeadGaSViewportSettings:
    """The settings of a scene."""
    return scene.headgas_viewport


def register_settings() -> None:
    """Adds `Scene.headgas_viewport`."""
    bpy.types.Scene.headgas_viewport = bpy.props.PointerProperty(type=HeadGaSViewportSettings)


def unregister_settings() -> None:
    """Removes it."""
    del bpy.types.Scene.headgas_viewport
