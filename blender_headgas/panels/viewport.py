# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""How avatars are shown in viewports, and what keeps them from being shown."""

import bpy

from .. import overlay
from ..rig import avatar_of, avatars_in, hiding_modifier, is_hidden
from .lines import characters_of, draw_error


class HEADGAS_PT_viewport(bpy.types.Panel):
    """Avatars in viewports"""

    bl_idname = "HEADGAS_PT_viewport"
    bl_label = "Viewport"
    bl_space_type = 'VIEW_3D'
    bl_region_type = 'UI'
    bl_category = "HeadGaS"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return next(avatars_in(context.scene), None) is not None

    def draw_header(self, context: bpy.types.Context) -> None:
        self.layout.prop(overlay.viewport_settings(context.scene), "show", text="")

    def draw(self, context: bpy.types.Context) -> None:
        layout, settings = self.layout, overlay.viewport_settings(context.scene)
        layout.use_property_split, layout.use_property_decorate = True, False
        _draw_state(layout, characters_of(context.region))
        _draw_hidden(layout, context)
        column = layout.column()
        column.active = settings.show
        column.prop(settings, "mode")
        if settings.mode == 'INFLUENCE':
            column.prop(settings, "parameter")
        column.prop(settings, "fraction")
        column.prop(settings, "scale")
        column.prop(settings, "limit")
        column.prop(settings, "use_view_transform")
        column.prop(settings, "autostart")
        if not overlay.is_exact(context.scene):
            layout.label(text="F12 changes the avatars' colors", icon='INFO')
            layout.operator("headgas.exact_colors")


def _draw_state(layout: bpy.types.UILayout, characters: int) -> None:
    """What the backend does for viewports, and what to do when it does not."""
    drawing = overlay.overlay()
    failure = overlay.failure() or (drawing.failure if drawing else "")
    if failure:
        draw_error(layout, failure, characters)
        row = layout.row()
        row.operator("headgas.retry_viewport", icon='FILE_REFRESH')
        row.operator("preferences.addon_show", text="Preferences", icon='PREFERENCES').module = overlay.EXTENSION
    elif drawing and drawing.waits:
        layout.label(text=drawing.waits, icon='INFO')
        layout.operator("headgas.test_backend", text="Start Backend", icon='PLAY')
    elif drawing and drawing.stage:
        layout.label(text=drawing.stage, icon='TIME')


def _draw_hidden(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """Whether control meshes are seen instead of avatars."""
    avatar = avatar_of(context.object)
    modifier = avatar and avatar.headgas.is_avatar and hiding_modifier(avatar)
    if modifier:
        layout.prop(modifier, "show_viewport", text="In Place of the Mesh", toggle=False)
    if any(not is_hidden(mesh) for mesh in avatars_in(context.scene)):
        layout.operator("headgas.show_avatars", icon='HIDE_OFF')
