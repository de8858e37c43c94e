# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Meshes that are holdouts, wholly or by their materials: what they hide of avatars. Renderers give them no depth, so
we look where they are."""

from collections.abc import Iterator
from typing import NamedTuple

import bpy
import numpy as np

from ..core.cameras import Camera
from ..core.depth_raster import Covered, covered

_SURFACES = ('MESH', 'CURVE', 'SURFACE', 'FONT', 'META')


class _Seen(NamedTuple):
    """An evaluated object that the camera sees, no avatar."""

    obj: bpy.types.Object
    matrix: np.ndarray  # [4,4] float64, to the world
    holdout: bool  # all of it, whatever its materials are


def hidden_by_holdouts(depsgraph: bpy.types.Depsgraph, camera: Camera) -> Covered | None:
    """What the view layer's holdouts hide of a camera's picture; None where there are none."""
    found = []
    for obj, matrix, holdout in _seen(depsgraph):
        if obj.type not in _SURFACES:
            continue
        slots = [_is_holdout(slot.material) for slot in obj.material_slots]
        if holdout or any(slots):
            found.append(_triangles(obj, matrix, None if holdout else np.array(slots)))
    return covered(np.concatenate(found), camera) if found else None


def ineffective_holdouts(depsgraph: bpy.types.Depsgraph) -> list[str]:
    """What is a holdout, but cuts no avatar out, and why not: a sentence for each."""
    told = []
    for obj, _, holdout in _seen(depsgraph):
        if holdout and obj.type not in _SURFACES:
            told.append(f"'{obj.original.name}' is a holdout without a surface: it does not cut out avatars")
        for slot in () if holdout else obj.material_slots:
            if slot.material and _mixes_holdout(slot.material):
                name = slot.material.original.name
                told.append(f"The material '{name}' is a holdout in part: it does not cut out avatars")
    return list(dict.fromkeys(told))


def _seen(depsgraph: bpy.types.Depsgraph) -> Iterator[_Seen]:
    layer = depsgraph.view_layer
    for instance in depsgraph.object_instances:
        obj = instance.object
        original = obj.original
        owner = instance.parent.original if instance.is_instance else original
        shapes = obj.type in (*_SURFACES, 'CURVES', 'POINTCLOUD', 'VOLUME')
        if not (shapes and instance.show_self and obj.visible_camera) or original.headgas.is_avatar:
            continue
        holdout = original.is_holdout or owner.is_holdout or owner.holdout_get(view_layer=layer)
        yield _Seen(obj, np.array(instance.matrix_world, np.float64), holdout)


def _is_holdout(material: bpy.types.Material | None) -> bool:
    """Whether a material is nothing but the shader Holdout."""
    tree = _nodes_of(material)
    output = tree.get_output_node('CYCLES') if tree else None
    socket = output.inputs["Surface"] if output else None
    while socket is not None and socket.is_linked:
        node = socket.links[0].from_node
        if node.type != 'REROUTE':
            return node.type == 'HOLDOUT' and not node.mute
        socket = node.inputs[0]
    return False


def _mixes_holdout(material: bpy.types.Material) -> bool:
    """Whether a material has the shader Holdout among others."""
    tree = _nodes_of(material)
    return tree is not None and _has_holdout(tree) and not _is_holdout(material)


def _has_holdout(tree: bpy.types.NodeTree) -> bool:
    used = [node for node in tree.nodes if not node.mute and any(socket.is_linked for socket in node.outputs)]
    groups = [node.node_tree for node in used if node.type == 'GROUP' and node.node_tree]
    return any(node.type == 'HOLDOUT' for node in used) or any(map(_has_holdout, groups))


def _nodes_of(material: bpy.types.Material | None) -> bpy.types.NodeTree | None:
    if material is None:
        return None
    has_nodes = bpy.app.version >= (5, 0, 0) or material.use_nodes  # since 5.0 every material has
    return material.node_tree if has_nodes else None


def _triangles(obj: bpy.types.Object, matrix: np.ndarray, slots: np.ndarray | None) -> np.ndarray:
    """The corners [T,3,3] of an evaluated object's triangles, in the world; only of those material `slots` [M] bool
    that are True, where any are given."""
    mesh = obj.to_mesh()
    if mesh is None:
        return np.empty((0, 3, 3))
    try:
        mesh.calc_loop_triangles()
        points = np.empty(3 * len(mesh.vertices), np.float32)
        mesh.vertices.foreach_get("co", points)
        corners = np.empty(3 * len(mesh.loop_triangles), np.int32)
        mesh.loop_triangles.foreach_get("vertices", corners)
        corners = corners.reshape(-1, 3)
        if slots is not None:
            indices = np.empty(len(corners), np.int32)
            mesh.loop_triangles.foreach_get("material_index", indices)
            corners = corners[slots[indices.clip(0, len(slots) - 1)]]
    finally:
        obj.to_mesh_clear()
    placed = points.reshape(-1, 3) @ matrix[:3, :3].T + matrix[:3, 3]
    return placed[corners]
