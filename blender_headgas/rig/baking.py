# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drivers and constraints become keys, and come back: they are muted, not removed, and each datablock remembers how."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import bpy
import numpy as np

from ..core.errors import HeadGaSError
from . import actions
from .channels import channels_of
from .performance import check_animatable, key_columns, movable_bones, moves, owners_of, rotations_of
from .sampling import Samples

# Custom properties, saved and undone with what holds them: JSON, and the Action before. The datablock holds them, and
# for it the baked Action too: library overrides forget properties that the library has not.
_MEMORY, _ACTION = "headgas_before_bake", "headgas_action_before_bake"
_BLENDING = ("action_blend_type", "action_influence", "action_extrapolation")
_CUSTOM = re.compile(r'(.+)\["((?:[^"\\]|\\.)+)"\]')  # the path of a custom property


@dataclass(frozen=True)
class _Baked:
    """What one property did at T frames."""

    owner: bpy.types.ID
    path: str
    values: np.ndarray  # [T,K]
    is_held: bool  # by a driver, a constraint, an Action or a strip

    def kept(self, only_changed: bool) -> int:
        """How many of the values get keys."""
        if not only_changed or moves(self.values):
            return len(self.values)
        return 1 if self.is_held else 0


def is_baked(avatar: bpy.types.Object) -> bool:
    """Whether there is something to go back to."""
    return any(_holder(owner) for owner in owners_of(avatar))


def check_bakeable(avatar: bpy.types.Object) -> None:
    """Raises where an avatar cannot be baked."""
    check_animatable(avatar)
    if is_baked(avatar):
        raise HeadGaSError(f"'{avatar.name}' is baked already", "Press Back to Drivers first, then bake again")


def bake(avatar: bpy.types.Object, samples: Samples, frames: np.ndarray, only_changed: bool, bones: bool) -> None:
    """Keys what was sampled at `frames` [T] in a new Action, and mutes what drove it.

    `only_changed`: what stands still gets one key where something held it there, else none.
    """
    baked = list(_of_channels(avatar, samples)) + (list(_of_bones(avatar, samples)) if bones else [])
    owners = list(dict.fromkeys(part.owner for part in baked))
    constraints = _constraints(avatar) if bones else []
    before = [owner.animation_data_create().action for owner in owners]
    memories = [_take_over(owner, {part.path for part in baked if part.owner == owner}) for owner in owners]
    for memory, owner in zip(memories, owners, strict=True):
        memory["constraints"] = [[b.name, c.name] for b, c in constraints if b.id_data == owner]
    actions.give_new_action(f"{avatar.name} baked", owners)
    for owner, memory, action in zip(owners, memories, before, strict=True):
        _remember(owner, memory, action)
    for part in baked:
        kept = part.kept(only_changed)
        if kept:
            key_columns(part.owner, part.path, frames[:kept], part.values[:kept])
    for _, constraint in constraints:
        constraint.mute = True


def restore(avatar: bpy.types.Object) -> None:
    """Gives drivers, constraints and the Action before back; the baked one goes.

    An Action that somebody else put in its place since is kept, by a fake user.
    """
    for owner in owners_of(avatar):
        holder = _holder(owner)
        if holder is None:
            continue
        memory = json.loads(holder[_name(_MEMORY, owner)])
        data = owner.animation_data_create()
        replaced, data.action = data.action, holder.get(_name(_ACTION, owner))
        if data.action is not None:
            data.action.use_fake_user = memory["fake_user"]
            if memory["slot"]:
                data.action_slot = data.action.slots.get(memory["slot"])
        for setting in _BLENDING:
            setattr(data, setting, memory[setting])
        _let_go(owner, memory)
        owner.pop(_name(_MEMORY, owner), None)
        owner.pop(_name(_ACTION, owner), None)
        _discard(replaced, owner)


def _of_channels(avatar: bpy.types.Object, samples: Samples) -> Iterator[_Baked]:
    """Channels, where they are set: a shape key, or what it follows on a bone."""
    held = {owner: _held(owner) for owner in owners_of(avatar)}
    for channel in channels_of(avatar):
        values = samples.channels[channel.name][:, None]
        yield _Baked(channel.owner, channel.path, values, channel.path in held.get(channel.owner, ()))


def _of_bones(avatar: bpy.types.Object, samples: Samples) -> Iterator[_Baked]:
    constrained = {bone.name for bone, _ in _constraints(avatar)}
    for bone in movable_bones(avatar):
        held = _held(bone.id_data)
        rotation, turned = rotations_of(bone, samples.turns(bone.name))
        for name, values in (
            ("location", samples.locations(bone.name)),
            (rotation, turned),
            ("scale", samples.scales(bone.name)),
        ):
            path = f"{bone.path_from_id()}.{name}"
            yield _Baked(bone.id_data, path, values, bone.name in constrained or path in held)


def _constraints(avatar: bpy.types.Object) -> list[tuple[bpy.types.PoseBone, bpy.types.Constraint]]:
    """The constraints at work on an avatar's bones."""
    return [(bone, found) for bone in movable_bones(avatar) for found in bone.constraints if not found.mute]


def _take_over(owner: bpy.types.ID, paths: set[str]) -> dict[str, Any]:
    """Mutes the drivers of some properties; what there is to remember."""
    data = owner.animation_data_create()
    slot = getattr(data, "action_slot", None)
    drivers = [curve for curve in data.drivers if curve.data_path in paths and not curve.mute]
    memory: dict[str, Any] = {setting: getattr(data, setting) for setting in _BLENDING}
    memory["slot"] = slot.identifier if slot is not None else ""
    memory["fake_user"] = data.action is not None and data.action.use_fake_user
    memory["drivers"] = [[curve.data_path, curve.array_index] for curve in drivers]
    memory["values"] = {path: _get(owner, path) for path in paths}  # nothing else brings back what has no keys
    for curve in drivers:
        curve.mute = True
    return memory


def _remember(owner: bpy.types.ID, memory: dict[str, Any], before: bpy.types.Action | None) -> None:
    data = owner.animation_data
    for place in (owner, data.action):
        place[_name(_MEMORY, owner)] = json.dumps(memory)
        if before is not None:
            place[_name(_ACTION, owner)] = before
    data.action_blend_type, data.action_influence = 'REPLACE', 1.0
    data.action_extrapolation = 'HOLD'


def _let_go(owner: bpy.types.ID, memory: dict[str, Any]) -> None:
    """Unmutes drivers and constraints, and gives properties without keys their values back."""
    for path, value in memory["values"].items():
        _set(owner, path, value)
    for path, index in memory["drivers"]:
        curve = owner.animation_data.drivers.find(path, index=index)
        if curve is not None:
            curve.mute = False
    for name, constraint in memory["constraints"]:
        bone = owner.pose.bones.get(name)
        if bone is not None and constraint in bone.constraints:
            bone.constraints[constraint].mute = False


def _discard(action: bpy.types.Action | None, owner: bpy.types.ID) -> None:
    """Removes the Action that a bake made for a datablock, once no other datablock has it."""
    if action is None or action == owner.animation_data.action:
        return
    if _name(_MEMORY, owner) not in action:
        action.use_fake_user = True
        return
    action.pop(_name(_MEMORY, owner), None)
    action.pop(_name(_ACTION, owner), None)
    if not action.users:
        bpy.data.actions.remove(action)


def _name(kind: str, owner: bpy.types.ID) -> str:
    """Slots of one Action belong to datablocks of several types: each has a memory of its own."""
    return f"{kind}_{owner.id_type.lower()}"


def _holder(owner: bpy.types.ID) -> bpy.types.ID | None:
    """What remembers how a datablock was before it was baked; None where it was not."""
    data = owner.animation_data
    places = (owner, data.action if data is not None else None)
    return next((place for place in places if place is not None and _name(_MEMORY, owner) in place), None)


def _get(owner: bpy.types.ID, path: str) -> float | list[float]:
    value = owner.path_resolve(path)
    return value if isinstance(value, float) else list(value)


def _set(owner: bpy.types.ID, path: str, value: float | list[float]) -> None:
    custom = _CUSTOM.fullmatch(path)
    place, _, name = (custom[1], "", custom[2]) if custom else path.rpartition(".")
    try:
        holder = owner.path_resolve(place)
    except ValueError:  # renamed or deleted since
        return
    if custom:
        holder[bpy.utils.unescape_identifier(name)] = value
    else:
        setattr(holder, name, value)


def _held(owner: bpy.types.ID) -> set[str]:
    """The paths of properties that an Action, a strip or a driver holds at its value."""
    data = owner.animation_data
    if data is None:
        return set()
    paths = {curve.data_path for curve in (*actions.fcurves(owner), *data.drivers)}
    strips = [strip for track in data.nla_tracks for strip in track.strips if strip.action is not None]
    for strip in strips:
        paths |= {curve.data_path for curve in actions.curves_of(strip.action, getattr(strip, "action_slot", None))}
    return paths
