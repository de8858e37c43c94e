# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bones that carry the channels as custom properties, so that Blender's pose tools and pose assets reach the face.

Blender's pose library stores and applies what bones have: transforms and custom properties, never shape keys. The
left channels are on `face.L` and the right ones on `face.R` under the same names, so flipping a pose mirrors the face.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import bpy
from mathutils import Vector

from ..core.arkit import mirrored, region_of, without_side
from ..core.errors import HeadGaSError
from . import actions, curves
from .channels import Channel, channel_of, channels_of, curves_of, keys_of, neutral_values

MIDDLE, LEFT, RIGHT = "face", "face.L", "face.R"


def has_face_bones(avatar: bpy.types.Object) -> bool:
    """Whether channels are set by face bones."""
    rig, keys = avatar.parent, keys_of(avatar)
    if keys is None or rig is None or rig.type != 'ARMATURE':
        return False
    if not any(name in rig.data.bones for name in (MIDDLE, LEFT, RIGHT)):
        return False  # quick: the panel asks at every redraw
    return any(_on_face_bone(channel_of(key)) for key in keys.key_blocks[1:])


def why_no_face_bones(avatar: bpy.types.Object) -> str:
    """Why face bones cannot be added or removed here; empty where they can."""
    rig = avatar.parent
    if rig is None or rig.type != 'ARMATURE' or "head" not in rig.data.bones:
        return "The avatar has lost its armature with the bone 'head': import the avatar again"
    if rig.library or rig.data.library or rig.override_library or avatar.override_library:
        return "Bones can be changed only in the file that the avatar is linked from"
    if not rig.visible_get():
        return "The armature is hidden: show it"
    return ""


def add_face_bones(context: bpy.types.Context, avatar: bpy.types.Object) -> int:
    """Hands the channels over to face bones, keys included; how many. Channels that others drive stay as they are."""
    rig, keys = avatar.parent, avatar.data.shape_keys
    taken = [name for name in (MIDDLE, LEFT, RIGHT) if name in rig.data.bones]
    if taken:
        raise HeadGaSError(f"The armature already has a bone '{taken[0]}'", "Rename it")
    if keys.animation_data is not None and any(track.strips for track in keys.animation_data.nla_tracks):
        raise HeadGaSError(
            "The channels have NLA strips, which would no longer play", "Bake them into an action first (NLA > Edit)"
        )
    free = [channel for channel in channels_of(avatar) if channel.is_free and channel.holder == channel.key]
    places, neutral, animated = _places([c.name for c in free]), neutral_values(avatar), curves_of(avatar)
    _make_bones(context, rig, {bone for bone, _ in places.values()})
    for channel in free:
        bone = rig.pose.bones[places[channel.name][0]]
        _add_property(bone, places[channel.name][1], channel, neutral.get(channel.name, 0.0))
        curve = animated.get((keys, channel.path))
        _follow(channel.key, rig, bone, places[channel.name][1])
        if curve is not None:
            _move_curve(curve, channel_of(channel.key), bone.name)
    return len(free)


def remove_face_bones(context: bpy.types.Context, avatar: bpy.types.Object) -> int:
    """Gives the channels back to the shape keys, values and keys included; how many."""
    rig, animated = avatar.parent, curves_of(avatar)
    ours = [channel for channel in channels_of(avatar) if _on_face_bone(channel)]
    for channel in ours:
        value, curve = channel.value, animated.get((channel.owner, channel.path))
        channel.key.driver_remove("value")
        channel.key.value = value
        if curve is not None:
            _move_curve(curve, channel_of(channel.key), region_of(channel.name))
    for name in (MIDDLE, LEFT, RIGHT):
        path = f'pose.bones["{name}"].'
        for curve in [curve for curve in actions.fcurves(rig) if curve.data_path.startswith(path)]:
            curves.remove(curve)  # keys of what cannot move
    with _edit_mode(context, rig):
        for name in (MIDDLE, LEFT, RIGHT):
            bone = rig.data.edit_bones.get(name)
            if bone is not None:
                rig.data.edit_bones.remove(bone)
    return len(ours)


def save_pose_asset(avatar: bpy.types.Object, name: str) -> bpy.types.Action:
    """An asset with the values of the face bones, and of nothing else, as Blender's pose library applies them."""
    rig = avatar.parent
    action = bpy.data.actions.new(name)
    for channel in channels_of(avatar):
        if _on_face_bone(channel):
            curve = actions.added(action, _slot(action, rig), channel.path)
            curve.keyframe_points.insert(1, channel.value)
    action.asset_mark()
    return action


def _slot(action: bpy.types.Action, rig: bpy.types.Object) -> Any:
    """The action's slot for the armature; None where actions have no slots."""
    if not hasattr(action, "slots"):
        action.id_root = 'OBJECT'
        return None
    return action.slots[0] if action.slots else action.slots.new(id_type='OBJECT', name=rig.name)


def _on_face_bone(channel: Channel) -> bool:
    return channel.holder != channel.key and channel.holder.name in (MIDDLE, LEFT, RIGHT)


def _places(names: list[str]) -> dict[str, tuple[str, str]]:
    """The bone and the property of each channel: pairs on both sides under one name, the others in the middle."""
    places: dict[str, tuple[str, str]] = {}
    pairs: dict[str, set[str]] = {}
    for name in names:
        other, stem = mirrored(name), without_side(name)
        if other == name or other not in names or not stem or pairs.setdefault(stem, {name, other}) != {name, other}:
            places[name] = (MIDDLE, name)
        else:
            places[name] = (LEFT if name < other else RIGHT, stem)  # L sorts before R in every spelling
    return places


def _make_bones(context: bpy.types.Context, rig: bpy.types.Object, names: set[str]) -> None:
    """Adds the bones in front of the face; they have sliders and don't move."""
    with _edit_mode(context, rig):
        bones = rig.data.edit_bones
        head = bones["head"]
        up = head.tail - head.head
        for name in sorted(names):
            side = {LEFT: 0.3, RIGHT: -0.3}.get(name, 0.0)
            bone = bones.new(name)
            bone.head = head.head + up * 0.5 + Vector((side, -0.6, 0.0)) * up.length
            bone.tail = bone.head + up * 0.1
            bone.parent, bone.use_deform = head, False
    for name in names:
        bone = rig.pose.bones[name]
        bone.lock_location = bone.lock_rotation = bone.lock_scale = (True, True, True)
        bone.lock_rotation_w = True


def _add_property(bone: bpy.types.PoseBone, name: str, channel: Channel, neutral: float) -> None:
    """Gives a bone the slider of a channel, at the channel's value."""
    bone[name] = float(channel.value)
    low, high = channel.key.slider_min, channel.key.slider_max
    text = f"The channel {channel.name} of the face"
    ui = bone.id_properties_ui(name)
    ui.update(min=low, max=high, soft_min=low, soft_max=high, default=neutral, description=text)
    bone.property_overridable_library_set(f'["{bpy.utils.escape_identifier(name)}"]', True)


def _follow(key: bpy.types.ShapeKey, rig: bpy.types.Object, bone: bpy.types.PoseBone, name: str) -> None:
    """Makes a channel follow the bone's property, by a driver that needs no script."""
    driver = key.driver_add("value").driver
    driver.type = 'AVERAGE'
    variable = driver.variables.new()
    variable.targets[0].id = rig
    variable.targets[0].data_path = f'{bone.path_from_id()}["{bpy.utils.escape_identifier(name)}"]'


def _move_curve(curve: bpy.types.FCurve, channel: Channel, group: str) -> None:
    """Hands what animates a channel over to its new handle."""
    channel.holder.keyframe_insert(channel.attribute, group=group)  # makes action, slot, curve and group
    target = next(other for other in actions.fcurves(channel.owner) if other.data_path == channel.path)
    curves.move(curve, target)


@contextmanager
def _edit_mode(context: bpy.types.Context, rig: bpy.types.Object) -> Iterator[None]:
    """The armature in edit mode; afterwards what was active is active again, in its mode."""
    active = context.view_layer.objects.active
    mode = active.mode if active else 'OBJECT'
    if mode != 'OBJECT':
        bpy.ops.object.mode_set(mode='OBJECT')
    context.view_layer.objects.active = rig
    bpy.ops.object.mode_set(mode='EDIT')
    try:
        yield
    finally:
        bpy.ops.object.mode_set(mode='OBJECT')
        context.view_layer.objects.active = active
        if mode != 'OBJECT':
            bpy.ops.object.mode_set(mode=mode)
