# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Characters and avatars for tests of mapping."""

from pathlib import Path

import bpy
from avatar_files import write_avatar


def character(*names: str, name: str = "character") -> bpy.types.Object:
    """A triangle with these shape keys."""
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata([(0, 0, 0), (1, 0, 0), (0, 1, 0)], [], [(0, 1, 2)])
    obj = bpy.data.objects.new(name, mesh)
    bpy.context.scene.collection.objects.link(obj)
    obj.shape_key_add(name="Basis")
    for key in names:
        obj.shape_key_add(name=key).value = 0.0  # Blender 5 makes them with 1
    return obj


def avatar(folder: Path) -> bpy.types.Object:
    """The small avatar of avatar_files: jawOpen, mouthSmileLeft, mouthSmileRight, browInnerUp."""
    bpy.ops.headgas.import_avatar(filepath=str(write_avatar(folder / "anna.safetensors")))
    return bpy.context.object


def choose(*objects: bpy.types.Object) -> None:
    """Selects objects; the first becomes the active one."""
    bpy.context.view_layer.update()  # else a new object may not be listed yet
    for obj in bpy.context.view_layer.objects:
        obj.select_set(obj in objects)
    bpy.context.view_layer.objects.active = objects[0]


def values(obj: bpy.types.Object) -> dict[str, float]:
    """The evaluated values of an object's shape keys."""
    depsgraph = bpy.context.evaluated_depsgraph_get()
    keys = obj.data.shape_keys
    names = [key.name for key in keys.key_blocks][1:]
    return {name: keys.evaluated_get(depsgraph).key_blocks[name].value for name in names}


def set_values(obj: bpy.types.Object, **wanted: float) -> None:
    for name, value in wanted.items():
        obj.data.shape_keys.key_blocks[name].value = value
    obj.data.shape_keys.update_tag()
