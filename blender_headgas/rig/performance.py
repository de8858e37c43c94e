# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""A performance on an avatar: its channels and bones, set now or written as keys into an Action of their own."""

from collections.abc import Iterator, Mapping, Sequence

import bpy
import numpy as np
from mathutils import Quaternion

from ..core.errors import HeadGaSError
from . import actions

ANIMATED_BONES = ("root", "neck", "head", "jaw", "eye.L", "eye.R")  # those that there are; old avatars lack some
_STILL = 1e-6  # what moves less does not move


def channels(avatar: bpy.types.Object) -> dict[str, bpy.types.ShapeKey]:
    """The channels of a control mesh by name; the first key is the mesh at rest."""
    keys = avatar.data.shape_keys
    return {} if keys is None else {key.name: key for key in list(keys.key_blocks)[1:]}


def check_animatable(avatar: bpy.types.Object) -> None:
    """Raises where keys and values of an avatar cannot be changed in this file."""
    keys = avatar.data.shape_keys
    if keys is None:
        raise HeadGaSError(f"The control mesh '{avatar.name}' has lost its shape keys", "Import the avatar again")
    if keys.library is not None:
        raise HeadGaSError(
            f"The avatar '{avatar.name}' is linked from {keys.library.filepath}",
            "Make a library override of it, or animate it in its own file",
        )
    for datablock in (keys, avatar.parent):
        data = datablock.animation_data if datablock is not None else None
        if data is not None and data.use_tweak_mode:
            raise HeadGaSError(
                f"A strip of '{avatar.name}' is being edited in the NLA editor", "Leave its tweak mode (Tab) first"
            )


def driven_channels(avatar: bpy.types.Object) -> list[str]:
    """The channels that have drivers at work: they listen neither to keys nor to anything else."""
    data = avatar.data.shape_keys.animation_data
    paths = {curve.data_path for curve in data.drivers if not curve.mute} if data is not None else set()
    return [name for name, key in channels(avatar).items() if f"{key.path_from_id()}.value" in paths]


def pose_bones(avatar: bpy.types.Object) -> Iterator[bpy.types.PoseBone]:
    """The bones of an avatar that a performance may move."""
    rig = avatar.parent
    if rig is not None and rig.type == 'ARMATURE':
        yield from (rig.pose.bones[name] for name in ANIMATED_BONES if name in rig.pose.bones)


def head_bone(avatar: bpy.types.Object) -> bpy.types.PoseBone | None:
    """The bone that turns the head; None where somebody has deleted it."""
    return next((bone for bone in pose_bones(avatar) if bone.name == "head"), None)


def as_bone_turn(bone: bpy.types.PoseBone, turn: Quaternion) -> Quaternion:
    """A turn in head space, about the bone's own axes at rest."""
    rest = bone.bone.matrix_local.to_quaternion()
    return rest.inverted() @ turn @ rest


def as_head_turn(bone: bpy.types.PoseBone, turn: Quaternion) -> Quaternion:
    """The way back."""
    rest = bone.bone.matrix_local.to_quaternion()
    return rest @ turn @ rest.inverted()


def set_rotation(bone: bpy.types.PoseBone, turn: Quaternion) -> None:
    """Turns a bone about its own axes, whatever its rotation mode."""
    path, values = _rotation(bone, [turn])
    setattr(bone, path, values[0])


def new_action(datablock: bpy.types.ID, name: str, shared: bpy.types.Action | None = None) -> bpy.types.Action:
    """Makes a datablock listen to an empty Action; with slots it may be the one that another datablock has.

    The Action before is kept, by a fake user.
    """
    data = datablock.animation_data_create()
    if data.action is not None:
        data.action.use_fake_user = True
    action = shared if shared is not None and hasattr(shared, "slots") else bpy.data.actions.new(name)
    data.action = action
    if hasattr(action, "slots"):
        data.action_slot = action.slots.new(id_type=datablock.id_type, name=datablock.name)
    return action


def key_channels(avatar: bpy.types.Object, frames: np.ndarray, values: Mapping[str, np.ndarray]) -> None:
    """Keys channels at `frames` [T], rising: for each name its values [T]; channels that the avatar lacks are left out.

    Straight lines between the keys: what was sampled needs no curves that overshoot.
    """
    there = channels(avatar)
    keys = avatar.data.shape_keys
    for name, column in values.items():
        if name in there:
            curve = actions.ensured(keys, f'{there[name].path_from_id()}.value')
            actions.replace_keys(curve, frames, column)
            straighten(curve)


def key_rotation(bone: bpy.types.PoseBone, frames: np.ndarray, turns: Sequence[Quaternion]) -> None:
    """Keys a bone's rotation at `frames` [T] in its own mode: T turns about its own axes."""
    path, values = _rotation(bone, turns)
    key_bone(bone, path, frames, values)


def key_bone(bone: bpy.types.PoseBone, path: str, frames: np.ndarray, values: np.ndarray) -> None:
    """Keys all components of a bone's property at `frames` [T]: values [T,K]."""
    for index in range(values.shape[1]):
        curve = actions.ensured(bone.id_data, f"{bone.path_from_id()}.{path}", index)
        actions.replace_keys(curve, frames, values[:, index])
        straighten(curve)


def rotation_path(bone: bpy.types.PoseBone) -> str:
    """The property that a bone's rotation mode uses."""
    return {'QUATERNION': "rotation_quaternion", 'AXIS_ANGLE': "rotation_axis_angle"}.get(
        bone.rotation_mode, "rotation_euler"
    )


def moves(values: np.ndarray) -> bool:
    """Whether values [T] differ from one another."""
    return bool(np.ptp(values) > _STILL)


def straighten(curve: bpy.types.FCurve, kind: int = 1) -> None:
    """Sets the interpolation of all keys; 0 is constant, 1 is linear, as Blender counts them."""
    curve.keyframe_points.foreach_set("interpolation", np.full(len(curve.keyframe_points), kind, np.int32))
    curve.update()


def _rotation(bone: bpy.types.PoseBone, turns: Sequence[Quaternion]) -> tuple[str, np.ndarray]:
    """The property and its values [T,3] or [T,4], without jumps between neighbours."""
    path = rotation_path(bone)
    rows, before = [], None
    for turn in turns:
        if path == "rotation_quaternion":
            row = turn.copy()
            if before is not None:
                row.make_compatible(before)
        elif path == "rotation_axis_angle":
            axis, angle = turn.to_axis_angle()
            row = (angle, *axis)
        else:
            row = turn.to_euler(bone.rotation_mode, before) if before is not None else turn.to_euler(bone.rotation_mode)
        rows.append(tuple(row))
        before = row
    return path, np.array(rows, np.float64)
