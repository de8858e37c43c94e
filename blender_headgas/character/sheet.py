# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Draws docs/images/demo_character.png: the demo head in six expressions and views.

Run it from the repository root in a Python that has bpy: python -m blender_headgas.character.sheet OUT.png
"""

import os
import sys
import tempfile
from pathlib import Path

import bpy
import numpy as np
from mathutils import Vector

from .build import build_demo_character
from .studio import add_studio

TILE, SAMPLES, COLUMNS = 320, 64, 3
_BACKGROUND = np.array([0.937, 0.945, 0.953, 1.0])  # sRGB
_TARGET, _DISTANCE, _LENS = Vector((0.0, -0.02, -0.016)), 0.78, 85.0
_BOTH = ("Left", "Right")


def _both(**values: float) -> dict[str, float]:
    return {stem + side: value for stem, value in values.items() for side in _BOTH}


POSES = (  # yaw and pitch in degrees, shape keys
    (-18, 3, {}),
    (24, 4, {**_both(mouthSmile=1.0, cheekSquint=0.4, browOuterUp=0.3), "jawOpen": 0.35}),
    (-8, 0, {**_both(eyeWide=0.9, browOuterUp=0.9), "browInnerUp": 0.8, "mouthFunnel": 0.5, "jawOpen": 0.55}),
    (32, 6, {"mouthPucker": 0.9, "eyeBlinkLeft": 1.0, "browOuterUpRight": 0.8, "cheekSquintLeft": 0.5}),
    (0, 2, {**_both(browDown=0.9, eyeSquint=0.5, mouthFrown=0.6, noseSneer=0.4)}),
    (-34, 5, {**_both(eyeBlink=1.0, mouthSmile=0.7), "browInnerUp": 0.5}),
)


def render_sheet(path: Path, tile: int = TILE, samples: int = SAMPLES) -> None:
    """Render every pose of POSES in a new scene and write them as one PNG."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    head = build_demo_character()
    add_studio(scene)
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    scene.collection.objects.link(camera)
    scene.camera, camera.data.lens = camera, _LENS
    scene.render.engine = "CYCLES"
    scene.cycles.samples, scene.cycles.use_denoising = samples, True
    scene.render.resolution_x = scene.render.resolution_y = tile
    scene.render.film_transparent = True
    scene.view_settings.view_transform = "Standard"
    with tempfile.TemporaryDirectory() as folder:
        tiles = [_render(scene, head, pose, Path(folder) / f"{index}.png") for index, pose in enumerate(POSES)]
    rows = [np.concatenate(tiles[i : i + COLUMNS], axis=1) for i in range(0, len(tiles), COLUMNS)]
    sheet = np.concatenate(rows[::-1]).astype(np.float32)  # Blender's first row is the bottom one
    image = bpy.data.images.new("sheet", sheet.shape[1], sheet.shape[0])
    image.pixels.foreach_set(sheet.ravel())
    image.file_format = "PNG"
    image.save(filepath=str(path))


def _render(
    scene: bpy.types.Scene, head: bpy.types.Object, pose: tuple[float, float, dict[str, float]], path: Path
) -> np.ndarray:
    """One tile [H,W,4] over the background, sRGB, row 0 at the bottom."""
    yaw, pitch, values = np.deg2rad(pose[0]), np.deg2rad(pose[1]), pose[2]
    for key in head.data.shape_keys.key_blocks[1:]:
        key.value = values.get(key.name, 0.0)
    away = Vector((np.sin(yaw) * np.cos(pitch), -np.cos(yaw) * np.cos(pitch), np.sin(pitch)))
    scene.camera.location = _TARGET + _DISTANCE * away
    scene.camera.rotation_euler = (-away).to_track_quat("-Z", "Y").to_euler()
    scene.render.filepath = str(path)
    bpy.ops.render.render(write_still=True)
    image = bpy.data.images.load(str(path))
    image.colorspace_settings.name, image.alpha_mode = "Non-Color", "CHANNEL_PACKED"
    flat = np.empty(4 * image.size[0] * image.size[1], np.float32)
    image.pixels.foreach_get(flat)
    pixels = flat.reshape(image.size[1], image.size[0], 4)
    bpy.data.images.remove(image)
    return pixels * pixels[..., 3:] + _BACKGROUND * (1.0 - pixels[..., 3:])


if __name__ == "__main__":
    render_sheet(Path(sys.argv[1]).resolve())
    sys.stdout.flush()
    os._exit(0)  # some bpy modules hang while the interpreter ends
