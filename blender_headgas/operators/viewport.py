# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Avatars in viewports: showing them, their colours, and what to do when they don't come."""

import bpy

from .. import overlay
from ..rig import avatars_in, hide_mesh


class HEADGAS_OT_show_avatars(bpy.types.Operator):
    """Show all avatars of the scene in viewports, in place of their control meshes"""

    bl_idname = "headgas.show_avatars"
    bl_label = "Show Avatars"
    bl_options = {'REGISTER', 'UNDO'}

    def execute(self, context: bpy.types.Context) -> set[str]:
        for mesh in avatars_in(context.scene):
            if mesh.is_editable:
                hide_mesh(mesh)
        return {'FINISHED'}


class HEADGAS_OT_exact_colors(bpy.types.Operator):
    """Set the scene's view transform to Standard, which shows avatars in the colors that they were trained with"""

    bl_idname = "headgas.exact_colors"
    bl_label = "Set View Transform to Standard"
    bl_options = {'REGISTER', 'UNDO'}

    def execute(self, context: bpy.types.Context) -> set[str]:
        view = context.scene.view_settings
        view.view_transform = 'Standard'
        view.look, view.exposure, view.gamma, view.use_curve_mapping = 'None', 0.0, 1.0, False
        if hasattr(view, "use_white_balance"):  # since 4.3
            view.use_white_balance = False
        return {'FINISHED'}


class HEADGAS_OT_retry_viewport(bpy.types.Operator):
    """Ask the backend for the avatars in viewports again"""

    bl_idname = "headgas.retry_viewport"
    bl_label = "Try Again"

    def execute(self, _context: bpy.types.Context) -> set[str]:
        drawing = overlay.overlay()
        if drawing is not None:
            drawing.retry()
        return {'FINISHED'}
