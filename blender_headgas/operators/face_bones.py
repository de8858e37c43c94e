# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bones that carry the channels, for Blender's pose library and pose tools; and channels of linked avatars."""

import bpy

from ..rig import avatar_of
from ..rig.channels import why_not_editable
from ..rig.face_bones import add_face_bones, has_face_bones, remove_face_bones, save_pose_asset, why_no_face_bones
from .channels import active_avatar
from .reporting import reported


class HEADGAS_OT_add_face_bones(bpy.types.Operator):
    """Move the channels, keys included, to bones of their own, so that pose assets and pose tools work on the face"""

    bl_idname = "headgas.add_face_bones"
    bl_label = "Set Up Pose Library"
    bl_options = {'REGISTER', 'UNDO'}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        avatar = avatar_of(context.object)
        reason = why_not_editable(avatar) or why_no_face_bones(avatar)
        if not reason and has_face_bones(avatar):
            reason = "The armature has its face bones already"
        if reason:
            cls.poll_message_set(reason)
        return not reason

    @reported
    def execute(self, context: bpy.types.Context) -> set[str]:
        count = add_face_bones(context, active_avatar(context))
        self.report({'INFO'}, f"{count} channels are on the face bones now")
        return {'FINISHED'}


class HEADGAS_OT_remove_face_bones(bpy.types.Operator):
    """Give the channels back to the shape keys, values and keys included, and remove the face bones"""

    bl_idname = "headgas.remove_face_bones"
    bl_label = "Remove Face Bones"
    bl_options = {'REGISTER', 'UNDO'}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return _has_face_bones(cls, context, change_bones=True)

    def execute(self, context: bpy.types.Context) -> set[str]:
        count = remove_face_bones(context, active_avatar(context))
        self.report({'INFO'}, f"{count} channels are on the shape keys again")
        return {'FINISHED'}


class HEADGAS_OT_save_pose_asset(bpy.types.Operator):
    """Make a pose asset of the expression, and of nothing else"""

    bl_idname = "headgas.save_pose_asset"
    bl_label = "Save Pose Asset"
    bl_options = {'REGISTER', 'UNDO'}

    pose_name: bpy.props.StringProperty(name="Name", description="Name of the asset", default="Expression")

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return _has_face_bones(cls, context)

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        return context.window_manager.invoke_props_dialog(self)

    def execute(self, context: bpy.types.Context) -> set[str]:
        action = save_pose_asset(active_avatar(context), self.pose_name.strip() or "Expression")
        self.report({'INFO'}, f"The pose asset '{action.name}' is in the asset browser, under Current File")
        return {'FINISHED'}


class HEADGAS_OT_make_channels_editable(bpy.types.Operator):
    """Override the shape keys of a linked avatar too, so that its channels can be set and keyed in this file"""

    bl_idname = "headgas.make_channels_editable"
    bl_label = "Make Channels Editable"
    bl_options = {'REGISTER', 'UNDO'}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        avatar = avatar_of(context.object)
        if avatar is None or avatar.override_library is None or avatar.data.library is None:
            cls.poll_message_set("Only for a library override whose shape keys are still linked")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        avatar = active_avatar(context)
        avatar.override_library.is_system_override = False
        avatar.data = avatar.data.override_create()
        avatar.data.override_library.is_system_override = False
        return {'FINISHED'}


def _has_face_bones(operator: type[bpy.types.Operator], context: bpy.types.Context, change_bones: bool = False) -> bool:
    avatar = avatar_of(context.object)
    reason = why_not_editable(avatar)
    if not reason and not has_face_bones(avatar):
        reason = "The armature has no face bones: press Set Up Pose Library"
    if not reason and change_bones:
        reason = why_no_face_bones(avatar)
    if reason:
        operator.poll_message_set(reason)
    return not reason
