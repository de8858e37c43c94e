# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What rays see of control meshes."""

import bpy


class HEADGAS_OT_hide_control_meshes(bpy.types.Operator):
    """Hide the scene's control meshes from the camera: pictures show avatars in their place. They go on to cast
    shadows and to appear in reflections, as their Ray Visibility says"""

    bl_idname = "headgas.hide_control_meshes"
    bl_label = "Hide Control Meshes from Camera"
    bl_options = {'REGISTER', 'UNDO'}

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Leaves linked objects as they are: they belong to another file."""
        seen = [obj for obj in context.scene.objects if obj.headgas.is_avatar and obj.visible_camera]
        linked = [obj.name for obj in seen if not obj.is_editable]
        for obj in seen:
            if obj.is_editable:
                obj.visible_camera = False
        if linked:
            self.report({'WARNING'}, f"Linked from another file: hide it there, or override {', '.join(linked)}")
        return {'FINISHED'}
