# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Setting the channels of an avatar: back to rest, back into the seen range, mirrored."""

import bpy

from ..core.arkit import mirrored
from ..rig import avatar_of
from ..rig.channels import channel_of, channels_of, neutral_values, seen_ranges
from .channels import ChannelsOperator, ScopedOperator, active_avatar, change
from .reporting import reported


class HEADGAS_OT_reset_expression(ScopedOperator, bpy.types.Operator):
    """Set channels of the active avatar to their neutral values"""

    bl_idname = "headgas.reset_expression"
    bl_label = "Reset Expression"
    bl_options = {'REGISTER', 'UNDO'}

    @reported
    def execute(self, context: bpy.types.Context) -> set[str]:
        neutral = neutral_values(active_avatar(context))
        change(context, self, {channel: neutral.get(channel.name, 0.0) for channel in self.chosen(context)})
        return {'FINISHED'}


class HEADGAS_OT_mirror_expression(ChannelsOperator, bpy.types.Operator):
    """Swap what the left and the right channels show. Channels without a side stay, and so do all bones"""

    bl_idname = "headgas.mirror_expression"
    bl_label = "Mirror Expression"
    bl_options = {'REGISTER', 'UNDO'}

    def execute(self, context: bpy.types.Context) -> set[str]:
        channels = {channel.name: channel for channel in channels_of(active_avatar(context))}
        partners = {name: mirrored(name) for name in channels if mirrored(name) in channels and mirrored(name) != name}
        if not partners:
            self.report({'WARNING'}, "No two channels are named as the left and the right of one")
            return {'CANCELLED'}
        change(context, self, {channels[name]: channels[other].value for name, other in partners.items()})
        return {'FINISHED'}


class HEADGAS_OT_limit_channel(ChannelsOperator, bpy.types.Operator):
    """Bring a channel back into the range that training saw"""

    bl_idname = "headgas.limit_channel"
    bl_label = "Back to the Seen Range"
    bl_options = {'REGISTER', 'UNDO', 'INTERNAL'}  # for the panel, which names the channel

    channel: bpy.props.StringProperty(name="Channel", description="Name of the channel")

    @classmethod
    def description(cls, context: bpy.types.Context, properties: bpy.types.OperatorProperties) -> str:
        avatar = avatar_of(context.object)
        seen = seen_ranges(avatar).get(properties.channel) if avatar else None
        if seen is None:
            return "Bring a channel back into the range that training saw"
        low, high = seen
        return (
            f"Training saw this channel between {low:.3g} and {high:.3g}: it is exaggerated. "
            "Click to bring it back to the nearer end"
        )

    def execute(self, context: bpy.types.Context) -> set[str]:
        avatar = active_avatar(context)
        key, seen = avatar.data.shape_keys.key_blocks.get(self.channel), seen_ranges(avatar).get(self.channel)
        if key is None or seen is None:
            self.report({'ERROR'}, f"The avatar has no channel '{self.channel}' with a seen range")
            return {'CANCELLED'}
        channel = channel_of(key)
        change(context, self, {channel: min(max(channel.value, seen[0]), seen[1])})
        return {'FINISHED'}
