# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps control meshes out of the avatars' way in viewports: there a modifier leaves nothing of them but their bounds.

Display As would not do: Cycles draws bounds as solid, in colour and in depth. With two points at the corners of its box
a mesh is invisible in every shading mode, and Frame Selected still frames it. F12 and the shape keys don't notice.
"""

import bpy

_NAME = "HeadGaS Avatar in Place"


def hide_mesh(mesh: bpy.types.Object) -> None:
    """Lets viewports show the avatar in place of its control mesh, an original."""
    modifier = hiding_modifier(mesh)
    if modifier is None:
        modifier = mesh.modifiers.new(_NAME, 'NODES')
        modifier.node_group = bpy.data.node_groups.get(_NAME) or _bounds_alone()
        modifier.show_render = modifier.show_in_editmode = modifier.show_expanded = False
    modifier.show_viewport = True


def hiding_modifier(mesh: bpy.types.Object) -> bpy.types.Modifier | None:
    """The modifier that hides a control mesh while viewports show it; None in files from before there was one."""
    return mesh.modifiers.get(_NAME)


def is_hidden(mesh: bpy.types.Object) -> bool:
    """Whether viewports show the avatar in place of its control mesh."""
    modifier = hiding_modifier(mesh)
    return modifier is not None and modifier.show_viewport


def _bounds_alone() -> bpy.types.NodeTree:
    """Nodes that leave two boxes without size, in the corners of the mesh's box."""
    tree = bpy.data.node_groups.new(_NAME, 'GeometryNodeTree')
    for direction in ('INPUT', 'OUTPUT'):
        tree.interface.new_socket("Geometry", in_out=direction, socket_type='NodeSocketGeometry')
    nodes, links = tree.nodes, tree.links
    start, box, join, end = (
        nodes.new(kind)
        for kind in ('NodeGroupInput', 'GeometryNodeBoundBox', 'GeometryNodeJoinGeometry', 'NodeGroupOutput')
    )
    links.new(start.outputs[0], box.inputs["Geometry"])
    for corner in ("Min", "Max"):
        shrunk = nodes.new('GeometryNodeTransform')
        shrunk.inputs["Scale"].default_value = (0.0, 0.0, 0.0)
        links.new(box.outputs["Bounding Box"], shrunk.inputs["Geometry"])
        links.new(box.outputs[corner], shrunk.inputs["Translation"])
        links.new(shrunk.outputs[0], join.inputs[0])
    links.new(join.outputs[0], end.inputs[0])
    return tree
