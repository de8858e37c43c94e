# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes on an avatar: keys on its channels and its head bone, and what both do over a range of frames."""

from collections.abc import Sequence

import bpy
import numpy as np

from ..core.errors import HeadGaSError
from ..core.rotations import continuous, from_matrices, inverse, multiplied
from ..core.takes.take import Take
from .actions import ensured, give_new_action, replace_keys
from .channels import channels_of, neutral_values
from .sampling import evaluated_at, key_values

HEAD = "head"  # the bone
_NEAR = 1e-3  # by so much a value may miss a slider's end


def head_bone(avatar: bpy.types.Object) -> bpy.types.PoseBone | None:
    """The bone that turns an avatar's head, where it has its armature."""
    rig = avatar.parent
    return rig.pose.bones.get(HEAD) if rig is not None and rig.type == 'ARMATURE' else None


def beyond_sliders(avatar: bpy.types.Object, take: Take) -> list[str]:
    """Those of a take's channels whose values the avatar's sliders end before: Blender holds them there."""
    sliders = [avatar.data.shape_keys.key_blocks[name] for name in take.names]
    smallest, largest = (take.values.min(0) + _NEAR).tolist(), (take.values.max(0) - _NEAR).tolist()
    return [
        key.name
        for key, low, high in zip(sliders, smallest, largest, strict=True)
        if low < key.slider_min or high > key.slider_max
    ]


def frames_per_second(scene: bpy.types.Scene) -> float:
    """The rate at which a scene plays."""
    return scene.render.fps / scene.render.fps_base


def key_take(avatar: bpy.types.Object, take: Take, start: float, action: str | None, with_head: bool) -> None:
    """Keys a take on an avatar, its moment i at frame start + i; its names are channels of the avatar.

    Args:
        avatar: the control mesh.
        take: has one moment for each frame of the scene.
        start: frame of the first moment.
        action: name of the new action that holds the keys; None to key into the present ones, where keys outside of
            the take's frames stay.
        with_head: whether the head bone gets the take's turns and moves, where it has some.
    """
    channels = {channel.name: channel for channel in channels_of(avatar)}
    curves: list[tuple[bpy.types.ID, str, int, np.ndarray]] = [
        (channels[name].owner, channels[name].path, 0, values)
        for name, values in zip(take.names, take.values.T, strict=True)
    ]
    bone = head_bone(avatar) if with_head else None
    if bone is not None and take.rotations is not None:
        curves += _of_head(bone, take.rotations, take.positions)
    owners = list(dict.fromkeys(owner for owner, *_ in curves))
    for owner in owners:
        if not owner.is_editable:
            raise HeadGaSError(
                f"'{owner.name}' belongs to another file and cannot be keyed here",
                "Make a library override of it, or make it local",
            )
    if action is not None:
        give_new_action(action, owners)
    if len(curves) > len(take.names) and bone is not None:
        bone.rotation_mode = 'QUATERNION'
    frames = start + np.arange(len(take.times))
    for owner, path, index, values in curves:
        replace_keys(ensured(owner, path, index), frames, values)


def sampled_take(context: bpy.types.Context, avatar: bpy.types.Object, frames: Sequence[int]) -> Take:
    """What an avatar's channels and its head bone do at `frames`: drivers, constraints and NLA included.

    A muted channel is at rest. The scene returns to its frame.
    """
    names, bone = [channel.name for channel in channels_of(avatar)], head_bone(avatar)
    muted = np.empty(len(names) + 1, bool)
    avatar.data.shape_keys.key_blocks.foreach_get("mute", muted)
    values, poses = np.empty((len(frames), len(muted)), np.float32), np.empty((len(frames), 4, 4))
    for place, depsgraph in enumerate(evaluated_at(context, frames)):
        values[place] = key_values(avatar, depsgraph)
        if bone is not None:
            poses[place] = avatar.parent.evaluated_get(depsgraph).pose.bones[HEAD].matrix
    values = values[:, 1:]
    if muted[1:].any():
        rests = neutral_values(avatar)
        values[:, muted[1:]] = [rests.get(name, 0.0) for name, off in zip(names, muted[1:], strict=True) if off]
    times = (np.asarray(frames, np.float64) - frames[0]) / frames_per_second(context.scene)
    if bone is None:
        return Take(tuple(names), times, values)
    rest = np.array(bone.bone.matrix_local)
    turns, moves = from_matrices(poses[:, :3, :3] @ rest[:3, :3].T), poses[:, :3, 3] - rest[:3, 3]
    return Take(tuple(names), times, values, turns.astype(np.float32), moves.astype(np.float32))


def _of_head(
    bone: bpy.types.PoseBone, turns: np.ndarray, moves: np.ndarray | None
) -> list[tuple[bpy.types.ID, str, int, np.ndarray]]:
    """The curves, each [T], that turn a bone by [T,4] and move it by [T,3] of head space, the armature's at rest."""
    rest = np.array(bone.bone.matrix_local)[:3, :3]
    own = from_matrices(rest[None])[0]
    local = {"rotation_quaternion": continuous(multiplied(multiplied(inverse(own), turns), own))}
    if moves is not None:
        local["location"] = moves @ rest
    return [
        (bone.id_data, bone.path_from_id(attribute), index, column)
        for attribute, columns in local.items()
        for index, column in enumerate(columns.T)
    ]
