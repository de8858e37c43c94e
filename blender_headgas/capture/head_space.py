# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a character's head space is: it follows the head's object, or a bone, without their scales."""

import bpy
import numpy as np
from mathutils import Matrix

from ..core.errors import HeadGaSError
from .cameras import rigid
from .character import armature_of

OBJECT, WORLD = "OBJECT", "WORLD"


def head_space(head: bpy.types.Object, bone: str, anchor: np.ndarray) -> np.ndarray:
    """Head space to the world [4,4] as Blender evaluates the character now; `anchor` is head space to what it follows.

    Raises:
        HeadGaSError: there is no such bone, or the character is mirrored.
    """
    return _followed(head, bone) @ anchor


def anchor_of(head: bpy.types.Object, bone: str, front: str) -> np.ndarray:
    """Head space to what it follows, [4,4], of the character at rest: the origin is the object's.

    front: OBJECT, where the face looks along the object's -Y with its Z up, or WORLD, where along the world's.

    Raises:
        HeadGaSError: there is no such bone, or the character is mirrored.
    """
    here = _unmirrored(head, head.evaluated_get(bpy.context.evaluated_depsgraph_get()).matrix_world)
    if not bone:
        resting, followed = here, here
    else:
        armature = _armature(head, bone)
        now, followed = _followed(head, bone), rigid(armature.matrix_world @ armature.data.bones[bone].matrix_local)
        hangs_on_it = head.parent_type == "BONE" and head.parent == armature
        resting = followed @ np.linalg.inv(now) @ here if hangs_on_it else here
    if front == WORLD:
        resting = np.block([[np.eye(3), resting[:3, 3:]], [np.zeros((1, 3)), np.ones((1, 1))]])
    return np.linalg.inv(followed) @ resting


def _followed(head: bpy.types.Object, bone: str) -> np.ndarray:
    depsgraph = bpy.context.evaluated_depsgraph_get()
    if not bone:
        return _unmirrored(head, head.evaluated_get(depsgraph).matrix_world)
    armature = _armature(head, bone).evaluated_get(depsgraph)
    return _unmirrored(armature, armature.matrix_world @ armature.pose.bones[bone].matrix)


def _unmirrored(ob: bpy.types.Object, matrix: Matrix) -> np.ndarray:
    """The rotation and translation of a transform [4,4]. A mirrored one has none: left would be right."""
    if matrix.determinant() < 0:
        raise HeadGaSError(f'"{ob.name}" is mirrored: its scale is negative.', "Apply its scale: Ctrl A.")
    return rigid(matrix)


def _armature(head: bpy.types.Object, bone: str) -> bpy.types.Object:
    armature = armature_of(head)
    if armature is None or bone not in armature.data.bones:
        raise HeadGaSError(f'"{head.name}" has no armature with a bone "{bone}".', "Choose another bone, or none.")
    return armature
