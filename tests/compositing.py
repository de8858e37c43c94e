# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands in for a user's own work around avatars: things that glow, and nodes in the compositor."""

import bpy


def make_glow(mesh: bpy.types.Mesh, color: tuple[float, float, float]) -> None:
    """Gives a mesh a material that sends out a colour, whatever the light."""
    material = bpy.data.materials.new("glow")
    if bpy.app.version < (5, 0, 0):
        material.use_nodes = True
    tree = material.node_tree
    glow = tree.nodes.new('ShaderNodeEmission')
    glow.inputs["Color"].default_value = (*color, 1.0)
    output = next(node for node in tree.nodes if node.type == 'OUTPUT_MATERIAL')
    tree.links.new(glow.outputs["Emission"], output.inputs["Surface"])
    mesh.materials.append(material)


def users_nodes(scene: bpy.types.Scene) -> bpy.types.NodeTree:
    """A compositor of the user's own, which doubles the light."""
    if bpy.app.version >= (5, 0, 0):
        tree = scene.compositing_node_group = bpy.data.node_groups.new("mine", 'CompositorNodeTree')
        tree.interface.new_socket("Image", in_out='OUTPUT', socket_type='NodeSocketColor')
        output = tree.nodes.new('NodeGroupOutput')
    else:
        scene.use_nodes = True
        tree = scene.node_tree
        tree.nodes.clear()
        output = tree.nodes.new('CompositorNodeComposite')
    layers, exposure = tree.nodes.new('CompositorNodeRLayers'), tree.nodes.new('CompositorNodeExposure')
    layers.scene = scene
    exposure.inputs["Exposure"].default_value = 1.0
    tree.links.new(layers.outputs["Image"], exposure.inputs["Image"])
    tree.links.new(exposure.outputs[0], output.inputs[0])
    return tree


def links_of(tree: bpy.types.NodeTree) -> set[tuple[str, str, str, str]]:
    """Which sockets of which nodes are joined."""
    return {
        (link.from_node.name, link.from_socket.name, link.to_node.name, link.to_socket.name) for link in tree.links
    }
