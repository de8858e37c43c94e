# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Avatars with engines that we are no part of: a second scene renders them, the compositor combines both by depth.

The user's own nodes stay: what took the scene's image takes the combined one, until all is removed.
"""

import json

import bpy
from bpy.app.handlers import persistent

from ..core.errors import HeadGaSError
from .native_panels import CYCLES_ENGINE, ENGINE

_NODE = "HeadGaS Combine"
_AVATARS = "HeadGaS Avatars"
_ADDED = "headgas_added"  # marks what set-up added, and remembers what it changed
_SOURCE = "HeadGaS Scene"
# What the second scene takes from the first at every render
_FOLLOWED = ("resolution_x", "resolution_y", "resolution_percentage", "pixel_aspect_x", "pixel_aspect_y", "use_border")
_FOLLOWED += ("border_min_x", "border_max_x", "border_min_y", "border_max_y", "use_crop_to_border", "use_multiview")
_FOLLOWED += ("views_format", "use_motion_blur", "motion_blur_shutter", "motion_blur_position", "fps", "fps_base")
_FOLLOWED += ("frame_map_old", "frame_map_new")
_OF_LAYERS = ("exclude", "holdout", "indirect_only")  # of their collections


def is_set_up(scene: bpy.types.Scene) -> bool:
    """Whether the compositor of a scene combines it with its avatars."""
    tree = compositor_of(scene)
    return tree is not None and _NODE in tree.nodes


def set_up(scene: bpy.types.Scene, layer: bpy.types.ViewLayer) -> bpy.types.Scene:
    """Has the compositor show the avatars within what one view layer renders; returns the second scene.

    Raises:
        HeadGaSError: the scene's engine renders avatars by itself, all is set up already, or the compositor makes
            its picture of something else.
    """
    if scene.render.engine in (ENGINE, CYCLES_ENGINE):
        raise HeadGaSError("This engine renders avatars by itself", "Nothing has to be set up for it")
    if is_set_up(scene):
        raise HeadGaSError("The compositor shows the avatars already", "Remove Avatars from Compositor undoes that")
    tree = _ensured_tree(scene)
    sources = [n for n in tree.nodes if n.type == 'R_LAYERS' and (n.scene, n.layer) == (scene, layer.name)]
    taken = [(link.to_socket, node.name) for node in sources for link in node.outputs["Image"].links]
    taken = taken or [(socket, "") for socket in _ends(tree) if not socket.is_linked]
    if not taken:
        raise HeadGaSError(
            f"The compositor makes nothing of the view layer '{layer.name}'",
            "Link the image of its Render Layers node, or make a view layer active that the compositor uses",
        )
    second = _second_scene(scene, layer)
    source = max(sources, key=lambda node: node.outputs["Image"].is_linked, default=None)
    if source is None:
        source = tree.nodes.new('CompositorNodeRLayers')
        source.name = source.label = _SOURCE
        source.scene, source.layer = scene, layer.name
        source[_ADDED] = True
    avatars = tree.nodes.new('CompositorNodeRLayers')
    avatars.name = avatars.label = _AVATARS
    avatars.scene, avatars.layer = second, layer.name
    avatars[_ADDED] = True
    avatars.location = source.location.x, source.location.y - 450
    told = [(socket.node.name, socket.identifier, name) for socket, name in taken]
    before = {"depth": layer.use_pass_z, "layer": layer.name, "links": json.dumps(told)}
    layer.use_pass_z = True
    combine = _combine(tree, avatars, source)
    combine[_ADDED] = before
    for socket, _ in taken:
        tree.links.new(combine.outputs[0], socket)
    return second


def remove(scene: bpy.types.Scene) -> None:
    """Takes away what `set_up` added, and the second scene.

    Raises:
        HeadGaSError: nothing was set up.
    """
    if not is_set_up(scene):
        raise HeadGaSError("The compositor of this scene does not show avatars", "There is nothing to remove")
    tree = compositor_of(scene)
    assert tree is not None
    combine, avatars = tree.nodes[_NODE], tree.nodes.get(_AVATARS)
    before = dict(combine[_ADDED])
    feeding = (link.from_node for link in tree.links if link.to_node == combine and link.from_socket.name == "Depth")
    source = next((node for node in feeding if node != avatars), None)
    if source is not None and _ADDED not in source:
        linked = {(node, socket): name for node, socket, name in json.loads(before["links"])}
        for socket in [link.to_socket for link in combine.outputs[0].links]:
            origin = linked.get((socket.node.name, socket.identifier), source.name)  # later links are the source's
            if origin in tree.nodes:
                tree.links.new(tree.nodes[origin].outputs["Image"], socket)
    layer = scene.view_layers.get(before["layer"])
    if layer is not None:
        layer.use_pass_z = bool(before["depth"])
    second = avatars.scene if avatars is not None else None
    for node in [node for node in tree.nodes if _ADDED in node]:
        tree.nodes.remove(node)
    if second is not None and second.headgas_render.main == scene:
        bpy.data.scenes.remove(second)
    if tree.get(_ADDED) and not any(node.type not in ('GROUP_OUTPUT', 'COMPOSITE') for node in tree.nodes):
        if bpy.app.version >= (5, 0, 0):
            scene.compositing_node_group = None
            bpy.data.node_groups.remove(tree)
        else:
            tree.nodes.clear()
            del tree[_ADDED]
            scene.use_nodes = False


@persistent
def follow_main_scenes(*_: object) -> None:
    """Before a render: second scenes take over the camera, the frame and the objects of their first."""
    for second in bpy.data.scenes:
        main = second.headgas_render.main
        if main is None:
            continue
        second.camera = main.camera
        for name in _FOLLOWED:
            setattr(second.render, name, getattr(main.render, name))
        for own, view in zip(second.render.views, main.render.views, strict=False):
            own.use, own.camera_suffix = view.use, view.camera_suffix
        for shown, wanted in (
            (second.collection.objects, main.collection.objects),
            (second.collection.children, main.collection.children),
        ):
            for item in set(wanted) - set(shown):
                shown.link(item)
            for item in set(shown) - set(wanted):
                shown.unlink(item)
        for own in second.view_layers:
            layer = main.view_layers.get(own.name)
            if layer is not None:
                own.use_solid, own.use_motion_blur = layer.use_solid, layer.use_motion_blur
                _follow_collections(own.layer_collection, layer.layer_collection)


def _follow_collections(own: bpy.types.LayerCollection, main: bpy.types.LayerCollection) -> None:
    """What a view layer shows of the collections within one; of each before that of those within."""
    known = {child.collection: child for child in own.children}
    for child in main.children:
        other = known.get(child.collection)
        if other is None:
            continue
        for name in _OF_LAYERS:
            if getattr(other, name) != getattr(child, name):
                setattr(other, name, getattr(child, name))
        _follow_collections(other, child)


def _second_scene(scene: bpy.types.Scene, layer: bpy.types.ViewLayer) -> bpy.types.Scene:
    """A scene of the same collections, camera and frame, rendered by our engine."""
    second = scene.copy()
    second.name = f"{scene.name} Avatars"
    second.headgas_render.main = scene
    second.render.engine, second.render.film_transparent = ENGINE, True
    second.render.use_compositing = second.render.use_sequencer = False
    if bpy.app.version >= (5, 0, 0):
        second.compositing_node_group = None
    else:
        second.use_nodes = False
    for other in second.view_layers:
        other.use = other.name == layer.name
    second.view_layers[layer.name].use_pass_z = True
    return second


def compositor_of(scene: bpy.types.Scene) -> bpy.types.NodeTree | None:
    """The compositor's nodes of a scene, where it uses them."""
    if bpy.app.version >= (5, 0, 0):
        return scene.compositing_node_group
    return scene.node_tree if scene.use_nodes else None


def _ensured_tree(scene: bpy.types.Scene) -> bpy.types.NodeTree:
    """The compositor's nodes of a scene, with an output."""
    tree = compositor_of(scene)
    if tree is None:
        if bpy.app.version >= (5, 0, 0):
            tree = scene.compositing_node_group = bpy.data.node_groups.new("Compositing", 'CompositorNodeTree')
        else:
            scene.use_nodes = True
            tree = scene.node_tree
            tree.nodes.clear()  # what Blender puts there, no user's nodes
        tree[_ADDED] = True
    if _ends(tree):
        return tree
    if bpy.app.version >= (5, 0, 0):
        if not any(item.item_type == 'SOCKET' and item.in_out == 'OUTPUT' for item in tree.interface.items_tree):
            tree.interface.new_socket("Image", in_out='OUTPUT', socket_type='NodeSocketColor')
        output = tree.nodes.new('NodeGroupOutput')
    else:
        output = tree.nodes.new('CompositorNodeComposite')
    output.location = (800, 0)
    return tree


def _ends(tree: bpy.types.NodeTree) -> list[bpy.types.NodeSocket]:
    """The sockets of the picture that the compositor makes."""
    kind = 'GROUP_OUTPUT' if bpy.app.version >= (5, 0, 0) else 'COMPOSITE'
    return [node.inputs[0] for node in tree.nodes if node.type == kind and len(node.inputs)]


def _combine(tree: bpy.types.NodeTree, avatars: bpy.types.Node, source: bpy.types.Node) -> bpy.types.Node:
    """Nodes that lay the nearer of two images over the other; returns the last.

    Z Combine's own use of alpha takes colours as straight, which those of render layers are not: soft edges got dark.
    """
    combine = tree.nodes.new('CompositorNodeZcombine')
    combine.name = combine.label = _NODE
    combine.location = source.location.x + 550, source.location.y
    if bpy.app.version >= (5, 0, 0):
        combine.inputs["Use Alpha"].default_value = False
    else:
        combine.use_alpha = False
    colours = [socket for socket in combine.inputs if socket.type == 'RGBA']
    depths = [socket for socket in combine.inputs if socket.name in ("Z", "Depth A", "Depth B")]
    for number, (near, far) in enumerate(((avatars, source), (source, avatars))):
        over = tree.nodes.new('CompositorNodeAlphaOver')
        over[_ADDED] = True
        over.location = source.location.x + 350, source.location.y - 200 * number
        below, above = (socket for socket in over.inputs if socket.type == 'RGBA')
        tree.links.new(far.outputs["Image"], below)
        tree.links.new(near.outputs["Image"], above)
        tree.links.new(over.outputs[0], colours[number])
        tree.links.new(near.outputs["Depth"], depths[number])
    return combine
