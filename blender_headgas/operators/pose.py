# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copying an expression from an avatar and pasting it to another, through the clipboard."""

import bpy

from ..core.arkit import mirrored
from ..core.pose import parse_pose, pose_text
from ..rig import avatar_of
from ..rig.channels import channels_of
from .channels import ScopedOperator, active_avatar, change
from .reporting import reported


class HEADGAS_OT_copy_pose(bpy.types.Operator):
    """Copy the values of all channels to the clipboard, as text. Bones are not included"""

    bl_idname = "headgas.copy_pose"
    bl_label = "Copy Pose"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        avatar = avatar_of(context.object)
        if avatar is None or not channels_of(avatar):
            cls.poll_message_set("Select an avatar with channels first")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        values = {channel.name: channel.key.value for channel in channels_of(active_avatar(context))}
        context.window_manager.clipboard = pose_text(values)
        self.report({'INFO'}, f"{len(values)} channels copied")
        return {'FINISHED'}


class HEADGAS_OT_paste_pose(ScopedOperator, bpy.types.Operator):
    """Set the channels that the copied pose names to its values. Other channels stay"""

    bl_idname = "headgas.paste_pose"
    bl_label = "Paste Pose"
    bl_options = {'REGISTER', 'UNDO'}

    use_mirror: bpy.props.BoolProperty(
        name="Mirrored",
        description="Paste what the left channels show to the right ones and the other way round",
        options={'SKIP_SAVE'},
    )
    text: bpy.props.StringProperty(
        name="Text",
        description="The pose as Copy Pose writes it; empty to take what is in the clipboard",
        options={'HIDDEN', 'SKIP_SAVE'},
    )

    def draw(self, context: bpy.types.Context) -> None:
        super().draw(context)
        self.layout.prop(self, "use_mirror")

    @reported
    def execute(self, context: bpy.types.Context) -> set[str]:
        self.text = self.text or context.window_manager.clipboard  # stays while the user changes the other options
        values = parse_pose(self.text)
        if self.use_mirror:
            values = {mirrored(name): value for name, value in values.items()}
        wanted = {channel: values[channel.name] for channel in self.chosen(context) if channel.name in values}
        if not wanted:
            self.report({'ERROR'}, "The pose has none of these channels: it was copied from another kind of avatar")
            return {'CANCELLED'}
        change(context, self, wanted)
        return {'FINISHED'}
