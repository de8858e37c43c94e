# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the jaw and eye bones of an avatar's armature are posed at one moment, constraints and drivers included."""

import bpy
import numpy as np

from ..core.bones import BONES


def bone_pose(obj: bpy.types.Object, depsgraph: bpy.types.Depsgraph) -> np.ndarray | None:
    """The pose [3,6] float32 of core.bones that the armature of the control mesh `obj` has, None where it has no bones.

    The armature is the mesh's parent. At rest its space is head space.
    """
    armature = obj.parent
    if armature is None or armature.type != 'ARMATURE':
        return None
    pose = armature.evaluated_get(depsgraph).pose
    found = [pose.bones.get(name) for name in BONES] if pose else []  # an armature that is nowhere may have none
    if not any(found):
        return None
    return np.array([_turn_and_move(bone) if bone else (0.0,) * 6 for bone in found], np.float32)


def _turn_and_move(bone: bpy.types.PoseBone) -> tuple[float, ...]:
    """A bone's rotation vector (radians) and move (in lengths of the bone) against its parent, along head space."""
    rest, parent = bone.bone.matrix_local, bone.parent
    base = rest if parent is None else parent.matrix @ parent.bone.matrix_local.inverted_safe() @ rest
    local = base.inverted_safe() @ bone.matrix
    turn = local.to_quaternion()
    if turn.w < 0:
        turn.negate()  # the same rotation, by less than half a turn
    to_head = rest.to_3x3()
    return (*(to_head @ turn.to_exponential_map()), *(to_head @ local.translation / bone.bone.length))
