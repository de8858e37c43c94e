# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What avatars do over time: values of their channels and poses of their bones as Blender evaluates them."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import bpy
import numpy as np
from mathutils import Matrix, Quaternion

from .performance import pose_bones


@dataclass
class Samples:
    """One avatar at T frames."""

    channels: dict[str, np.ndarray]  # name -> [T] float32
    bones: dict[str, list[Matrix]] = field(default_factory=dict)  # name -> T transforms in the bone's own space

    def locations(self, bone: str) -> np.ndarray:
        """[T,3], metres."""
        return np.array([matrix.to_translation() for matrix in self.bones[bone]])

    def turns(self, bone: str) -> list[Quaternion]:
        """T turns about the bone's own axes."""
        return [matrix.to_quaternion() for matrix in self.bones[bone]]

    def scales(self, bone: str) -> np.ndarray:
        """[T,3]."""
        return np.array([matrix.to_scale() for matrix in self.bones[bone]])


def evaluated_at(context: bpy.types.Context, frames: Sequence[float] | np.ndarray) -> Iterator[bpy.types.Depsgraph]:
    """The evaluated scene at each of `frames` [T], with progress. Afterwards the scene is back at its frame."""
    scene, manager = context.scene, context.window_manager
    before = scene.frame_current, scene.frame_subframe
    manager.progress_begin(0, len(frames))
    try:
        for number, frame in enumerate(frames):
            whole = math.floor(frame)
            scene.frame_set(whole, subframe=float(frame - whole))
            yield context.evaluated_depsgraph_get()
            manager.progress_update(number)
    finally:
        scene.frame_set(before[0], subframe=before[1])
        manager.progress_end()


def sample(context: bpy.types.Context, avatars: Sequence[bpy.types.Object], frames: np.ndarray) -> list[Samples]:
    """Each avatar at `frames` [T], parts of frames included. The scene is put back to its frame."""
    rows: list[list[np.ndarray]] = [[] for _ in avatars]
    found = [Samples({}, {bone.name: [] for bone in pose_bones(avatar)}) for avatar in avatars]
    for depsgraph in evaluated_at(context, frames):
        for avatar, row, samples in zip(avatars, rows, found, strict=True):
            row.append(key_values(avatar, depsgraph))
            for name, matrices in samples.bones.items():
                matrices.append(_own_transform(avatar.parent, name, depsgraph))
    for avatar, row, samples in zip(avatars, rows, found, strict=True):
        names = avatar.data.shape_keys.key_blocks.keys()
        samples.channels = dict(zip(names[1:], np.stack(row, 1)[1:], strict=True))
    return found


def key_values(avatar: bpy.types.Object, depsgraph: bpy.types.Depsgraph) -> np.ndarray:
    """The values [K] float32 of an avatar's shape keys, the mesh at rest first."""
    blocks = avatar.data.shape_keys.evaluated_get(depsgraph).key_blocks
    values = np.empty(len(blocks), np.float32)
    blocks.foreach_get("value", values)
    return values


def _own_transform(rig: bpy.types.Object, bone: str, depsgraph: bpy.types.Depsgraph) -> Matrix:
    """What a bone's location, rotation and scale would have to be to show it as its constraints leave it."""
    evaluated = rig.evaluated_get(depsgraph)
    posed = evaluated.pose.bones[bone]
    return evaluated.convert_space(pose_bone=posed, matrix=posed.matrix, from_space='POSE', to_space='LOCAL').copy()
