# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds an avatar's objects: an armature, and on its head bone the control mesh with its channels."""

from pathlib import Path

import bpy
import numpy as np
from mathutils import Color, Matrix

from ..core.checkpoint import Surface, read_header, read_surface
from ..core.controls import Channels, channels_of
from ..core.errors import HeadGaSError
from ..core.expressions import slider_range
from ..core.mapping import load_mapping
from .armature import add_armature
from .hiding import hide_mesh
from .links import relative_link
from .mappings import text_of

_NAME_LIMIT = 63  # bytes in the name of a shape key
_SLIDER_LIMIT = 10.0  # Blender's own, in either direction


def build_avatar(context: bpy.types.Context, path: Path, mapping: Path | None = None) -> bpy.types.Object:
    """Adds the avatar at `path` to the active collection and returns its control mesh. The armature is its parent.

    With the file of a mapping, what that takes in become the channels, and the file's text goes into the .blend file.
    """
    header, surface = read_header(path), read_surface(path)
    read = None if mapping is None else load_mapping(mapping)
    channels = channels_of(header.expression_space, read)
    _check_buildable(path, surface, channels, limited=read is None)
    context.view_layer.update()  # moves the active collection away from one that was excluded
    name = path.parent.name if path.stem == "avatar" and path.parent.name else path.stem.removesuffix(".headgas")
    rig = add_armature(context, name, surface.vertices)
    mesh = _control_mesh(name, surface)
    mesh.headgas.is_avatar = True
    mesh.headgas.filepath = relative_link(str(path), bpy.data.filepath)
    if mapping is not None:
        mesh.headgas.mapping = text_of(mapping.name, mapping.read_text(encoding="utf-8"))
    _add_channels(mesh, channels)
    hide_mesh(mesh)
    context.collection.objects.link(mesh)
    _attach(mesh, rig)
    _select_only(context, mesh)
    return mesh


def _check_buildable(path: Path, surface: Surface, channels: Channels, limited: bool) -> None:
    """Everything that can be wrong is found before the first object exists."""
    if not len(surface.vertices):
        raise HeadGaSError(f"{path} has no surface to select", "Train the avatar again")
    for name, low, high in zip(channels.names, channels.low, channels.high, strict=True):
        if len(name.encode()) > _NAME_LIMIT:
            raise HeadGaSError(
                f"The parameter name '{name}' is too long for a shape key ({_NAME_LIMIT} bytes)",
                "Shorten it in the capture and train again" if limited else "Shorten it in the mapping",
            )
        if limited and (low < -_SLIDER_LIMIT or high > _SLIDER_LIMIT):
            raise HeadGaSError(
                f"The parameter '{name}' reaches from {low:g} to {high:g}; a shape key only from -10 to 10",
                "Scale this parameter in the capture and train again",
            )


def _control_mesh(name: str, surface: Surface) -> bpy.types.Object:
    data = bpy.data.meshes.new(f"{name} control")
    data.from_pydata(surface.vertices.tolist(), [], surface.faces.tolist())
    colors = np.ones((len(surface.vertices), 4), np.float32)
    colors[:, :3] = surface.colors / 255.0
    attribute = data.color_attributes.new("Color", 'BYTE_COLOR', 'POINT')
    attribute.data.foreach_set("color_srgb", colors.ravel())
    data.shade_smooth()
    data.materials.append(_material(name, attribute.name, colors[:, :3].mean(axis=0)))
    mesh = bpy.data.objects.new(f"{name} control", data)
    mesh.visible_camera = False  # it stands for the avatar in shadows and reflections; the picture shows the avatar
    return mesh


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


def _add_channels(mesh: bpy.types.Object, channels: Channels) -> None:
    """One shape key per channel. The keys don't move the mesh: the avatar listens to their values."""
    mesh.shape_key_add(name="Rest" if "Basis" in channels.names else "Basis", from_mix=False)
    for name, neutral, low, high in zip(channels.names, channels.neutral, channels.low, channels.high, strict=True):
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
