# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of channels that a capture moves: found, added by hand, switched on and off, taken away."""

import bpy

from ..capture.finding import bone_channel, found_channels, properties_of
from ..core.errors import HeadGaSError
from .capture import has_character
from .reporting import reported

_KINDS = {'TURN': "ROT", 'MOVE': "LOC", 'SIZE': "SCALE"}


class HEADGAS_OT_find_capture_channels(bpy.types.Operator):
    """Make the list anew: the character's free shape keys, and the bones and properties that drive the others"""

    bl_idname = "headgas.find_capture_channels"
    bl_label = "Find Channels"
    bl_options = {'REGISTER', 'UNDO'}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return has_character(cls, context)

    @reported
    def execute(self, context: bpy.types.Context) -> set[str]:
        settings = context.scene.headgas_capture
        channels = found_channels(settings.character, settings.collection)
        if not channels:
            raise HeadGaSError(
                f'"{settings.character.name}" has no shape keys that can be moved',
                "Select the bones that make its expressions in Pose Mode, and press Add Bones",
            )
        settings.channels.clear()
        self.report({'INFO'}, f"{settings.add(channels)} channels found")
        return {'FINISHED'}


class HEADGAS_OT_add_capture_bones(bpy.types.Operator):
    """Add the selected bones (Pose Mode) to the list"""

    bl_idname = "headgas.add_capture_bones"
    bl_label = "Add Bones"
    bl_options = {'REGISTER', 'UNDO'}

    kind: bpy.props.EnumProperty(
        name="Kind",
        description="What of them",
        items=(
            ('TURN', "Rotation", "About each axis"),
            ('MOVE', "Location", "Along each axis"),
            ('SIZE', "Scale", "Along each axis"),
            ('PROPERTIES', "Custom Properties", "Numbers that the bones carry"),
        ),
    )
    axes: bpy.props.BoolVectorProperty(name="Axes", description="Of the bone", subtype='XYZ', default=(True,) * 3)

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not has_character(cls, context):
            return False
        if not context.selected_pose_bones:
            cls.poll_message_set("Select bones in Pose Mode first")
            return False
        return True

    @reported
    def execute(self, context: bpy.types.Context) -> set[str]:
        found = []
        for bone in context.selected_pose_bones:
            if self.kind == 'PROPERTIES':
                found += properties_of(bone.id_data, bone)
                continue
            axes = [axis for axis, wanted in zip("XYZ", self.axes, strict=True) if wanted]
            found += [bone_channel(bone.id_data, bone.name, f"{_KINDS[self.kind]}_{axis}") for axis in axes]
        added = context.scene.headgas_capture.add(channel for channel in found if channel is not None)
        if not added:
            self.report({'WARNING'}, "Nothing was added: the list has it already, or there are no such properties")
            return {'CANCELLED'}
        self.report({'INFO'}, f"{added} channels added")
        return {'FINISHED'}


class HEADGAS_OT_add_capture_properties(bpy.types.Operator):
    """Add the active object's custom properties that are numbers to the list"""

    bl_idname = "headgas.add_capture_properties"
    bl_label = "Add Properties"
    bl_options = {'REGISTER', 'UNDO'}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not has_character(cls, context):
            return False
        if context.object is None or not properties_of(context.object, context.object):
            cls.poll_message_set("The active object has no custom properties that are numbers and have no driver")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        added = context.scene.headgas_capture.add(properties_of(context.object, context.object))
        self.report({'INFO'}, f"{added} channels added")
        return {'FINISHED'}


class HEADGAS_OT_edit_capture_channels(bpy.types.Operator):
    """Switch channels of the list on and off, or take one away"""

    bl_idname = "headgas.edit_capture_channels"
    bl_label = "Edit Channels"
    bl_options = {'REGISTER', 'UNDO', 'INTERNAL'}

    action: bpy.props.EnumProperty(
        name="Action",
        items=(('ALL', "All", "Use all"), ('NONE', "None", "Use none"), ('REMOVE', "Remove", "Take the active away")),
    )

    def execute(self, context: bpy.types.Context) -> set[str]:
        settings = context.scene.headgas_capture
        if self.action == 'REMOVE':
            settings.channels.remove(settings.active)
            settings.active = max(0, min(settings.active, len(settings.channels) - 1))
        else:
            for row in settings.channels:
                row.use = self.action == 'ALL'
        return {'FINISHED'}
