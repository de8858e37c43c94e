# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keyframes of channels at the current frame."""

import bpy
import numpy as np

from ..rig.channels import Channel, action_time, curves_of, neutral_values
from .channels import ScopedOperator, active_avatar, insert_keys
from .reporting import reported

_CHANGED = 1e-4  # smaller differences are rounding


class HEADGAS_OT_key_expression(ScopedOperator, bpy.types.Operator):
    """Key channels at the current frame"""

    bl_idname = "headgas.key_expression"
    bl_label = "Key Expression"
    bl_options = {'REGISTER', 'UNDO'}

    only_changed: bpy.props.BoolProperty(
        name="Only Changed",
        description="Key a channel only if its value is not what its curve says at this frame, "
        "or, where it has no curve, not neutral",
        options={'SKIP_SAVE'},
    )

    @classmethod
    def description(cls, _context: bpy.types.Context, properties: bpy.types.OperatorProperties) -> str:
        if not properties.only_changed:
            return "Key all channels at the current frame"
        return (
            "Key the channels that changed: whose value is not what their curve says at this frame, "
            "or, where they have no curve, not neutral"
        )

    def draw(self, context: bpy.types.Context) -> None:
        super().draw(context)
        self.layout.prop(self, "only_changed")

    @reported
    def execute(self, context: bpy.types.Context) -> set[str]:
        free = [channel for channel in self.chosen(context) if channel.is_free]
        wanted = _changed(context, free) if self.only_changed else free
        if not wanted:
            self.report({'INFO'}, "Nothing has changed" if self.only_changed else "There is no channel to key")
            return {'CANCELLED'}
        keyed = insert_keys(self, wanted, kind=context.scene.tool_settings.keyframe_type)
        self.report({'INFO'}, f"{keyed} channels keyed")
        return {'FINISHED'} if keyed else {'CANCELLED'}


class HEADGAS_OT_unkey_expression(ScopedOperator, bpy.types.Operator):
    """Remove the keys that channels have at the current frame"""

    bl_idname = "headgas.unkey_expression"
    bl_label = "Remove Keys"
    bl_options = {'REGISTER', 'UNDO'}

    def execute(self, context: bpy.types.Context) -> set[str]:
        curves = curves_of(active_avatar(context))
        removed = 0
        for channel in self.chosen(context):
            curve = curves.get((channel.owner, channel.path))
            if curve is not None and _has_key(curve, action_time(channel.owner, context.scene)):
                removed += channel.holder.keyframe_delete(channel.attribute)
        if not removed:
            self.report({'INFO'}, "No channel has a key at this frame")
            return {'CANCELLED'}
        self.report({'INFO'}, f"{removed} keys removed")
        return {'FINISHED'}


def _changed(context: bpy.types.Context, channels: list[Channel]) -> list[Channel]:
    avatar = active_avatar(context)
    neutral, curves = neutral_values(avatar), curves_of(avatar)

    def animated(channel: Channel) -> float:
        curve = curves.get((channel.owner, channel.path))
        if curve is None or not len(curve.keyframe_points):
            return neutral.get(channel.name, 0.0)
        return curve.evaluate(action_time(channel.owner, context.scene))

    return [channel for channel in channels if abs(channel.value - animated(channel)) > _CHANGED]


def _has_key(curve: bpy.types.FCurve, frame: float) -> bool:
    points = np.empty(2 * len(curve.keyframe_points), np.float32)
    curve.keyframe_points.foreach_get("co", points)
    return bool((np.abs(points[::2] - frame) < 0.01).any())  # as near as Blender takes two keys for one
