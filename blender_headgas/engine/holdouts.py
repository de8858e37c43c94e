# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Meshes that are holdouts: what they hide of avatars. Renderers give them no depth, so we look where they are."""

from collections.abc import Iterator

import bpy
import numpy as np

from ..core.cameras import Camera
from ..core.depth_raster import Covered, covered

_SURFACES = ('MESH', 'CURVE', 'SURFACE', 'FONT', 'META')


def hidden_by_holdouts(depsgraph: bpy.types.Depsgraph, camera: Camera) -> Covered | None:
    """What the view layer's holdouts hide of a camera's picture; None where there are none."""
    found = [_triangles(obj, matrix) for obj, matrix in _holdouts(depsgraph) if obj.type in _SURFACES]
    return covered(np.concatenate(found), camera) if found else None


def shapeless_holdouts(depsgraph: bpy.types.Depsgraph) -> list[str]:
    """The names of holdouts without a surface of triangles (hair, volumes), which cut no avatar out."""
    names = (obj.original.name for obj, _ in _holdouts(depsgraph) if obj.type not in _SURFACES)
    return list(dict.fromkeys(names))


def _holdouts(depsgraph: bpy.types.Depsgraph) -> Iterator[tuple[bpy.types.Object, np.ndarray]]:
    """Evaluated objects that the camera sees as holdouts, other than avatars, and their matrices to the world [4,4]."""
    layer = depsgraph.view_layer
    for instance in depsgraph.object_instances:
        obj = instance.object
        original = obj.original
        owner = instance.parent.original if instance.is_instance else original
        shapes = obj.type in (*_SURFACES, 'CURVES', 'POINTCLOUD', 'VOLUME')
        if not (shapes and instance.show_self and obj.visible_camera) or original.headgas.is_avatar:
            continue
        if original.is_holdout or owner.is_holdout or owner.holdout_get(view_layer=layer):
            yield obj, np.array(instance.matrix_world, np.float64)


def _triangles(obj: bpy.types.Object, matrix: np.ndarray) -> np.ndarray:
    """The corners [T,3,3] of an evaluated object's triangles, in the world."""
    mesh = obj.to_mesh()
    if mesh is None:
        return np.empty((0, 3, 3))
    try:
        mesh.calc_loop_triangles()
        points = np.empty(3 * len(mesh.vertices), np.float32)
        mesh.vertices.foreach_get("co", points)
        corners = np.empty(3 * len(mesh.loop_triangles), np.int32)
        mesh.loop_triangles.foreach_get("vertices", corners)
    finally:
        obj.to_mesh_clear()
    placed = points.reshape(-1, 3) @ matrix[:3, :3].T + matrix[:3, 3]
    return placed[corners].reshape(-1, 3, 3)
