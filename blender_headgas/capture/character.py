# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a character is made of: its channels, its objects and its surface in head space."""

from dataclasses import dataclass

import bpy
import numpy as np
from mathutils import Vector
from mathutils.bvhtree import BVHTree

from ..core.errors import HeadGaSError
from .cameras import head_to_world

_SOLID_TYPES = {"MESH", "CURVE", "SURFACE", "META", "FONT"}
SEEN_RESOLUTION = 160  # rays per row and column that look for visible triangles


@dataclass(frozen=True)
class Surface:
    """Triangles in head space."""

    vertices: np.ndarray  # [V,3] metres
    triangles: np.ndarray  # [T,3]


def channels(head: bpy.types.Object) -> list[str]:
    """The names of the shape keys that can be posed freely: not the basis, not muted, not driven."""
    keys = head.data.shape_keys if head.type == "MESH" else None
    if keys is None or len(keys.key_blocks) < 2:
        raise HeadGaSError(
            f'"{head.name}" has no shape keys.', "Select the mesh whose shape keys make the expressions."
        )
    animation = keys.animation_data
    driven = {curve.data_path for curve in animation.drivers} if animation else set()
    names = [
        key.name for key in keys.key_blocks
        if key != keys.reference_key and not key.mute and f'key_blocks["{key.name}"].value' not in driven
    ]
    if not names:
        raise HeadGaSError(
            f'Every shape key of "{head.name}" is muted or driven.', "Unmute the shape keys that make the expressions."
        )
    return names


def character_objects(head: bpy.types.Object) -> list[bpy.types.Object]:
    """The head and all that shares its topmost parent: eyes, teeth, hair, body."""
    root = head
    while root.parent is not None:
        root = root.parent
    return [head, *(ob for ob in (root, *root.children_recursive) if ob != head)]


def set_expression(head: bpy.types.Object, names: list[str], expression: np.ndarray) -> None:
    """Pose the channels; expression [B] in 0..1 spans from zero to each slider's end."""
    blocks = head.data.shape_keys.key_blocks
    for name, value in zip(names, expression, strict=True):
        blocks[name].value = float(value) * blocks[name].slider_max
    bpy.context.view_layer.update()


def evaluated_expression(head: bpy.types.Object, names: list[str]) -> list[float]:
    """The channels' values [B] as Blender evaluates them."""
    blocks = head.evaluated_get(bpy.context.evaluated_depsgraph_get()).data.shape_keys.key_blocks
    return [float(blocks[name].value) for name in names]


def evaluated_surface(head: bpy.types.Object) -> Surface:
    """The character's rendered objects as they stand now, modifiers applied."""
    depsgraph = bpy.context.evaluated_depsgraph_get()
    to_head = np.linalg.inv(head_to_world(head))
    vertices, triangles, count = [], [], 0
    for ob in character_objects(head):
        if ob.type not in _SOLID_TYPES or ob.hide_render:
            continue
        evaluated = ob.evaluated_get(depsgraph)
        mesh = evaluated.to_mesh()
        mesh.calc_loop_triangles()
        local = np.empty(3 * len(mesh.vertices), np.float32)
        mesh.vertices.foreach_get("co", local)
        corners = np.empty(3 * len(mesh.loop_triangles), np.int32)
        mesh.loop_triangles.foreach_get("vertices", corners)
        transform = to_head @ np.array(ob.matrix_world)
        vertices.append(local.reshape(-1, 3) @ transform[:3, :3].T + transform[:3, 3])
        triangles.append(corners.reshape(-1, 3) + count)
        count += len(vertices[-1])
        evaluated.to_mesh_clear()
    return Surface(np.concatenate(vertices), np.concatenate(triangles))


def _seen_triangles(surface: Surface, cameras: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Mask [T] of the triangles that one of the cameras (viewmat [4,4], K [3,3]) sees.

    Rays through a coarse grid of pixels miss small triangles, so a triangle whose vertices were all touched counts too.
    """
    tree = BVHTree.FromPolygons(surface.vertices.tolist(), surface.triangles.tolist(), all_triangles=True)
    hit = np.zeros(len(surface.triangles), bool)
    middles = np.arange(SEEN_RESOLUTION) + 0.5
    x, y = (axis.ravel() for axis in np.meshgrid(middles, middles))
    for view, K in cameras:
        rays = np.stack([x, y, np.ones_like(x)], axis=1) @ np.linalg.inv(K).T @ view[:3, :3]
        eye = Vector(-view[:3, :3].T @ view[:3, 3])
        found = [tree.ray_cast(eye, ray)[2] for ray in rays.tolist()]
        hit[[index for index in found if index is not None]] = True
    touched = np.zeros(len(surface.vertices), bool)
    touched[surface.triangles[hit]] = True
    return np.all(touched[surface.triangles], axis=1)


def surface_points(
    surfaces: list[Surface], cameras: list[tuple[np.ndarray, np.ndarray]], count: int, seed: int
) -> np.ndarray:
    """Points [count,3] on the first surface, metres: even over what the cameras see of it in any of its states.

    The surfaces are one character in several expressions: an open mouth shows teeth that the neutral face hides. The
    cameras (viewmat [4,4], K [3,3]) have images of SEEN_RESOLUTION pixels a side.
    """
    rng = np.random.default_rng(seed)
    seen = np.logical_or.reduce([_seen_triangles(surface, cameras) for surface in surfaces])
    corners = surfaces[0].vertices[surfaces[0].triangles[seen]]  # [S,3,3]
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    chosen = rng.choice(len(area), size=count, p=area / area.sum())
    u, v = rng.random((2, count))
    root = np.sqrt(u)  # uniform over a triangle: Osada et al. 2002, "Shape distributions", equation 1
    weights = np.stack([1 - root, root * (1 - v), root * v], axis=1)
    return np.einsum("nk,nkd->nd", weights, corners[chosen]).astype(np.float32)
