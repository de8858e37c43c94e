# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drivers and constraints become keys, and come back: they are muted, not removed, and each datablock remembers how."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import bpy
import numpy as np

from ..core.errors import HeadGaSError
from . import actions
from .performance import (
    channels,
    check_animatable,
    key_bone,
    key_channels,
    key_rotation,
    moves,
    new_action,
    pose_bones,
    rotation_path,
)
from .sampling import Samples

# Custom properties, saved and undone with what holds them: JSON, and the Action before. The datablock holds them, and
# for it the baked Action too: library overrides forget properties that the library has not.
_MEMORY, _ACTION = "headgas_before_bake", "headgas_action_before_bake"
_BLENDING = ("action_blend_type", "action_influence", "action_extrapolation")
_TRANSFORMS = ("location", "rotation_quaternion", "rotation_euler", "rotation_axis_angle", "scale")


def is_baked(avatar: bpy.types.Object) -> bool:
    """Whether there is something to go back to."""
    return any(_holder(datablock) for datablock in _datablocks(avatar))


def check_bakeable(avatar: bpy.types.Object) -> None:
    """Raises where an avatar cannot be baked."""
    check_animatable(avatar)
    if is_baked(avatar):
        raise HeadGaSError(f"'{avatar.name}' is baked already", "Press Back to Drivers first, then bake again")


def bake(avatar: bpy.types.Object, samples: Samples, frames: np.ndarray, only_changed: bool, bones: bool) -> None:
    """Keys what was sampled at `frames` [T] in a new Action, and mutes what drove it.

    `only_changed`: what stands still gets one key where something held it there, else none.
    """
    keys = avatar.data.shape_keys
    paths = {f'{key.path_from_id()}.value': name for name, key in channels(avatar).items()}
    held = {paths[path] for path in _held(keys) if path in paths}
    action = _take_over(keys, f"{avatar.name} baked", set(paths))
    for name, values in samples.channels.items():
        kept = _kept(values[:, None], name in held, only_changed)
        key_channels(avatar, frames[:kept], {name: values[:kept]} if kept else {})
    if bones and any(pose_bones(avatar)):
        _bake_bones(avatar, samples, frames, only_changed, action)


def restore(avatar: bpy.types.Object) -> None:
    """Gives drivers, constraints and the Action before back; the baked one goes.

    An Action that somebody else put in its place since is kept, by a fake user.
    """
    for datablock in _datablocks(avatar):
        holder = _holder(datablock)
        if holder is None:
            continue
        memory = json.loads(holder[_name(_MEMORY, datablock)])
        data = datablock.animation_data_create()
        replaced, data.action = data.action, holder.get(_name(_ACTION, datablock))
        if data.action is not None:
            data.action.use_fake_user = memory["fake_user"]
            if memory["slot"]:
                data.action_slot = data.action.slots.get(memory["slot"])
        for setting in _BLENDING:
            setattr(data, setting, memory[setting])
        _let_go(datablock, memory)
        datablock.pop(_name(_MEMORY, datablock), None)
        datablock.pop(_name(_ACTION, datablock), None)
        _discard(replaced, datablock)


def _let_go(datablock: bpy.types.ID, memory: dict[str, Any]) -> None:
    """Unmutes drivers and constraints, and gives properties without keys their values back."""
    for path, value in memory["values"].items():
        _set(datablock, path, value)
    for path, index in memory["drivers"]:
        curve = datablock.animation_data.drivers.find(path, index=index)
        if curve is not None:
            curve.mute = False
    for name, constraint in memory["constraints"]:
        bone = datablock.pose.bones.get(name)
        if bone is not None and constraint in bone.constraints:
            bone.constraints[constraint].mute = False


def _discard(action: bpy.types.Action | None, datablock: bpy.types.ID) -> None:
    """Removes the Action that a bake made for a datablock, once no other datablock has it."""
    if action is None or action == datablock.animation_data.action:
        return
    if _name(_MEMORY, datablock) not in action:
        action.use_fake_user = True
        return
    action.pop(_name(_MEMORY, datablock), None)
    action.pop(_name(_ACTION, datablock), None)
    if not action.users:
        bpy.data.actions.remove(action)


def _bake_bones(
    avatar: bpy.types.Object, samples: Samples, frames: np.ndarray, only_changed: bool, action: bpy.types.Action
) -> None:
    rig = avatar.parent
    held, found = _held(rig), list(pose_bones(avatar))
    paths = {f"{bone.path_from_id()}.{name}" for bone in found for name in _TRANSFORMS}
    constraints = [(bone, constraint) for bone in found for constraint in bone.constraints if not constraint.mute]
    _take_over(rig, f"{avatar.name} baked bones", paths, action, [(b.name, c.name) for b, c in constraints])
    for bone in found:
        is_constrained = any(other == bone for other, _ in constraints)
        for path, values in (
            ("location", samples.locations(bone.name)),
            (rotation_path(bone), np.array(samples.turns(bone.name))),
            ("scale", samples.scales(bone.name)),
        ):
            is_held = is_constrained or f"{bone.path_from_id()}.{path}" in held
            kept = _kept(values, is_held, only_changed)
            if kept and path.startswith("rotation"):
                key_rotation(bone, frames[:kept], samples.turns(bone.name)[:kept])
            elif kept:
                key_bone(bone, path, frames[:kept], values[:kept])
    for _, constraint in constraints:
        constraint.mute = True


def _kept(values: np.ndarray, is_held: bool, only_changed: bool) -> int:
    """How many of the values [T,K] get keys."""
    if not only_changed or any(moves(column) for column in values.T):
        return len(values)
    return 1 if is_held else 0


def _take_over(
    datablock: bpy.types.ID,
    name: str,
    paths: set[str],
    shared: bpy.types.Action | None = None,
    constraints: Sequence[tuple[str, str]] = (),
) -> bpy.types.Action:
    """A new Action in the place of whatever animates the properties `paths`, which is remembered."""
    data = datablock.animation_data_create()
    slot = getattr(data, "action_slot", None)
    drivers = [curve for curve in data.drivers if curve.data_path in paths and not curve.mute]
    memory: dict[str, Any] = {setting: getattr(data, setting) for setting in _BLENDING}
    memory |= {"slot": slot.identifier if slot is not None else "", "constraints": constraints}
    memory |= {"drivers": [[curve.data_path, curve.array_index] for curve in drivers]}
    memory |= {"values": {path: _get(datablock, path) for path in paths}}  # nothing else brings back what has no keys
    before = data.action
    if before is not None:
        memory["fake_user"] = before.use_fake_user
    for curve in drivers:
        curve.mute = True
    action = new_action(datablock, name, shared)
    for place in (datablock, action):
        place[_name(_MEMORY, datablock)] = json.dumps(memory)
        if before is not None:
            place[_name(_ACTION, datablock)] = before
    data.action_blend_type, data.action_influence = 'REPLACE', 1.0
    data.action_extrapolation = 'HOLD'
    return action


def _name(kind: str, datablock: bpy.types.ID) -> str:
    """Slots of one Action belong to datablocks of several types: each has a memory of its own."""
    return f"{kind}_{datablock.id_type.lower()}"


def _holder(datablock: bpy.types.ID) -> bpy.types.ID | None:
    """What remembers how a datablock was before it was baked; None where it was not."""
    data = datablock.animation_data
    places = (datablock, data.action if data is not None else None)
    return next((place for place in places if place is not None and _name(_MEMORY, datablock) in place), None)


def _get(datablock: bpy.types.ID, path: str) -> float | list[float]:
    value = datablock.path_resolve(path)
    return value if isinstance(value, float) else list(value)


def _set(datablock: bpy.types.ID, path: str, value: float | list[float]) -> None:
    owner, _, name = path.rpartition(".")
    try:
        setattr(datablock.path_resolve(owner), name, value)
    except ValueError:  # renamed or deleted since
        return


def _held(datablock: bpy.types.ID) -> set[str]:
    """The paths of properties that an Action, a strip or a driver holds at its value."""
    data = datablock.animation_data
    if data is None:
        return set()
    paths = {curve.data_path for curve in (*actions.fcurves(datablock), *data.drivers)}
    strips = [strip for track in data.nla_tracks for strip in track.strips if strip.action is not None]
    for strip in strips:
        paths |= {curve.data_path for curve in actions.curves_of(strip.action, getattr(strip, "action_slot", None))}
    return paths


def _datablocks(avatar: bpy.types.Object) -> Iterator[bpy.types.ID]:
    """What a bake may change."""
    if avatar.data.shape_keys is not None:
        yield avatar.data.shape_keys
    if any(pose_bones(avatar)):
        yield avatar.parent
