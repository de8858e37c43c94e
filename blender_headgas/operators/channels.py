# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the operators on channels share: when they can run, which channels they are for, and automatic keys."""

import bpy

from ..core.arkit import region_of
from ..rig import avatar_of
from ..rig.channels import Channel, channel_of, channels_of, why_not_editable
from ..rig.face import REGION_ITEMS, region_identifier, shown

_SAME = 1e-6  # values closer than this are the same


def active_avatar(context: bpy.types.Context) -> bpy.types.Object:
    """The avatar that poll() has found."""
    return avatar_of(context.object)


class ChannelsOperator:
    """An operator on channels that can be edited."""

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        reason = why_not_editable(avatar_of(context.object))
        if reason:
            cls.poll_message_set(reason)  # type: ignore[attr-defined]  # of bpy.types.Operator
        return not reason


class ScopedOperator(ChannelsOperator):
    """An operator on channels that can be edited, on all of them or some."""

    scope: bpy.props.EnumProperty(
        name="Channels",
        description="Which channels",
        items=[
            ('ALL', "All", "All channels"),
            ('SHOWN', "Shown", "The channels that the face panel lists"),
            ('REGION', "Region", "The channels of one part of the face"),
            ('ONE', "One", "A single channel"),
        ],
        options={'SKIP_SAVE'},  # a remembered scope would surprise at the next click
    )
    region: bpy.props.EnumProperty(
        name="Region", description="Part of the face", items=REGION_ITEMS, options={'SKIP_SAVE'}
    )
    channel: bpy.props.StringProperty(name="Channel", description="Name of the channel", options={'SKIP_SAVE'})

    def draw(self, _context: bpy.types.Context) -> None:
        layout: bpy.types.UILayout = self.layout  # type: ignore[attr-defined]
        layout.use_property_split = True
        layout.prop(self, "scope")  # type: ignore[arg-type]
        if self.scope in {'REGION', 'ONE'}:
            layout.prop(self, "region" if self.scope == 'REGION' else "channel")  # type: ignore[arg-type]

    def chosen(self, context: bpy.types.Context) -> list[Channel]:
        """The channels that the operator is for."""
        avatar = active_avatar(context)
        if self.scope == 'ONE':
            key = avatar.data.shape_keys.key_blocks.get(self.channel)
            return [channel_of(key)] if key and key != avatar.data.shape_keys.reference_key else []
        channels = channels_of(avatar)
        if self.scope == 'REGION':
            return [channel for channel in channels if region_identifier(channel.name) == self.region]
        if self.scope == 'SHOWN':
            marks = shown(context.window_manager.headgas_face, [channel.name for channel in channels])
            return [channel for channel, mark in zip(channels, marks, strict=True) if mark]
        return channels


def change(context: bpy.types.Context, operator: bpy.types.Operator, values: dict[Channel, float]) -> None:
    """Sets channels, keys them where Blender keys by itself, and says which ones could not be set."""
    moved = []
    for channel, value in values.items():
        before = channel.value
        if channel.is_free:
            channel.set(value)
            if abs(channel.value - before) > _SAME:
                moved.append(channel)
    _auto_key(context, operator, moved)
    fixed = [c.name for c, value in values.items() if not c.is_free and abs(c.value - value) > _SAME]
    if fixed:
        operator.report({'WARNING'}, f"{len(fixed)} channels are driven and stay: {', '.join(fixed[:3])}")


def insert_keys(
    operator: bpy.types.Operator, channels: list[Channel], options: set[str] | None = None, kind: str = 'KEYFRAME'
) -> int:
    """Keys the channels at the current frame, grouped as the face panel groups them; how many."""
    keyed, refused = 0, ""
    for channel in channels:
        on_bone = isinstance(channel.holder, bpy.types.PoseBone)
        group = channel.holder.name if on_bone else region_of(channel.name)
        try:
            keyed += channel.holder.keyframe_insert(
                channel.attribute, group=group, options=options or set(), keytype=kind
            )
        except RuntimeError as error:  # a locked curve, a linked action
            refused = str(error).strip().removeprefix("Error: ")
    if refused:
        operator.report({'WARNING'}, f"Some channels were not keyed: {refused}")
    return keyed


def _auto_key(context: bpy.types.Context, operator: bpy.types.Operator, channels: list[Channel]) -> None:
    tools, edit = context.scene.tool_settings, context.preferences.edit
    if not tools.use_keyframe_insert_auto:
        return
    keying_set = context.scene.keying_sets_all.active
    if tools.use_keyframe_insert_keyingset and keying_set is not None:
        listed = {(path.id, path.data_path) for path in keying_set.paths}
        channels = [channel for channel in channels if (channel.owner, channel.path) in listed]
    wanted = {
        'INSERTKEY_REPLACE': tools.auto_keying_mode == 'REPLACE_KEYS',
        'INSERTKEY_AVAILABLE': edit.use_keyframe_insert_available,
        'INSERTKEY_NEEDED': edit.use_auto_keyframe_insert_needed,
        'INSERTKEY_CYCLE_AWARE': tools.use_keyframe_cycle_aware,
    }
    options = {option for option, is_wanted in wanted.items() if is_wanted}
    insert_keys(operator, channels, options, tools.keyframe_type)
