# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small characters to capture, and their pictures read back."""

from pathlib import Path

import bpy
import numpy as np

from blender_headgas.capture.finding import found_channels
from blender_headgas.capture.head_space import OBJECT, anchor_of
from blender_headgas.capture.order import Order

SMALL = {"frames": 5, "test_frames": 2, "resolution": 64, "samples": 1, "denoise": False}


def order_for(head: bpy.types.Object, **changes) -> Order:
    """A small order for all channels of a character."""
    told = {
        "head": head.name, "channels": tuple(found_channels(head)), **SMALL,
        "anchor": tuple(tuple(row) for row in anchor_of(head, changes.get("bone", ""), OBJECT).tolist()),
    }
    return Order(**told | changes)


def glow(colour=(1.0, 1.0, 1.0)) -> bpy.types.Material:
    """A material of one colour (sRGB), whatever lights it."""
    material = bpy.data.materials.new("glow")
    material.use_nodes = True
    material.node_tree.nodes.clear()
    emission = material.node_tree.nodes.new("ShaderNodeEmission")
    emission.inputs["Color"].default_value = (*(value**2.2 for value in colour), 1.0)
    output = material.node_tree.nodes.new("ShaderNodeOutputMaterial")
    material.node_tree.links.new(emission.outputs[0], output.inputs[0])
    return material


def white_character(scene: bpy.types.Scene) -> bpy.types.Object:
    """A white glowing ball whose keys have ARKit names: quick, and its straight-alpha colour is 1 everywhere."""
    bpy.ops.mesh.primitive_uv_sphere_add(radius=0.1, segments=32, ring_count=24)
    head = bpy.context.object
    head.data.materials.append(glow())
    head.shape_key_add(name="Basis")
    for name, height in (("eyeBlinkLeft", 0.04), ("jawOpen", -0.06), ("mouthFunnel", -0.03)):
        key = head.shape_key_add(name=name, from_mix=False)
        key.value = 0.0  # Blender 5 makes them with 1
        for index, vertex in enumerate(head.data.vertices):
            if vertex.co.y < -0.04 and abs(vertex.co.z - height) < 0.03:
                key.data[index].co = vertex.co * 1.2
    scene.world = bpy.data.worlds.new("world")
    return head


def marker(scene: bpy.types.Scene, place, colour, parent: bpy.types.Object | None = None) -> bpy.types.Object:
    """A small glowing ball at a place in the parent's space, metres."""
    bpy.ops.mesh.primitive_uv_sphere_add(radius=0.02, segments=24, ring_count=16, location=(0, 0, 0))
    ball = bpy.context.object
    ball.data.materials.append(glow(colour))
    ball.parent, ball.location = parent, place
    return ball


def armature(scene: bpy.types.Scene, *bones: str) -> bpy.types.Object:
    """An armature whose bones stand one beside the other, each 0.1 m along +Y, without parents."""
    data = bpy.data.armatures.new("rig")
    rig = bpy.data.objects.new("rig", data)
    scene.collection.objects.link(rig)
    bpy.context.view_layer.objects.active = rig
    bpy.ops.object.mode_set(mode='EDIT')
    for number, name in enumerate(bones):
        bone = data.edit_bones.new(name)
        bone.head, bone.tail = (0.2 * number, 0, 0), (0.2 * number, 0.1, 0)
    bpy.ops.object.mode_set(mode='OBJECT')
    return rig


def read_rgba(path: Path) -> np.ndarray:
    """Stored values [H,W,4] in 0..1, row 0 on top."""
    image = bpy.data.images.load(str(path))
    image.colorspace_settings.name = "Non-Color"
    image.alpha_mode = "CHANNEL_PACKED"
    flat = np.empty(4 * image.size[0] * image.size[1], np.float32)
    image.pixels.foreach_get(flat)
    pixels = flat.reshape(image.size[1], image.size[0], 4)[::-1].copy()
    bpy.data.images.remove(image)
    return pixels


def read_depth(path: Path, unit: float) -> np.ndarray:
    """Camera-space z [H,W] in metres, row 0 on top; 0 where there is nothing."""
    return read_rgba(path)[..., 0] * 65535 * unit


def centre_of(pixels: np.ndarray, colour) -> np.ndarray:
    """The middle [2] of what has a colour in a picture [H,W,4], in pixels."""
    near = (np.abs(pixels[..., :3] - colour).max(-1) < 0.25) & (pixels[..., 3] > 0.9)
    assert near.sum() > 4, f"nothing is {colour}"
    rows, columns = np.nonzero(near)
    return np.array([columns.mean() + 0.5, rows.mean() + 0.5])
