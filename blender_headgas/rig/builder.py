# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds an avatar's objects: an armature with a head bone, and on it the control mesh with its channels."""

from pathlib import Path

import bpy
import numpy as np
from mathutils import Color, Matrix

from ..core.checkpoint import AvatarHeader, Surface, read_header, read_surface
from ..core.errors import HeadGaSError
from ..core.expressions import slider_range
from .links import relative_link

_NAME_LIMIT = 63  # bytes in the name of a shape key
_SLIDER_LIMIT = 10.0  # Blender's own, in either direction


def build_avatar(context: bpy.types.Context, path: Path) -> bpy.types.Object:
    """Adds the avatar at `path` to the active collection and returns its control mesh. The armature is its parent."""
    header, surface = read_header(path), read_surface(path)
    _check_buildable(header, surface)
    context.view_layer.update()  # moves the active collection away from one that was excluded
    name = path.parent.name if path.stem == "avatar" and path.parent.name else path.stem.removesuffix(".headgas")
    rig = _armature(context, name, surface.vertices)
    mesh = _control_mesh(name, surface)
    mesh.headgas.is_avatar = True
    mesh.headgas.filepath = relative_link(str(path), bpy.data.filepath)
    _add_channels(mesh, header)
    context.collection.objects.link(mesh)
    _attach(mesh, rig)
    _select_only(context, mesh)
    return mesh


def _check_buildable(header: AvatarHeader, surface: Surface) -> None:
    """Everything that can be wrong is found before the first object exists."""
    if not len(surface.vertices):
        raise HeadGaSError(f"{header.path} has no surface to select", "Train the avatar again")
    space = header.expression_space
    for name, low, high in zip(space.names, space.low, space.high, strict=True):
        if len(name.encode()) > _NAME_LIMIT:
            raise HeadGaSError(
                f"The parameter name '{name}' is too long for a shape key ({_NAME_LIMIT} bytes)",
                "Shorten it in the capture and train again",
            )
        if low < -_SLIDER_LIMIT or high > _SLIDER_LIMIT:
            raise HeadGaSError(
                f"The parameter '{name}' reaches from {low:g} to {high:g}; a shape key only from -10 to 10",
                "Scale this parameter in the capture and train again",
            )


def _armature(context: bpy.types.Context, name: str, vertices: np.ndarray) -> bpy.types.Object:
    """An armature with a root and a head bone through the head [V,3] (metres), from its bottom to its top."""
    data = bpy.data.armatures.new(name)
    rig = bpy.data.objects.new(name, data)
    context.collection.objects.link(rig)
    if context.object and context.object.mode != 'OBJECT':
        bpy.ops.object.mode_set(mode='OBJECT')
    context.view_layer.objects.active = rig
    bpy.ops.object.mode_set(mode='EDIT')  # bones exist only in edit mode
    low, high = np.percentile(vertices, (1, 99), axis=0, method="nearest")  # a stray vertex must not move the neck
    centre = (low + high) / 2
    height = float(high[2] - low[2]) or 0.1
    root = data.edit_bones.new("root")
    root.head, root.tail = (centre[0], centre[1], low[2]), (centre[0], centre[1] + height / 2, low[2])
    head = data.edit_bones.new("head")
    head.head, head.tail = root.head, (centre[0], centre[1], low[2] + height)
    head.parent = root
    bpy.ops.object.mode_set(mode='OBJECT')
    data.display_type = 'STICK'  # the default shape would hide the face
    rig.show_in_front = True
    return rig


def _control_mesh(name: str, surface: Surface) -> bpy.types.Object:
    data = bpy.data.meshes.new(f"{name} control")
    data.from_pydata(surface.vertices.tolist(), [], surface.faces.tolist())
    colors = np.ones((len(surface.vertices), 4), np.float32)
    colors[:, :3] = surface.colors / 255.0
    attribute = data.color_attributes.new("Color", 'BYTE_COLOR', 'POINT')
    attribute.data.foreach_set("color_srgb", colors.ravel())
    data.shade_smooth()
    data.materials.append(_material(name, attribute.name, colors[:, :3].mean(axis=0)))
    return bpy.data.objects.new(f"{name} control", data)


def _material(name: str, attribute: str, mean_color: np.ndarray) -> bpy.types.Material:
    """A matte material that shows a colour attribute; `mean_color` [3] (sRGB) is what Solid shading shows."""
    material = bpy.data.materials.new(f"{name} control")
    if bpy.app.version < (5, 0, 0):  # since then every material has nodes
        material.use_nodes = True
    nodes = material.node_tree.nodes
    color = nodes.new('ShaderNodeVertexColor')
    color.layer_name = attribute
    shader = next(node for node in nodes if node.type == 'BSDF_PRINCIPLED')
    shader.inputs["Roughness"].default_value = 0.8
    color.location = (shader.location.x - 250, shader.location.y)
    material.node_tree.links.new(color.outputs["Color"], shader.inputs["Base Color"])
    material.diffuse_color[:3] = Color(mean_color).from_srgb_to_scene_linear()
    return material


def _add_channels(mesh: bpy.types.Object, header: AvatarHeader) -> None:
    """One shape key per parameter. The keys don't move the mesh: they are the channels that the avatar listens to."""
    space = header.expression_space
    mesh.shape_key_add(name="Rest" if "Basis" in space.names else "Basis", from_mix=False)
    for name, neutral, low, high in zip(space.names, space.neutral, space.low, space.high, strict=True):
        key = mesh.shape_key_add(name=name, from_mix=False)
        smallest, largest = slider_range(float(low), float(high), float(neutral))
        key.slider_min, key.slider_max = max(smallest, -_SLIDER_LIMIT), min(largest, _SLIDER_LIMIT)
        key.value = neutral


def _attach(mesh: bpy.types.Object, rig: bpy.types.Object) -> None:
    """Hangs the mesh on the head bone so that at rest the armature's space is head space."""
    bone = rig.data.bones["head"]
    mesh.parent, mesh.parent_type, mesh.parent_bone = rig, 'BONE', bone.name
    # a bone's children live in a space whose origin is the bone's tail
    mesh.matrix_parent_inverse = (bone.matrix_local @ Matrix.Translation((0, bone.length, 0))).inverted()


def _select_only(context: bpy.types.Context, mesh: bpy.types.Object) -> None:
    context.view_layer.update()  # else a new object may not be listed yet
    for obj in context.view_layer.objects:
        obj.select_set(obj == mesh)
    context.view_layer.objects.active = mesh
