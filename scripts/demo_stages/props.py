# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands around an avatar in the documentation's set: glasses, a hand, a room."""

import math

import bmesh
import bpy
from mathutils import Matrix, Vector

_RIM = 0.0255, 0.0205  # metres: half the width and height of a lens
_BEFORE = -0.030  # metres: of the lenses from the eyes' middles
# Bones of a left hand whose back faces the viewer: for each finger the knuckle, its direction, the lengths of its bones
_FINGERS = (
    ((-0.027, 0.0, 0.088), (-0.13, 0.10, 1.0), (0.042, 0.026, 0.021)),
    ((-0.008, -0.003, 0.093), (-0.03, 0.08, 1.0), (0.047, 0.029, 0.022)),
    ((0.011, -0.002, 0.089), (0.07, 0.10, 1.0), (0.043, 0.027, 0.021)),
    ((0.028, 0.002, 0.079), (0.19, 0.14, 1.0), (0.033, 0.021, 0.019)),
)
_THUMB = ((-0.018, 0.004, 0.018), (-0.046, 0.012, 0.044), (-0.063, 0.020, 0.070), (-0.071, 0.030, 0.092))
_CURL = math.radians(13)  # of each bone against the one before
_STEP = 0.0025  # metres between the balls that flesh is made of


def glasses(apart: float) -> tuple[bpy.types.Object, bpy.types.Object]:
    """Frame and lenses about the point between two eyes that lie so far apart (metres), the face looking along -Y."""
    curve = bpy.data.curves.new("frame", 'CURVE')
    curve.dimensions, curve.bevel_depth, curve.bevel_resolution = '3D', 0.0014, 4
    side = apart / 2 * 1.04
    lens = bmesh.new()
    for way in (-1, 1):
        rim = [_on_rim(way * side, 2 * math.pi * i / 64) for i in range(64)]
        _spline(curve, rim, closed=True)
        lens.faces.new([lens.verts.new(point) for point in rim])
        outer = way * (side + _RIM[0])
        temple = [(outer, _BEFORE, 0.010), (outer + way * 0.009, _BEFORE + 0.006, 0.010)]
        temple += [(outer + way * 0.017, 0.03, 0.008), (outer + way * 0.018, 0.075, 0.006)]
        _spline(curve, [*temple, (outer + way * 0.015, 0.10, -0.014)])
    inner = side - _RIM[0]
    bridge = [(x, _BEFORE - 0.003 * (1 - abs(x) / inner), 0.006 + 0.004 * (1 - abs(x) / inner)) for x in
              (-inner, -inner / 2, 0.0, inner / 2, inner)]  # fmt: skip
    _spline(curve, bridge)
    frame = bpy.data.objects.new("glasses", curve)
    curve.materials.append(_surface("horn", (0.05, 0.02, 0.012), 0.25))
    return frame, _object("lenses", lens, _glass())


def _on_rim(center: float, angle: float) -> tuple[float, float, float]:
    """A point of a rounded rectangle about (center, _BEFORE, 0): a superellipse."""
    x, z = (math.copysign(abs(part) ** 0.75, part) for part in (math.cos(angle), math.sin(angle)))
    return center + _RIM[0] * x, _BEFORE, _RIM[1] * z


def _spline(curve: bpy.types.Curve, points: list, closed: bool = False) -> None:
    spline = curve.splines.new('NURBS')
    spline.points.add(len(points) - 1)
    for place, point in zip(spline.points, points, strict=True):
        place.co = (*point, 1.0)
    spline.use_cyclic_u, spline.use_endpoint_u, spline.order_u = closed, not closed, 3


def hand() -> bpy.types.Object:
    """A hand that points upward from its wrist at the origin, its back towards -Y."""
    flesh = bmesh.new()
    _limb(flesh, [(0.0, 0.004, -0.10), (0.0, 0.0, 0.005)], [0.027, 0.023])
    _limb(flesh, [Vector(point) for point in _THUMB], [0.0145, 0.0125, 0.0098, 0.0080])
    for knuckle, direction, lengths in _FINGERS:
        place, way = Vector(knuckle), Vector(direction).normalized()
        _limb(flesh, [(0.55 * place.x, 0.0, 0.012), knuckle], [0.0145, 0.0112])
        bones, across = [place.copy()], way.cross(Vector((0, 1, 0))).normalized()
        for length in lengths:
            bones.append(bones[-1] + way * length)
            way = Matrix.Rotation(_CURL, 3, across) @ way
        _limb(flesh, bones, [0.0102, 0.0092, 0.0083, 0.0066])
    skin = _surface("skin", (0.62, 0.36, 0.27), 0.45, subsurface=0.25)
    made = _object("hand", flesh, skin)
    remesh = made.modifiers.new("one skin", 'REMESH')
    remesh.mode, remesh.voxel_size, remesh.use_smooth_shade = 'VOXEL', 0.0016, True
    smooth = made.modifiers.new("smooth", 'SMOOTH')
    smooth.factor, smooth.iterations = 0.5, 14
    return made


def _limb(flesh: bmesh.types.BMesh, bones: list, radii: list[float]) -> None:
    """Balls along a chain of bones, as thick as their joints say."""
    joints = [Vector(bone) for bone in bones]
    for start, end, thick, thin in zip(joints, joints[1:], radii, radii[1:], strict=False):
        count = max(2, round((end - start).length / _STEP))
        for number in range(count + 1):
            share = number / count
            place = Matrix.Translation(start.lerp(end, share)) @ Matrix.Diagonal((1, 0.92, 1, 1))
            radius = thick + (thin - thick) * share
            bmesh.ops.create_icosphere(flesh, subdivisions=2, radius=radius, matrix=place)


def room(collection: bpy.types.Collection, middle: Vector) -> None:
    """A wall half a metre behind the head, with boards, and the top of a table below it."""
    wall, table = bmesh.new(), bmesh.new()
    for number in range(-9, 10):
        place = Matrix.Translation(middle + Vector((0.24 * number, 0.50, 0.0)))
        bmesh.ops.create_cube(wall, matrix=place @ Matrix.Diagonal((0.232, 0.03, 4.0, 1)))
    behind = Matrix.Translation(middle + Vector((0, 0.53, 0)))
    bmesh.ops.create_cube(wall, matrix=behind @ Matrix.Diagonal((9.0, 0.03, 9.0, 1)))
    below = Matrix.Translation(middle + Vector((0, 0, -0.30)))
    bmesh.ops.create_cube(table, matrix=below @ Matrix.Diagonal((9.0, 1.2, 0.04, 1)))
    collection.objects.link(_object("wall", wall, _surface("paint", (0.16, 0.30, 0.34), 0.6)))
    collection.objects.link(_object("table", table, _surface("wood", (0.30, 0.16, 0.08), 0.35)))


def _object(name: str, shape: bmesh.types.BMesh, material: bpy.types.Material) -> bpy.types.Object:
    mesh = bpy.data.meshes.new(name)
    shape.to_mesh(mesh)
    shape.free()
    mesh.materials.append(material)
    return bpy.data.objects.new(name, mesh)


def _surface(
    name: str, color: tuple[float, float, float], roughness: float, subsurface: float = 0.0
) -> bpy.types.Material:
    material = bpy.data.materials.new(name)
    shader = next(node for node in material.node_tree.nodes if node.type == 'BSDF_PRINCIPLED')
    shader.inputs["Base Color"].default_value = (*color, 1.0)
    shader.inputs["Roughness"].default_value = roughness
    shader.inputs["Subsurface Weight"].default_value = subsurface
    shader.inputs["Subsurface Scale"].default_value = 0.01
    return material


def _glass() -> bpy.types.Material:
    """Tinted glass that lets light through unbent, and mirrors a little."""
    material = bpy.data.materials.new("glass")
    tree = material.node_tree
    tree.nodes.clear()
    through, mirror = tree.nodes.new('ShaderNodeBsdfTransparent'), tree.nodes.new('ShaderNodeBsdfGlossy')
    through.inputs["Color"].default_value = (0.66, 0.60, 0.50, 1.0)
    mirror.inputs["Roughness"].default_value = 0.03
    mixed, output = tree.nodes.new('ShaderNodeMixShader'), tree.nodes.new('ShaderNodeOutputMaterial')
    mixed.inputs["Fac"].default_value = 0.08
    tree.links.new(through.outputs[0], mixed.inputs[1])
    tree.links.new(mirror.outputs[0], mixed.inputs[2])
    tree.links.new(mixed.outputs[0], output.inputs["Surface"])
    return material
