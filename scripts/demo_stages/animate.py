# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""In Blender: a new scene with the avatar, keyed shape keys and bones, a moving camera: `animate.py OUT`."""

import math
import sys
from pathlib import Path

import bpy
import extension
from mathutils import Vector

FRAMES = 48
SIZE = 384  # pixels
_JAW_ANGLE = math.radians(25)  # of the jaw bone, that opens it fully

# value of each shape key at frames 1 … 48; in between Blender interpolates
KEYED = {
    "mouthSmileLeft": {1: 0.0, 8: 0.8, 18: 0.8, 24: 0.0, 48: 0.0},
    "mouthSmileRight": {1: 0.0, 8: 0.8, 18: 0.8, 24: 0.0, 48: 0.0},
    "eyeBlinkLeft": {1: 0.0, 12: 0.0, 14: 1.0, 16: 0.0, 36: 0.0, 40: 1.0, 44: 0.0},
    "eyeBlinkRight": {1: 0.0, 12: 0.0, 14: 1.0, 16: 0.0, 48: 0.0},
    "browInnerUp": {1: 0.0, 20: 0.0, 26: 0.9, 34: 0.0},
    "browOuterUpLeft": {1: 0.0, 20: 0.0, 26: 0.8, 34: 0.0},
    "browOuterUpRight": {1: 0.0, 20: 0.0, 26: 0.8, 34: 0.0},
    "mouthPucker": {1: 0.0, 32: 0.0, 38: 0.9, 44: 0.0, 48: 0.0},
}
JAW = {1: 0.0, 20: 0.0, 27: 0.9, 33: 0.0, 48: 0.0}
HEAD_TURN = {1: -0.12, 24: 0.12, 48: -0.12}  # radians


def main(out: Path) -> None:
    extension.install()
    scene = bpy.context.scene
    bpy.ops.headgas.import_avatar(filepath=str(out / "run" / "avatar.safetensors"))
    control = bpy.context.object
    _key_shapes(control)
    _open_jaw(control.parent)
    _turn_head(control.parent)
    _move_camera(scene, control)
    _render_settings(scene)
    bpy.ops.wm.save_as_mainfile(filepath=str(out / "animation.blend"))
    bpy.app.handlers.render_write.append(_report)
    bpy.ops.render.render(animation=True)
    print(file=sys.stderr)
    missing = [n for n in range(1, FRAMES + 1) if not (out / "frames" / f"{n:04d}.png").is_file()]
    if missing:
        print(f"frames {missing} were not rendered", file=sys.stderr)
        sys.exit(1)
    extension.leave()


def _report(scene: bpy.types.Scene, *_: object) -> None:
    print(f"\r      frame {scene.frame_current}/{FRAMES} ", end="", file=sys.stderr, flush=True)


def _key_shapes(control: bpy.types.Object) -> None:
    keys = control.data.shape_keys.key_blocks
    for name, values in KEYED.items():
        for frame, value in values.items():
            keys[name].value = value
            keys[name].keyframe_insert("value", frame=frame)


def _open_jaw(rig: bpy.types.Object) -> None:
    jaw = rig.pose.bones["jaw"]
    for frame, amount in JAW.items():
        jaw.rotation_euler.x = amount * _JAW_ANGLE
        jaw.keyframe_insert("rotation_euler", index=0, frame=frame)


def _turn_head(rig: bpy.types.Object) -> None:
    head = rig.pose.bones["head"]
    head.rotation_mode = "XYZ"
    for frame, angle in HEAD_TURN.items():
        head.rotation_euler.y = angle
        head.keyframe_insert("rotation_euler", index=1, frame=frame)


def _move_camera(scene: bpy.types.Scene, control: bpy.types.Object) -> None:
    """The camera swings around the head and looks at its middle."""
    corners = [control.matrix_world @ Vector(corner) for corner in control.bound_box]
    middle = sum(corners, Vector()) / len(corners)
    distance = 2.9 * max((corner - middle).length for corner in corners)
    camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
    camera.data.lens = 55
    scene.collection.objects.link(camera)
    scene.camera = camera
    for frame, degrees in ((1, -16), (FRAMES // 2, 16), (FRAMES, -16)):
        yaw = math.radians(degrees)
        camera.location = middle + distance * Vector((math.sin(yaw), -math.cos(yaw), 0.06))
        camera.rotation_euler = (middle - camera.location).to_track_quat("-Z", "Y").to_euler()
        camera.keyframe_insert("location", frame=frame)
        camera.keyframe_insert("rotation_euler", frame=frame)


def _render_settings(scene: bpy.types.Scene) -> None:
    world = bpy.data.worlds.new("backdrop")
    world.use_nodes = True
    background = next(node for node in world.node_tree.nodes if node.type == "BACKGROUND")
    background.inputs["Color"].default_value = (0.72, 0.76, 0.80, 1.0)
    scene.world = world
    scene.frame_start, scene.frame_end = 1, FRAMES
    scene.view_settings.view_transform = "Standard"  # frames look as the capture did
    render = scene.render
    render.engine = "HEADGAS"
    render.resolution_x = render.resolution_y = SIZE
    render.resolution_percentage = 100
    render.image_settings.file_format = "PNG"
    render.filepath = "//frames/"  # beside the .blend


if __name__ == "__main__":
    main(Path(sys.argv[1]))
