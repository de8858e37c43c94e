# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""One avatar's performance on another: as keys, or as drivers that go on listening."""

import bpy
import numpy as np

from ..core.controls import Channels
from ..core.errors import HeadGaSError
from ..core.transfer import Transfer
from . import actions
from .channels import channels_of
from .drivers import source_path
from .evaluated import avatar_channels
from .performance import (
    as_bone_turn,
    as_head_turn,
    check_animatable,
    key_columns,
    movable_bones,
    moves,
    owners_of,
    pose_bones,
    rotations_of,
)
from .sampling import Samples

_VARIABLE = "performer"  # by its name we know our drivers again


def present_channels(avatar: bpy.types.Object) -> Channels:
    """The channels of an avatar that its control mesh still has, with neutral values and seen ranges."""
    channels, there = avatar_channels(avatar), {channel.name for channel in channels_of(avatar)}
    kept = [place for place, name in enumerate(channels.names) if name in there]
    arrays = (part[kept] for part in (channels.neutral, channels.low, channels.high))
    return Channels(tuple(channels.names[place] for place in kept), *arrays)


def check_target(target: bpy.types.Object, source: bpy.types.Object, transfer: Transfer) -> None:
    """Raises where `target` cannot take over what `source` does."""
    check_animatable(target)
    if not transfer.names:
        raise HeadGaSError(
            f"'{target.name}' and '{source.name}' have no channel of the same name",
            "Give both the same channels by a mapping, to ARKit's for instance",
        )


def transfer_keys(
    source: bpy.types.Object,
    target: bpy.types.Object,
    samples: Samples,
    transfer: Transfer,
    frames: np.ndarray,
    bones: bool,
) -> None:
    """Keys the target in a new Action with what was sampled of the source at `frames` [T].

    What stands still gets one key: it belongs to the performance as well.
    """
    resting = present_channels(source)
    neutral = dict(zip(resting.names, resting.neutral.tolist(), strict=True))
    muted = {channel.name for channel in channels_of(source) if channel.key.mute}  # at rest, whatever the slider says
    performed = [
        np.full(len(frames), neutral[name]) if name in muted else samples.channels[name] for name in transfer.sources
    ]
    values = dict(zip(transfer.names, transfer(np.stack(performed, 1)).T, strict=True))
    theirs = {bone.name: bone for bone in pose_bones(source)}
    ours = {bone.name: bone for bone in movable_bones(target)}
    turning = [bone for bone in ours if bone in theirs and bone != "root"] if bones else []
    handles = [channel for channel in channels_of(target) if channel.name in values]
    owners = [channel.owner for channel in handles] + [ours[bone].id_data for bone in turning]
    actions.give_new_action(f"{target.name} as {source.name}", list(dict.fromkeys(owners)))
    for channel in handles:
        column = values[channel.name][:, None]
        kept = len(frames) if moves(column) else 1
        key_columns(channel.owner, channel.path, frames[:kept], column[:kept])
    for bone in turning:
        turns = [as_head_turn(theirs[bone], turn) for turn in samples.turns(bone)]
        path, turned = rotations_of(ours[bone], [as_bone_turn(ours[bone], turn) for turn in turns])
        key_columns(ours[bone].id_data, f"{ours[bone].path_from_id()}.{path}", frames, turned)


def link(source: bpy.types.Object, target: bpy.types.Object, transfer: Transfer) -> int:
    """Drives the target's channels with the source's; how many. Channels with drivers of their own are left alone."""
    if _listens_to(source, target):
        raise HeadGaSError(
            f"'{source.name}' is driven by '{target.name}'", "Remove that link first: they would wait for each other"
        )
    unlink(target)
    sources = dict(zip(transfer.names, transfer.sources, strict=True))
    count = 0
    for channel in channels_of(target):
        data = channel.owner.animation_data
        taken = data is not None and data.drivers.find(channel.path) is not None
        if channel.name not in sources or taken:
            continue
        driver = channel.owner.driver_add(channel.path).driver
        driver.type, driver.expression = 'SCRIPTED', transfer.expression(channel.name, _VARIABLE)
        variable = driver.variables.new()
        variable.name, variable.type = _VARIABLE, 'SINGLE_PROP'
        listened = variable.targets[0]
        listened.id_type, listened.id = 'MESH', source.data
        listened.data_path = source_path(sources[channel.name])
        count += 1
    return count


def is_linked(avatar: bpy.types.Object) -> bool:
    """Whether an avatar has drivers of `link`."""
    return bool(_links(avatar))


def unlink(target: bpy.types.Object) -> int:
    """Removes the drivers of `link`; how many."""
    links = _links(target)
    for owner, curve in links:
        owner.animation_data.drivers.remove(curve)
    return len(links)


def _links(avatar: bpy.types.Object) -> list[tuple[bpy.types.ID, bpy.types.FCurve]]:
    return [
        (owner, curve)
        for owner in owners_of(avatar)
        for curve in (owner.animation_data.drivers if owner.animation_data else ())
        if [variable.name for variable in curve.driver.variables] == [_VARIABLE]
    ]


def _listens_to(avatar: bpy.types.Object, other: bpy.types.Object) -> bool:
    """Whether drivers of one avatar's channels read another avatar's."""
    return any(
        target.id in (other.data, *owners_of(other))
        for owner in owners_of(avatar)
        for curve in (owner.animation_data.drivers if owner.animation_data else ())
        for variable in curve.driver.variables
        for target in variable.targets
    )
