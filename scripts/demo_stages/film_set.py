# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""In Blender 5: an avatar with glasses and a hand, before a wall, by Cycles + HeadGaS: `film_set.py AVATAR OUT COUNT`.

Two view layers, as glass before an avatar needs them: `Set` is the room, with all shadows; `Front`, whose film is
transparent where the room is, has the avatar, the glasses and the hand. The compositor lays one over the other.
"""

import math
import sys
from pathlib import Path

import bpy
import extension
import props
from mathutils import Euler, Vector

_SIZE = 720, 540  # pixels
_FIRST, _LAST = 1, 3  # frames that head and hand move in
_SHUTTER = 0.9  # frames


def main(avatar: Path, out: Path, samples: int) -> None:
    extension.install()
    scene = bpy.context.scene
    bpy.ops.headgas.import_avatar(filepath=str(avatar))
    control = bpy.context.object
    _express(control, {"mouthSmileLeft": 0.5, "mouthSmileRight": 0.6, "browInnerUp": 0.3})
    eyes = _eyes(control.parent)
    collections = {name: _collection(scene, name) for name in ("Cast", "Room", "Props", "Lenses")}
    for obj in (control, control.parent):
        _move(obj, collections["Cast"])
    glasses, lenses = props.glasses((eyes[0] - eyes[1]).length)
    middle = (eyes[0] + eyes[1]) / 2
    for obj, name in ((glasses, "Props"), (lenses, "Lenses")):
        collections[name].objects.link(obj)
        obj.parent, obj.parent_type, obj.parent_bone = control.parent, 'BONE', "head"
        bpy.context.view_layer.update()
        obj.matrix_world = Euler((0.06, 0, 0)).to_matrix().to_4x4()
        obj.matrix_world.translation = middle
    hand = props.hand()
    collections["Props"].objects.link(hand)
    hand.location = middle + Vector((-0.095, -0.105, -0.215))
    hand.rotation_euler = (0.12, 0.30, 0.30)
    props.room(collections["Room"], middle)
    _light(scene, middle)
    _see(scene, middle)
    _layers(scene)
    _settings(scene, samples)
    _render(scene, out / "rendering_set.png", _combined)
    _render(scene, out / "rendering_depth.png", _depth)
    _animate(control.parent, hand)
    scene.render.use_motion_blur, scene.render.motion_blur_shutter = True, _SHUTTER
    scene.headgas_render.motion_samples = 12
    scene.frame_set((_FIRST + _LAST) // 2)
    _render(scene, out / "rendering_motion.png", _combined)
    extension.leave()


def _express(control: bpy.types.Object, values: dict[str, float]) -> None:
    keys = control.data.shape_keys.key_blocks
    for name, value in values.items():
        if name in keys:
            keys[name].value = value


def _eyes(rig: bpy.types.Object) -> tuple[Vector, Vector]:
    """The middles of the left eye and of the right one, in the world."""
    left, right = (rig.matrix_world @ rig.pose.bones[name].head for name in ("eye.L", "eye.R"))
    return left, right


def _collection(scene: bpy.types.Scene, name: str) -> bpy.types.Collection:
    collection = bpy.data.collections.new(name)
    scene.collection.children.link(collection)
    return collection


def _move(obj: bpy.types.Object, collection: bpy.types.Collection) -> None:
    for other in list(obj.users_collection):
        other.objects.unlink(obj)
    collection.objects.link(obj)


def _light(scene: bpy.types.Scene, middle: Vector) -> None:
    """A large lamp from the left, which throws the shadows, and a weak one from the right."""
    for name, place, power, size in (("key", (-0.55, -1.05, 0.5), 22.0, 0.16), ("fill", (1.2, -0.8, 0.2), 4.0, 0.8)):
        lamp = bpy.data.lights.new(name, 'AREA')
        lamp.energy, lamp.size = power, size
        obj = bpy.data.objects.new(name, lamp)
        scene.collection.objects.link(obj)
        obj.location = middle + Vector(place)
        obj.rotation_euler = (middle - obj.location).to_track_quat('-Z', 'Y').to_euler()
    scene.world = bpy.data.worlds.new("room")
    background = next(node for node in scene.world.node_tree.nodes if node.type == 'BACKGROUND')
    background.inputs["Color"].default_value = (0.35, 0.4, 0.5, 1.0)
    background.inputs["Strength"].default_value = 0.35


def _see(scene: bpy.types.Scene, middle: Vector) -> None:
    camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
    scene.collection.objects.link(camera)
    scene.camera, camera.data.lens = camera, 60.0
    camera.location = middle + Vector((0.15, -0.86, 0.02))
    camera.rotation_euler = (middle + Vector((0.02, 0, -0.04)) - camera.location).to_track_quat('-Z', 'Y').to_euler()


def _layers(scene: bpy.types.Scene) -> None:
    room, front = scene.view_layers[0], scene.view_layers.new("Front")
    room.name = "Set"
    room.use_pass_z = True
    room.layer_collection.children["Lenses"].exclude = True
    front.layer_collection.children["Room"].indirect_only = True  # it still bounces light
    front.pass_alpha_threshold = 0.0  # glass has a depth, too


def _settings(scene: bpy.types.Scene, samples: int) -> None:
    render = scene.render
    render.engine, render.film_transparent = 'HEADGAS_CYCLES', True
    render.resolution_x, render.resolution_y, render.resolution_percentage = *_SIZE, 100
    scene.cycles.samples, scene.cycles.use_denoising = samples, True
    scene.frame_start, scene.frame_end = _FIRST, _LAST
    render.image_settings.file_format, render.image_settings.color_mode = 'PNG', 'RGB'
    bpy.ops.headgas.exact_colors()
    scene.compositing_node_group = bpy.data.node_groups.new("Compositing", 'CompositorNodeTree')
    scene.compositing_node_group.interface.new_socket("Image", in_out='OUTPUT', socket_type='NodeSocketColor')


def _render(scene: bpy.types.Scene, path: Path, compose) -> None:
    tree = scene.compositing_node_group
    tree.nodes.clear()
    layers = {}
    for name in ("Set", "Front"):
        layers[name] = tree.nodes.new('CompositorNodeRLayers')
        layers[name].scene, layers[name].layer = scene, name
    output = tree.nodes.new('NodeGroupOutput')
    tree.links.new(compose(tree, layers), output.inputs[0])
    scene.render.filepath = str(path)
    bpy.ops.render.render(write_still=True)


def _combined(tree: bpy.types.NodeTree, layers: dict[str, bpy.types.Node]) -> bpy.types.NodeSocket:
    """The front over the set."""
    over = tree.nodes.new('CompositorNodeAlphaOver')
    below, above = (socket for socket in over.inputs if socket.type == 'RGBA')
    tree.links.new(layers["Set"].outputs["Image"], below)
    tree.links.new(layers["Front"].outputs["Image"], above)
    return over.outputs[0]


def _depth(tree: bpy.types.NodeTree, layers: dict[str, bpy.types.Node]) -> bpy.types.NodeSocket:
    """The depth of the set and all that stands in it, even steps to the eye from white at 0.6 m to black at 1.4 m."""
    ramp, even = tree.nodes.new('ShaderNodeMapRange'), tree.nodes.new('ShaderNodeMath')
    for name, value in (("From Min", 0.6), ("From Max", 1.4), ("To Min", 1.0), ("To Max", 0.0)):
        ramp.inputs[name].default_value = value
    even.operation, even.inputs[1].default_value = 'POWER', 2.2
    tree.links.new(layers["Set"].outputs["Depth"], ramp.inputs["Value"])
    tree.links.new(ramp.outputs["Result"], even.inputs[0])
    return even.outputs[0]


def _animate(rig: bpy.types.Object, hand: bpy.types.Object) -> None:
    """The head turns, the hand waves."""
    head = rig.pose.bones["head"]
    head.rotation_mode = 'XYZ'
    turned = hand.rotation_euler.y
    for frame, way in ((_FIRST, -1), (_LAST, 1)):
        head.rotation_euler.y = way * math.radians(9)
        head.keyframe_insert("rotation_euler", index=1, frame=frame)
        hand.rotation_euler.y = turned + way * math.radians(14)
        hand.keyframe_insert("rotation_euler", index=1, frame=frame)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
