# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps control meshes out of the avatars' way in viewports: there a modifier leaves nothing of them but their bounds.

Display As would not do: Cycles draws bounds as solid, in colour and in depth. With two points at the corners of its box
a mesh is invisible in every shading mode, and Frame Selected still frames it. F12 and the shape keys don't notice.
A line within the head, where the avatar hides it, is what box, lasso and circle select.
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


def reveal_meshes() -> None:
    """Shows all control meshes, for nothing will be drawn in their place."""
    for mesh in _avatars():
        modifier = hiding_modifier(mesh)
        if modifier is not None and modifier.show_viewport:
            modifier.show_viewport = False
            mesh.headgas.is_revealed = True


@bpy.app.handlers.persistent
def hide_revealed(*_: object) -> None:
    """Hides again what `reveal_meshes` has shown."""
    for mesh in _avatars():
        if mesh.headgas.is_revealed:
            mesh.headgas.is_revealed = False
            hide_mesh(mesh)


def register_hiding() -> None:
    """Hides control meshes that were revealed, now and in files that are opened."""
    bpy.app.handlers.load_post.append(hide_revealed)
    bpy.app.timers.register(hide_revealed)  # where Blender starts, it shows no data yet


def unregister_hiding() -> None:
    """Reveals them."""
    if bpy.app.timers.is_registered(hide_revealed):
        bpy.app.timers.unregister(hide_revealed)
    bpy.app.handlers.load_post.remove(hide_revealed)
    reveal_meshes()


def _avatars() -> list[bpy.types.Object]:
    """The control meshes of the file that can be changed."""
    return [obj for obj in bpy.data.objects if obj.headgas.is_avatar and obj.is_editable]


def _bounds_alone() -> bpy.types.NodeTree:
    """Nodes that leave two boxes without size, in the corners of the mesh's box, and a line about its middle."""
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
    line = nodes.new('GeometryNodeMeshLine')
    line.mode = 'END_POINTS'
    line.inputs["Count"].default_value = 2
    for share, name in ((0.4, "Start Location"), (0.6, "Offset")):  # the latter is the other end
        between = nodes.new('ShaderNodeMix')
        between.data_type = 'VECTOR'
        between.inputs["Factor"].default_value = share
        for corner, place in (("Min", 4), ("Max", 5)):  # A and B of vectors
            links.new(box.outputs[corner], between.inputs[place])
        links.new(between.outputs[1], line.inputs[name])
    links.new(line.outputs[0], join.inputs[0])
    links.new(join.outputs[0], end.inputs[0])
    return tree
