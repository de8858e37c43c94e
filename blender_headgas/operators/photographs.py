# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Comparing an avatar with the photographs of its capture."""

from pathlib import Path

import bpy

from ..core.messages import listed
from ..core.photographs import read_photographs
from ..rig.photographs import add_comparison, comparison_cameras, remove_comparison
from .photograph_drawing import update_drawing
from .reporting import reported
from .selection import has_avatar, look_through_camera, selected_avatars


class HEADGAS_OT_compare_with_capture(bpy.types.Operator):
    """Look at the active avatar through the cameras of a capture, with the photograph of each frame"""

    bl_idname = "headgas.compare_with_capture"
    bl_label = "Compare With Capture…"
    bl_options = {'REGISTER', 'UNDO'}

    filepath: bpy.props.StringProperty(subtype='FILE_PATH', options={'HIDDEN', 'SKIP_SAVE'})
    filter_glob: bpy.props.StringProperty(default="*.json", options={'HIDDEN'})
    start: bpy.props.IntProperty(
        name="First Frame", description="The scene's frame of the first photograph", default=1, options={'SKIP_SAVE'}
    )
    use_size: bpy.props.BoolProperty(
        name="Render at Their Size",
        description="Set the scene's resolution to the size of the photographs",
        default=False,
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return has_avatar(cls, context)

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        self.start = context.scene.frame_start
        context.window_manager.fileselect_add(self)
        return {'RUNNING_MODAL'}

    @reported
    def execute(self, context: bpy.types.Context) -> set[str]:
        capture = read_photographs(Path(bpy.path.abspath(self.filepath)))
        add_comparison(context.scene, selected_avatars(context)[0], capture, self.start, self.use_size)
        update_drawing()
        look_through_camera(context)
        missing = capture.missing()
        if missing:
            self.report({'WARNING'}, f"{capture.folder} lacks {listed(missing)}")
        self.report({'INFO'}, f"{len(capture.frames)} photographs from frame {self.start} on")
        return {'FINISHED'}


class HEADGAS_OT_clear_comparison(bpy.types.Operator):
    """Remove the photographs and their camera from the scene"""

    bl_idname = "headgas.clear_comparison"
    bl_label = "Clear Comparison"
    bl_options = {'REGISTER', 'UNDO'}

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        if not any(comparison_cameras()):
            cls.poll_message_set("There are no photographs")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        remove_comparison(context.scene)
        update_drawing()
        return {'FINISHED'}
