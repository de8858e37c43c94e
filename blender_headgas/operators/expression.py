# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Setting the channels of an avatar."""

import bpy

from ..core.errors import HeadGaSError
from ..core.messages import reportable
from ..rig import avatar_channels, avatar_of


class HEADGAS_OT_reset_expression(bpy.types.Operator):
    """Set every channel of the active avatar to its neutral value"""

    bl_idname = "headgas.reset_expression"
    bl_label = "Reset Expression"
    bl_options = {'REGISTER', 'UNDO'}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        avatar = avatar_of(context.object)
        if avatar is None:
            cls.poll_message_set("Select an avatar first: its control mesh or its armature")
            return False
        if not avatar.data.shape_keys:
            cls.poll_message_set("The control mesh has lost its shape keys: import the avatar again")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            _reset(avatar_of(context.object))
        except HeadGaSError as error:
            self.report({'ERROR'}, reportable(error))
            return {'CANCELLED'}
        return {'FINISHED'}


def _reset(avatar: bpy.types.Object) -> None:
    channels = avatar_channels(avatar)
    keys = avatar.data.shape_keys.key_blocks
    for name, neutral in zip(channels.names, channels.neutral, strict=True):
        if name in keys:
            keys[name].value = neutral
