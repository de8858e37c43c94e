# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes on an avatar: keys on its channels and its head bone, and what both do over a range of frames."""

from collections.abc import Callable, Sequence

import bpy
import numpy as np

from ..core.errors import HeadGaSError
from ..core.rotations import continuous, from_matrices, inverse, multiplied
from ..core.takes.take import Take
from .actions import ensured, give_new_action, replace_keys
from .evaluated import header_of
from .settings import avatar_path

HEAD = "head"  # the bone
_NEAR = 1e-3  # by so much a value may miss a slider's end


def channels_of(avatar: bpy.types.Object) -> list[str]:
    """The names of an avatar's channels."""
    keys = avatar.data.shape_keys
    if keys is None:
        raise HeadGaSError(f"The control mesh '{avatar.name}' has lost its shape keys", "Import the avatar again")
    return [block.name for block in keys.key_blocks][1:]  # the first is the mesh at rest


def head_bone(avatar: bpy.types.Object) -> bpy.types.PoseBone | None:
    """The bone that turns an avatar's head, where it has its armature."""
    rig = avatar.parent
    return rig.pose.bones.get(HEAD) if rig is not None and rig.type == 'ARMATURE' else None


def driven(avatar: bpy.types.Object, channels: Sequence[str]) -> list[str]:
    """Those of an avatar's channels that drivers set, whatever their keys say."""
    data = avatar.data.shape_keys.animation_data
    paths = {driver.data_path for driver in data.drivers if not driver.mute} if data else set()
    return [channel for channel in channels if _path(channel) in paths]


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
    keys, bone = avatar.data.shape_keys, head_bone(avatar)
    turned = bone if with_head and take.rotations is not None else None
    keyed = [keys] if turned is None else [keys, turned.id_data]
    for datablock in keyed:
        if not datablock.is_editable:
            raise HeadGaSError(
                f"'{datablock.name}' belongs to another file and cannot be keyed here",
                "Make a library override of it, or make it local",
            )
    if action is not None:
        give_new_action(action, keyed)
    frames = start + np.arange(len(take.times))
    for name, values in zip(take.names, take.values.T, strict=True):
        replace_keys(ensured(keys, _path(name)), frames, values)
    if turned is not None and take.rotations is not None:
        _key_head(turned, take.rotations, take.positions, frames)


def sampled_take(
    context: bpy.types.Context, avatar: bpy.types.Object, frames: Sequence[int], progress: Callable[[int], None]
) -> Take:
    """What an avatar's channels and its head bone do at `frames`: drivers, constraints and NLA included.

    A muted channel is at rest. The scene returns to its frame.
    """
    scene, names = context.scene, channels_of(avatar)
    keys, bone = avatar.data.shape_keys, head_bone(avatar)
    values = np.empty((len(frames), len(names) + 1), np.float32)
    muted = np.empty(len(names) + 1, bool)
    keys.key_blocks.foreach_get("mute", muted)
    poses = np.empty((len(frames), 4, 4))
    before = scene.frame_current, scene.frame_subframe
    try:
        for place, frame in enumerate(frames):
            scene.frame_set(frame)
            depsgraph = context.evaluated_depsgraph_get()
            keys.evaluated_get(depsgraph).key_blocks.foreach_get("value", values[place])
            if bone is not None:
                poses[place] = avatar.parent.evaluated_get(depsgraph).pose.bones[HEAD].matrix
            progress(place)
    finally:
        scene.frame_set(before[0], subframe=before[1])
    values = values[:, 1:]
    if muted[1:].any():
        space = header_of(avatar_path(avatar)).expression_space
        rests = dict(zip(space.names, space.neutral.tolist(), strict=True))
        values[:, muted[1:]] = [rests.get(name, 0.0) for name, off in zip(names, muted[1:], strict=True) if off]
    times = (np.asarray(frames, np.float64) - frames[0]) / frames_per_second(scene)
    if bone is None:
        return Take(tuple(names), times, values)
    rest = np.array(bone.bone.matrix_local)
    turns, moves = from_matrices(poses[:, :3, :3] @ rest[:3, :3].T), poses[:, :3, 3] - rest[:3, 3]
    return Take(tuple(names), times, values, turns.astype(np.float32), moves.astype(np.float32))


def _key_head(bone: bpy.types.PoseBone, turns: np.ndarray, moves: np.ndarray | None, frames: np.ndarray) -> None:
    """Turns [T,4] and moves [T,3] in head space, which is the armature's space at rest, become the bone's own."""
    rest = np.array(bone.bone.matrix_local)[:3, :3]
    own = from_matrices(rest[None])[0]
    bone.rotation_mode = 'QUATERNION'
    local = continuous(multiplied(multiplied(inverse(own), turns), own))
    curves = [(bone.path_from_id("rotation_quaternion"), local)]
    if moves is not None:
        curves.append((bone.path_from_id("location"), moves @ rest))
    for path, values in curves:
        for index, column in enumerate(values.T):
            replace_keys(ensured(bone.id_data, path, index), frames, column)


def _path(channel: str) -> str:
    return f'key_blocks["{bpy.utils.escape_identifier(channel)}"].value'
