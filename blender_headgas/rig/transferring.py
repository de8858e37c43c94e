# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""One avatar's performance on another: as keys, or as drivers that go on listening."""

import bpy
import numpy as np

from ..core.errors import HeadGaSError
from ..core.expressions import ExpressionSpace
from ..core.transfer import Transfer
from .evaluated import header_of
from .performance import (
    as_bone_turn,
    as_head_turn,
    channels,
    check_animatable,
    key_channels,
    key_rotation,
    moves,
    new_action,
    pose_bones,
)
from .sampling import Samples
from .settings import avatar_path

_VARIABLE = "performer"  # by its name we know our drivers again


def channel_space(avatar: bpy.types.Object) -> ExpressionSpace:
    """The channels of an avatar as a space of their own.

    Its parameters have neutral and range from training; channels that a mapping adds have ARKit's: 0, from 0 to 1.
    """
    space = header_of(avatar_path(avatar)).expression_space
    known = dict(zip(space.names, zip(space.neutral, space.low, space.high, strict=True), strict=True))
    names = tuple(channels(avatar))
    rows = np.array([known.get(name, (0.0, 0.0, 1.0)) for name in names], np.float32).reshape(-1, 3)
    return ExpressionSpace(space.kind, names, *rows.T)


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
    name = f"{target.name} as {source.name}"
    action, space = new_action(target.data.shape_keys, name), channel_space(source)
    neutral = dict(zip(space.names, space.neutral.tolist(), strict=True))
    muted = {name for name, key in channels(source).items() if key.mute}  # they rest, whatever their sliders say
    performed = [
        np.full(len(frames), neutral[channel]) if channel in muted else samples.channels[channel]
        for channel in transfer.names
    ]
    values = transfer(np.stack(performed, 1))
    for channel, column in zip(transfer.names, values.T, strict=True):
        kept = len(frames) if moves(column) else 1
        key_channels(target, frames[:kept], {channel: column[:kept]})
    theirs, ours = ({bone.name: bone for bone in pose_bones(avatar)} for avatar in (source, target))
    common = [bone for bone in ours if bone in theirs and bone != "root"] if bones else []
    if common:
        new_action(target.parent, f"{name} bones", action)
    for bone in common:
        turns = [as_head_turn(theirs[bone], turn) for turn in samples.turns(bone)]
        key_rotation(ours[bone], frames, [as_bone_turn(ours[bone], turn) for turn in turns])


def link(source: bpy.types.Object, target: bpy.types.Object, transfer: Transfer) -> int:
    """Drives the target's channels with the source's; how many. Channels with drivers of their own are left alone."""
    theirs, ours = source.data.shape_keys, target.data.shape_keys
    if _listens_to(theirs, ours):
        raise HeadGaSError(
            f"'{source.name}' is driven by '{target.name}'", "Remove that link first: they would wait for each other"
        )
    unlink(target)
    taken = {curve.data_path for curve in ours.animation_data.drivers} if ours.animation_data else set()
    count = 0
    for name in transfer.names:
        path = f'{ours.key_blocks[name].path_from_id()}.value'
        if path in taken:
            continue
        driver = ours.driver_add(path).driver
        driver.type, driver.expression = 'SCRIPTED', transfer.expression(name, _VARIABLE)
        variable = driver.variables.new()
        variable.name, variable.type = _VARIABLE, 'SINGLE_PROP'
        listened = variable.targets[0]
        listened.id_type, listened.id = 'KEY', theirs
        listened.data_path = f'{theirs.key_blocks[name].path_from_id()}.value'
        count += 1
    return count


def is_linked(avatar: bpy.types.Object) -> bool:
    """Whether an avatar has drivers of `link`."""
    return bool(_links(avatar.data.shape_keys))


def unlink(target: bpy.types.Object) -> int:
    """Removes the drivers of `link`; how many."""
    links = _links(target.data.shape_keys)
    for curve in links:
        target.data.shape_keys.animation_data.drivers.remove(curve)
    return len(links)


def _links(keys: bpy.types.Key | None) -> list[bpy.types.FCurve]:
    if keys is None or keys.animation_data is None:
        return []
    return [
        curve
        for curve in keys.animation_data.drivers
        if [variable.name for variable in curve.driver.variables] == [_VARIABLE]
    ]


def _listens_to(keys: bpy.types.Key, others: bpy.types.Key) -> bool:
    """Whether a driver of `keys` reads `others`."""
    if keys.animation_data is None:
        return False
    return any(
        target.id == others
        for curve in keys.animation_data.drivers
        for variable in curve.driver.variables
        for target in variable.targets
    )
