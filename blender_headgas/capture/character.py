# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a character is made of: its objects, and its surface and its hair in head space."""

from collections.abc import Sequence
from dataclasses import dataclass

import bpy
import numpy as np
from mathutils import Vector
from mathutils.bvhtree import BVHTree

_SOLID_TYPES = {"MESH", "CURVE", "SURFACE", "META", "FONT"}
_MOST_STRANDS = 2000  # of a particle system, to say where its hair is
SEEN_RESOLUTION = 160  # rays per row and column that look for visible triangles


@dataclass(frozen=True)
class Surface:
    """Triangles in head space."""

    vertices: np.ndarray  # [V,3] metres
    triangles: np.ndarray  # [T,3]


def character_objects(head: bpy.types.Object, collection: bpy.types.Collection | None = None) -> list[bpy.types.Object]:
    """The head and what belongs to it: the objects of the collection, else all that shares its topmost parent."""
    if collection is not None:
        return [head, *(ob for ob in collection.all_objects if ob != head)]
    root = head
    while root.parent is not None:
        root = root.parent
    return [head, *(ob for ob in (root, *root.children_recursive) if ob != head)]


def armature_of(head: bpy.types.Object) -> bpy.types.Object | None:
    """The armature that moves the head: itself, what deforms it, or what it hangs on."""
    if head.type == "ARMATURE":
        return head
    found = head.find_armature()
    parent = head.parent
    while found is None and parent is not None:
        found, parent = (parent if parent.type == "ARMATURE" else None), parent.parent
    return found


def evaluated_surface(objects: Sequence[bpy.types.Object], head_space: np.ndarray) -> Surface:
    """The character's rendered objects as they stand now, modifiers applied; head_space [4,4] is head to world."""
    depsgraph = bpy.context.evaluated_depsgraph_get()
    to_head = np.linalg.inv(head_space)
    vertices, triangles, count = [np.empty((0, 3))], [np.empty((0, 3), np.int32)], 0
    for ob in objects:
        if ob.type not in _SOLID_TYPES or ob.hide_render:
            continue
        evaluated = ob.evaluated_get(depsgraph)
        mesh = evaluated.to_mesh()
        if mesh is None:
            continue
        mesh.calc_loop_triangles()
        local = np.empty(3 * len(mesh.vertices), np.float32)
        mesh.vertices.foreach_get("co", local)
        corners = np.empty(3 * len(mesh.loop_triangles), np.int32)
        mesh.loop_triangles.foreach_get("vertices", corners)
        transform = to_head @ np.array(evaluated.matrix_world)
        vertices.append(local.reshape(-1, 3) @ transform[:3, :3].T + transform[:3, 3])
        triangles.append(corners.reshape(-1, 3) + count)
        count += len(vertices[-1])
        evaluated.to_mesh_clear()
    return Surface(np.concatenate(vertices), np.concatenate(triangles))


def hair_points(objects: Sequence[bpy.types.Object], head_space: np.ndarray) -> np.ndarray:
    """Points [n,3] along the character's hair, in head space: of curves, and of particles that are strands."""
    depsgraph = bpy.context.evaluated_depsgraph_get()
    to_head = np.linalg.inv(head_space)
    found = [np.empty((0, 3))]
    for ob in objects:
        if ob.hide_render:
            continue
        evaluated = ob.evaluated_get(depsgraph)
        if ob.type == "CURVES":
            flat = np.empty(3 * len(evaluated.data.points), np.float32)
            evaluated.data.points.foreach_get("position", flat)
            transform = to_head @ np.array(evaluated.matrix_world)
            found.append(flat.reshape(-1, 3) @ transform[:3, :3].T + transform[:3, 3])
        for system in evaluated.particle_systems if ob.type == "MESH" else ():
            if system.settings.type == "HAIR" and system.settings.render_type == "PATH":
                found.append(_strands(evaluated, system) @ to_head[:3, :3].T + to_head[:3, 3])
    return np.concatenate(found)


def _strands(evaluated: bpy.types.Object, system: bpy.types.ParticleSystem) -> np.ndarray:
    """Points [n,3] of a particle system's strands in the world: of so many that they tell where the hair is."""
    steps = range(0, 2**system.settings.display_step + 1)
    count = len(system.particles) + len(system.child_particles)
    chosen = np.unique(np.linspace(0, count - 1, min(count, _MOST_STRANDS)).astype(int))
    return np.array(
        [system.co_hair(evaluated, particle_no=int(strand), step=step) for strand in chosen for step in steps]
    ).reshape(-1, 3)


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
