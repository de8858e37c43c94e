# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What bones look like: small wire meshes, one of each in a file, in no collection."""

import math

import bpy

_Shape = tuple[list[tuple[float, float, float]], list[tuple[int, int]]]  # points in bone space, and edges

_STEPS = 32


def ring() -> bpy.types.Object:
    """A circle of radius 1 around a bone."""
    return _widget("HeadGaS Ring", _circle())


def ground() -> bpy.types.Object:
    """A circle of radius 1 on the ground that a bone points back over, with an arrow to the front."""
    points, edges = _circle()
    flat = [(x, z, 0.0) for x, _, z in points]
    count = len(flat)
    flat += [(-0.2, -1.0, 0.0), (0.0, -1.3, 0.0), (0.2, -1.0, 0.0)]
    return _widget("HeadGaS Ground", (flat, [*edges, (count, count + 1), (count + 1, count + 2)]))


def chin() -> bpy.types.Object:
    """An arc in front of a bone, 1 from its root: where a jaw ends."""
    angles = [math.radians(50 * (2 * i / _STEPS - 1)) for i in range(_STEPS + 1)]
    points = [(math.sin(angle), math.cos(angle), 0.0) for angle in angles]
    return _widget("HeadGaS Chin", (points, [(i, i + 1) for i in range(_STEPS)]))


def _circle() -> _Shape:
    angles = [2 * math.pi * i / _STEPS for i in range(_STEPS)]
    return [(math.cos(a), 0.0, math.sin(a)) for a in angles], [(i, (i + 1) % _STEPS) for i in range(_STEPS)]


def _widget(name: str, shape: _Shape) -> bpy.types.Object:
    """The file's own object of this name, if it still has this shape; else a new one."""
    points, edges = shape
    known = bpy.data.objects.get((name, None))
    if known is not None and known.type == 'MESH' and len(known.data.vertices) == len(points):
        return known
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata(points, edges, [])
    return bpy.data.objects.new(name, mesh)
