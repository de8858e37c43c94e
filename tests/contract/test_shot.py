# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Both real programs: a shot's frames are the same from F12 and, without Blender, from `headgas render`."""

import os
import subprocess
from pathlib import Path

import bpy
import numpy as np
import pytest

from tests.blender_headgas.stand_in import read_pixels
from tests.contract.test_pixels import _animate, _assert_same_pixels, head  # noqa: F401

pytestmark = pytest.mark.usefixtures("real_service")


def headgas(*arguments: object) -> None:
    """Runs a command of the backend's."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    command = [os.environ["HEADGAS_PYTHON"], "-m", "headgas", *map(str, arguments)]
    subprocess.run(command, check=True, env=environment, timeout=300, capture_output=True)


def test_a_shot_is_the_same_without_blender(scene, head, material, tmp_path):  # noqa: F811
    """Expression, camera, head bone and object move; the lens is shifted, only a border is rendered, and the last frame
    is another camera's, an orthographic one."""
    _animate(scene, head, material, range(3))
    rig = head.parent
    scene.camera.data.shift_x += 0.05
    flat = bpy.data.objects.new("flat", scene.camera.data.copy())
    scene.collection.objects.link(flat)
    flat.matrix_world, flat.data.type, flat.data.ortho_scale = scene.camera.matrix_world.copy(), 'ORTHO', 0.3
    for frame, camera in ((1, scene.camera), (3, flat)):
        scene.timeline_markers.new("cut", frame=frame).camera = camera
    rig.scale = (1.1, 1.1, 1.1)
    bone = rig.pose.bones["head"]
    bone.rotation_mode = 'XYZ'
    for frame, turn in ((1, 0.0), (3, 0.4)):
        bone.rotation_euler.y, rig.location.z = turn, turn / 40
        bone.keyframe_insert("rotation_euler", frame=frame)
        rig.keyframe_insert("location", frame=frame)
    render = scene.render
    render.use_border = render.use_crop_to_border = True
    render.border_min_x, render.border_max_x, render.border_min_y, render.border_max_y = 0.0, 0.875, 0.125, 1.0
    render.image_settings.file_format, render.image_settings.color_depth = 'PNG', '8'
    render.image_settings.color_mode = 'RGBA'
    bpy.ops.render.render(animation=True)
    bpy.ops.headgas.export_take(filepath=str(tmp_path / "take.json"))
    bpy.ops.headgas.export_cameras(filepath=str(tmp_path / "cameras.json"))
    shot = ["--take", tmp_path / "take.json", "--cameras", tmp_path / "cameras.json", "--device", "cpu"]
    headgas("render", material.avatar(), *shot, "--out", tmp_path / "out")
    images = [_pair(tmp_path, number) for number in (1, 2, 3)]
    assert np.abs(images[0] - images[2]).max() > 0.1


def _pair(folder: Path, number: int) -> np.ndarray:
    """One frame, which both programs made alike."""
    own, without = (read_pixels(folder / name) for name in (f"frames/f_{number:04d}.png", f"out/{number:04d}.png"))
    assert own.shape == (42, 42, 4)
    _assert_same_pixels(own, without)
    return own
