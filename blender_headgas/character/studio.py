# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The studio around the demo head: soft lights, a pale world and a camera."""

import bpy
from mathutils import Vector

_LIGHTS = (  # name, position (m), size (m), power (W), colour
    ("Key", (0.85, -1.25, 0.85), 0.9, 26.0, (1.0, 0.95, 0.88)),
    ("Fill", (-1.3, -1.0, 0.15), 1.2, 8.5, (0.86, 0.92, 1.0)),
    ("Rim", (-0.8, 1.0, 0.95), 0.6, 22.0, (1.0, 0.93, 0.86)),
)


def add_studio(scene: bpy.types.Scene, collection: bpy.types.Collection | None = None) -> list[bpy.types.Object]:
    """Key, fill and rim lights aimed at the origin, and the scene's world; the lights are returned."""
    lights = []
    for name, position, size, power, colour in _LIGHTS:
        light = bpy.data.lights.new(f"HeadGaS {name}", "AREA")
        light.shape, light.size, light.energy, light.color = "DISK", size, power, colour
        holder = bpy.data.objects.new(light.name, light)
        holder.location = position
        holder.rotation_euler = (-Vector(position)).to_track_quat("-Z", "Y").to_euler()
        (collection or scene.collection).objects.link(holder)
        lights.append(holder)
    world = bpy.data.worlds.new("HeadGaS Studio")
    world.use_nodes = True
    background = next(node for node in world.node_tree.nodes if node.type == "BACKGROUND")
    background.inputs["Color"].default_value = (0.80, 0.86, 0.95, 1.0)
    background.inputs["Strength"].default_value = 0.42
    scene.world = world
    return lights
