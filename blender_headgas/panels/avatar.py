# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The avatar's panels: its file, in the object properties and in the 3D view's sidebar."""

import bpy

from ..core.errors import HeadGaSError
from ..rig import avatar_of, avatar_path, problems
from ..rig.evaluated import header_of
from .lines import characters_of, draw_error


class HEADGAS_PT_avatar_object(bpy.types.Panel):
    """The avatar in the object properties"""

    bl_idname = "HEADGAS_PT_avatar_object"
    bl_label = "HeadGaS"
    bl_space_type = 'PROPERTIES'
    bl_region_type = 'WINDOW'
    bl_context = "object"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return avatar_of(context.object) is not None

    def draw(self, context: bpy.types.Context) -> None:
        _draw_link(self.layout, avatar_of(context.object), characters_of(context.region))


class HEADGAS_PT_avatar_sidebar(bpy.types.Panel):
    """The avatar in the 3D view's sidebar"""

    bl_idname = "HEADGAS_PT_avatar_sidebar"
    bl_label = "Avatar"
    bl_space_type = 'VIEW_3D'
    bl_region_type = 'UI'
    bl_category = "HeadGaS"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return avatar_of(context.object) is not None

    def draw(self, context: bpy.types.Context) -> None:
        _draw_link(self.layout, avatar_of(context.object), characters_of(context.region))
        self.layout.operator("headgas.set_up_scene", icon='VIEW_CAMERA')


def _draw_link(layout: bpy.types.UILayout, avatar: bpy.types.Object, characters: int) -> None:
    """The avatar's file, and what is in it or wrong with it, in lines of so many `characters`."""
    row = layout.row()
    row.use_property_split = True
    row.prop(avatar.headgas, "filepath")
    try:
        header = header_of(avatar_path(avatar))
    except HeadGaSError as error:
        draw_error(layout, str(error), characters)
        return
    space = header.expression_space
    layout.label(text=f"{header.model}, {header.gaussians:,} Gaussians")
    layout.label(text=f"{len(space.names)} channels ({space.kind})")
    for problem in problems(avatar):
        draw_error(layout, problem, characters)
