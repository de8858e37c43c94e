# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Letting channels play alone. A muted channel rests at its neutral value."""

import bpy

from ..rig.face import solo, soloed, unmute_all
from .channels import ChannelsOperator, active_avatar


class HEADGAS_OT_solo_channel(ChannelsOperator, bpy.types.Operator):
    """Mute all other channels. Again: mute only what was muted before. Shift: add it to those that play"""

    bl_idname = "headgas.solo_channel"
    bl_label = "Solo"
    bl_options = {'REGISTER', 'UNDO', 'INTERNAL'}  # for the panel, which names the channel

    channel: bpy.props.StringProperty(name="Channel", description="Name of the channel")
    extend: bpy.props.BoolProperty(
        name="Extend", description="Let the channels that play alone already go on playing", options={'SKIP_SAVE'}
    )

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        self.extend = event.shift
        return self.execute(context)

    def execute(self, context: bpy.types.Context) -> set[str]:
        keys = active_avatar(context).data.shape_keys
        if self.channel not in keys.key_blocks:
            self.report({'ERROR'}, f"The avatar has no channel '{self.channel}'")
            return {'CANCELLED'}
        now, this = soloed(keys), frozenset({self.channel})
        if self.extend:
            solo(keys, now ^ this)
        else:
            solo(keys, frozenset() if now == this else this)
        return {'FINISHED'}


class HEADGAS_OT_unmute_all(ChannelsOperator, bpy.types.Operator):
    """Let every channel play"""

    bl_idname = "headgas.unmute_all"
    bl_label = "Unmute All"
    bl_options = {'REGISTER', 'UNDO'}

    def execute(self, context: bpy.types.Context) -> set[str]:
        unmute_all(active_avatar(context).data.shape_keys)
        return {'FINISHED'}
