# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parts become one Blender mesh object whose shape keys carry everything."""

import bpy
import numpy as np

from .ears import collar, ears
from .expressions import arkit_poses
from .eyes import eyeball, lashes, lid_rim
from .face import skin
from .hair import brows, hair
from .materials import COLOUR_ATTRIBUTE, make_materials
from .mouth import cavity, teeth_and_gums, tongue
from .part import Part
from .pose import NEUTRAL, SIDES, Pose
from .skin import grid_points
from .topology import build_topology

METRES = 0.01


def build_parts() -> list[Part]:
    """Every piece of the character in the neutral pose, skin first; centimetres."""
    topology = build_topology()
    points = grid_points(topology)
    parts = [skin(topology, points), cavity(topology.mouth, points), *teeth_and_gums(), tongue()]
    for name in SIDES:
        slit = topology.eyes[name]
        parts += [eyeball(name), lid_rim(name, slit, points), lashes(name, slit, points), brows(name)]
    return [*parts, *ears(), hair(), collar()]


def joined_positions(parts: list[Part], pose: Pose = NEUTRAL) -> np.ndarray:
    """Every vertex of the joined parts in a pose: [V,3] centimetres."""
    return np.concatenate([
        part.positions if part.deform is None or pose is NEUTRAL else part.deform(pose) for part in parts
    ])


def _srgb_to_linear(colours: np.ndarray) -> np.ndarray:
    """IEC 61966-2-1, [N,3] in 0..1."""
    return np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)


def _mesh(parts: list[Part]) -> bpy.types.Mesh:
    """The joined geometry with one material slot per kind of part."""
    offsets = np.cumsum([0] + [len(part.positions) for part in parts])
    kinds = list(dict.fromkeys(part.material for part in parts))
    arrays = [(faces + offset, kinds.index(part.material))
              for part, offset in zip(parts, offsets, strict=False) for faces in part.faces]
    sizes = np.concatenate([np.full(len(faces), faces.shape[1]) for faces, _ in arrays])
    slots = np.concatenate([np.full(len(faces), slot) for faces, slot in arrays])
    loops = np.concatenate([faces.ravel() for faces, _ in arrays])

    mesh = bpy.data.meshes.new("HeadGaS Demo Head")
    mesh.vertices.add(int(offsets[-1]))
    mesh.vertices.foreach_set("co", (joined_positions(parts) * METRES).astype(np.float32).ravel())
    mesh.loops.add(len(loops))
    mesh.loops.foreach_set("vertex_index", loops.astype(np.int32))
    mesh.polygons.add(len(sizes))
    mesh.polygons.foreach_set("loop_start", (np.cumsum(sizes) - sizes).astype(np.int32))
    if bpy.app.version < (4, 1):
        mesh.polygons.foreach_set("loop_total", sizes.astype(np.int32))
    mesh.polygons.foreach_set("material_index", slots.astype(np.int32))
    mesh.polygons.foreach_set("use_smooth", np.ones(len(sizes), bool))
    mesh.update(calc_edges=True)
    mesh.validate()
    materials = make_materials()
    for kind in kinds:
        mesh.materials.append(materials[kind])
    _attributes(mesh, parts)
    return mesh


def _attributes(mesh: bpy.types.Mesh, parts: list[Part]) -> None:
    """Colours per vertex; strand coordinates and resting places per face corner."""
    colours = np.concatenate([part.colours for part in parts])
    linear = np.column_stack([_srgb_to_linear(np.clip(colours[:, :3], 0, 1)), colours[:, 3]])
    attribute = mesh.color_attributes.new(COLOUR_ATTRIBUTE, "FLOAT_COLOR", "POINT")
    attribute.data.foreach_set("color", linear.astype(np.float32).ravel())
    corner = np.empty(len(mesh.loops), np.int32)
    mesh.loops.foreach_get("vertex_index", corner)
    positions = joined_positions(parts)
    strand = np.concatenate([np.zeros((len(p.positions), 2)) if p.uv is None else p.uv for p in parts])
    rest = positions[:, [0, 2]] / 20.0 + positions[:, [1]] * [0.013, 0.031]
    for name, values in (("Rest", rest), ("Strand", strand)):
        layer = mesh.uv_layers.new(name=name)
        layer.data.foreach_set("uv", values[corner].astype(np.float32).ravel())


def _add_keys(head: bpy.types.Object, parts: list[Part]) -> None:
    basis = joined_positions(parts)
    head.shape_key_add(name="Basis", from_mix=False)
    for name, (pose, start) in arkit_poses().items():
        key = head.shape_key_add(name=name, from_mix=False)
        moved = (basis + joined_positions(parts, pose) - joined_positions(parts, start)) * METRES
        key.data.foreach_set("co", moved.astype(np.float32).ravel())
        key.value = 0.0


def build_demo_character(collection: bpy.types.Collection | None = None) -> bpy.types.Object:
    """The demo head: one mesh object with ARKit-named shape keys, linked to the collection (default: the scene's)."""
    parts = build_parts()
    head = bpy.data.objects.new("HeadGaS Demo Head", _mesh(parts))
    _add_keys(head, parts)
    start = 0
    for part in parts:
        for name, indices in part.groups.items():
            head.vertex_groups.new(name=name).add([int(i) + start for i in indices], 1.0, "REPLACE")
        start += len(part.positions)
    (collection or bpy.context.scene.collection).objects.link(head)
    return head
