# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a performance moves: an avatar's channels, wherever they are set, and its bones; and how bones are turned."""

from collections.abc import Iterator, Sequence

import bpy
import numpy as np
from mathutils import Quaternion

from ..core.errors import HeadGaSError
from . import actions
from .channels import channels_of, why_not_editable
from .drivers import key_path

_BONES = ("root", "neck", "head", "jaw", "eye.L", "eye.R")  # those that there are; old avatars lack some
_STILL = 1e-6  # what moves less does not move


def owners_of(avatar: bpy.types.Object) -> list[bpy.types.ID]:
    """The datablocks that a performance animates: the shape keys, and the armature."""
    found: list[bpy.types.ID] = [] if avatar.data.shape_keys is None else [avatar.data.shape_keys]
    return found + ([avatar.parent] if any(movable_bones(avatar)) else [])


def check_animatable(avatar: bpy.types.Object) -> None:
    """Raises where an avatar's channels cannot be set and keyed here and now."""
    reason = why_not_editable(avatar)
    if reason:
        raise HeadGaSError(f"'{avatar.name}' cannot be animated", reason)
    for owner in owners_of(avatar):
        if owner.animation_data is not None and owner.animation_data.use_tweak_mode:
            raise HeadGaSError(
                f"A strip of '{avatar.name}' is being edited in the NLA editor", "Leave its tweak mode (Tab) first"
            )


def driven_channels(avatar: bpy.types.Object) -> list[str]:
    """The channels that other drivers set: they listen neither to keys nor to anything else."""
    return [channel.name for channel in channels_of(avatar) if not channel.is_free and not _is_muted(channel.key)]


def pose_bones(avatar: bpy.types.Object) -> Iterator[bpy.types.PoseBone]:
    """The bones of an avatar that a performance moves."""
    rig = avatar.parent
    if rig is not None and rig.type == 'ARMATURE':
        yield from (rig.pose.bones[name] for name in _BONES if name in rig.pose.bones)


def movable_bones(avatar: bpy.types.Object) -> Iterator[bpy.types.PoseBone]:
    """Those that can be moved and keyed in this file."""
    yield from (bone for bone in pose_bones(avatar) if bone.id_data.is_editable)


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
    path, values = rotations_of(bone, [turn])
    setattr(bone, path, values[0])


def rotations_of(bone: bpy.types.PoseBone, turns: Sequence[Quaternion]) -> tuple[str, np.ndarray]:
    """The property that a bone's rotation mode uses, and its values [T,3] or [T,4] for T turns, without jumps."""
    named = {'QUATERNION': "rotation_quaternion", 'AXIS_ANGLE': "rotation_axis_angle"}
    path = named.get(bone.rotation_mode, "rotation_euler")
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


def key_columns(owner: bpy.types.ID, path: str, frames: np.ndarray, values: np.ndarray) -> None:
    """Keys all components of a property at `frames` [T], rising: values [T,K]."""
    for index, column in enumerate(values.T):
        actions.replace_keys(actions.ensured(owner, path, index), frames, column)


def moves(values: np.ndarray) -> bool:
    """Whether values [T,K] differ from one another over time."""
    return bool((np.ptp(values, 0) > _STILL).any())


def _is_muted(key: bpy.types.ShapeKey) -> bool:
    curve = key.id_data.animation_data and key.id_data.animation_data.drivers.find(key_path(key.name))
    return bool(curve and curve.mute)
