# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Avatars in the pictures of EEVEE and other engines, through the compositor."""

import bpy

from ..engine import second_scene
from .reporting import reported


class HEADGAS_OT_set_up_compositing(bpy.types.Operator):
    """Render the avatars in a second scene and have the compositor put them into this one's picture, by depth. Your own
    nodes stay; the view layer's Depth pass is switched on"""

    bl_idname = "headgas.set_up_compositing"
    bl_label = "Show Avatars in Compositor"
    bl_options = {'REGISTER', 'UNDO'}

    @reported
    def execute(self, context: bpy.types.Context) -> set[str]:
        """For the active view layer."""
        second = second_scene.set_up(context.scene, context.view_layer)
        bpy.ops.headgas.hide_control_meshes()
        self.report({'INFO'}, f"The scene '{second.name}' renders the avatars")
        return {'FINISHED'}


class HEADGAS_OT_remove_compositing(bpy.types.Operator):
    """Remove the second scene of avatars, and what the compositor has for it"""

    bl_idname = "headgas.remove_compositing"
    bl_label = "Remove Avatars from Compositor"
    bl_options = {'REGISTER', 'UNDO'}

    @reported
    def execute(self, context: bpy.types.Context) -> set[str]:
        """Leaves the user's own nodes as they were."""
        second_scene.remove(context.scene)
        return {'FINISHED'}
