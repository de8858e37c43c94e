# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""An avatar's armature: root, neck and head, which move it, jaw and eyes, which change its expression.

The X axis of every bone points to the subject's left: turning about it by a positive angle always lowers.
"""

import math
from dataclasses import dataclass

import bpy
import numpy as np
from mathutils import Vector

from . import widgets

# Where joints are in a head, in its heights from the bottom, where it is cut at the neck, to the top
_HEAD_JOINT, _JAW_JOINT, _CHIN, _EYES, _EYE_DISTANCE, _EYE_DEPTH = 0.40, 0.47, 0.22, 0.56, 0.24, 0.06
_LEAST_HEIGHT = 0.1  # metres, for surfaces that are flat

# Degrees about a bone's X (down), Y (roll) and Z (to the subject's right), and moves in lengths of the bone
_JAW_LIMITS = ((-5.0, 30.0), (0.0, 0.0), (-12.0, 12.0))
_JAW_MOVES = ((-0.12, 0.12), (-0.05, 0.12), (0.0, 0.0))
_EYE_LIMITS = ((-35.0, 35.0), (0.0, 0.0), (-40.0, 40.0))


@dataclass(frozen=True)
class _Proportions:
    """What the surface says about the head, metres."""

    centre: Vector  # of its box, at its bottom
    height: float
    width: float
    front: float  # the smallest y
    eye_left: Vector
    eye_right: Vector

    def at(self, height: float) -> Vector:
        """The middle of the head, so many of its heights above its bottom."""
        return self.centre + Vector((0, 0, height * self.height))


def add_armature(context: bpy.types.Context, name: str, vertices: np.ndarray) -> bpy.types.Object:
    """An armature for the head with the surface [V,3] (metres, head space), in the active collection."""
    head = _proportions(vertices)
    data = bpy.data.armatures.new(name)
    rig = bpy.data.objects.new(name, data)
    context.collection.objects.link(rig)
    if context.object and context.object.mode != 'OBJECT':
        bpy.ops.object.mode_set(mode='OBJECT')
    context.view_layer.objects.active = rig
    bpy.ops.object.mode_set(mode='EDIT')  # bones exist only in edit mode
    _add_bones(data, head)
    bpy.ops.object.mode_set(mode='OBJECT')
    data.display_type = 'STICK'  # where shapes are switched off; the default would hide the face
    _dress(rig, head)
    _limit(rig)
    return rig


def _proportions(vertices: np.ndarray) -> _Proportions:
    low, high = np.percentile(vertices, (1, 99), axis=0, method="nearest")  # a stray vertex must not move the neck
    centre = (low + high) / 2
    height = float(high[2] - low[2]) or _LEAST_HEIGHT
    half = _EYE_DISTANCE / 2 * height
    eyes = [Vector((centre[0] + side * half, 0.0, low[2] + _EYES * height)) for side in (1, -1)]
    for eye in eyes:
        near = np.abs(vertices[:, [0, 2]] - (eye.x, eye.z)).max(axis=1) < 0.04 * height
        eye.y = (vertices[near, 1].min() if near.any() else low[1]) + _EYE_DEPTH * height
    return _Proportions(
        Vector((centre[0], centre[1], low[2])),
        height,
        float(high[0] - low[0]) or height / 2,
        float(min(low[1], centre[1] - 0.1 * height)),
        *eyes,
    )


def _add_bones(data: bpy.types.Armature, head: _Proportions) -> None:
    back, forward, down = (Vector(axis) for axis in ((0, 1, 0), (0, -1, 0), (0, 0, -1)))
    root = _bone(data, "root", head.at(0), head.at(0) + 0.5 * head.height * back, -down)
    neck = _bone(data, "neck", head.at(0), head.at(_HEAD_JOINT), forward, root)
    skull = _bone(data, "head", head.at(_HEAD_JOINT), head.at(1), forward, neck)
    joint = head.at(_JAW_JOINT)
    _bone(data, "jaw", joint, Vector((joint.x, head.front, joint.z)), down, skull)
    for name, place in (("eye.L", head.eye_left), ("eye.R", head.eye_right)):
        _bone(data, name, place, place + _EYE_DEPTH * head.height * forward, down, skull)


def _bone(
    data: bpy.types.Armature, name: str, start: Vector, end: Vector, z: Vector, parent: bpy.types.EditBone | None = None
) -> bpy.types.EditBone:
    """A bone from start to end whose Z axis points to `z`."""
    bone = data.edit_bones.new(name)
    bone.head, bone.tail, bone.parent = start, end, parent
    bone.align_roll(z)
    return bone


def _dress(rig: bpy.types.Object, head: _Proportions) -> None:
    """Shapes around the face, not before it."""
    height, jaw = head.height, rig.data.bones["jaw"].length
    ring = widgets.ring()
    shapes = {
        "root": (widgets.ground(), 0.8 * head.width, (0, 0, 0), 'THEME01'),
        "neck": (ring, 0.55 * head.width, (0, 0.3 * _HEAD_JOINT * height, 0), 'THEME03'),
        "head": (ring, 0.75 * head.width, (0, (0.85 - _HEAD_JOINT) * height, 0), 'THEME03'),
        "jaw": (widgets.chin(), 1.15 * jaw, (0, 0, (_JAW_JOINT - _CHIN) * height), 'THEME09'),
        "eye.L": (ring, 0.045 * height, (0, 0.2 * height, 0), 'THEME09'),
        "eye.R": (ring, 0.045 * height, (0, 0.2 * height, 0), 'THEME09'),
    }
    for name, (shape, size, place, palette) in shapes.items():
        bone = rig.pose.bones[name]
        bone.custom_shape, bone.use_custom_shape_bone_size = shape, False
        bone.custom_shape_scale_xyz, bone.custom_shape_translation = (size,) * 3, place
        bone.bone.show_wire = True
        bone.bone.color.palette = palette


def _limit(rig: bpy.types.Object) -> None:
    """Jaw and eyes turn and move no farther than they can mean something."""
    for name, degrees in (("jaw", _JAW_LIMITS), ("eye.L", _EYE_LIMITS), ("eye.R", _EYE_LIMITS)):
        bone = rig.pose.bones[name]
        bone.rotation_mode = 'XYZ'
        bone.lock_rotation[1] = True
        bone.lock_scale = (True, True, True)
        bone.lock_location = (False, False, True) if name == "jaw" else (True, True, True)
        turns = bone.constraints.new('LIMIT_ROTATION')
        turns.owner_space, turns.use_transform_limit = 'LOCAL', True
        for axis, (least, most) in zip("xyz", degrees, strict=True):
            setattr(turns, f"use_limit_{axis}", True)
            setattr(turns, f"min_{axis}", math.radians(least))
            setattr(turns, f"max_{axis}", math.radians(most))
    jaw = rig.pose.bones["jaw"]
    moves = jaw.constraints.new('LIMIT_LOCATION')
    moves.owner_space, moves.use_transform_limit = 'LOCAL', True
    for axis, ends in zip("xyz", _JAW_MOVES, strict=True):
        for end, share in zip(("min", "max"), ends, strict=True):
            setattr(moves, f"use_{end}_{axis}", True)
            setattr(moves, f"{end}_{axis}", share * jaw.bone.length)
