# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Set Up Scene: from an avatar to a picture in one step."""

import json
import math

import bpy
import pytest
from avatar_files import write_avatar
from bpy_extras.object_utils import world_to_camera_view
from mathutils import Vector


@pytest.fixture
def avatar(scene, tmp_path):
    bpy.ops.headgas.import_avatar(filepath=str(write_avatar(tmp_path / "anna" / "avatar.safetensors")))
    return bpy.context.object


@pytest.mark.parametrize("size", [(1920, 1080), (1080, 1920)])
@pytest.mark.parametrize("turn", [0.0, 1.0])
def test_the_new_camera_sees_the_whole_face(scene, avatar, size, turn):
    before = scene.camera
    avatar.parent.location, avatar.parent.rotation_euler.z = (3.0, 2.0, 1.0), turn
    scene.render.engine, scene.view_settings.view_transform = 'BLENDER_WORKBENCH', 'Filmic'
    scene.render.resolution_x, scene.render.resolution_y = size
    assert bpy.ops.headgas.set_up_scene() == {'FINISHED'}
    assert scene.render.engine == 'HEADGAS' and scene.view_settings.view_transform == 'Standard'
    camera = scene.camera
    assert camera != before and before.name in scene.objects and camera.name == "anna camera"
    bpy.context.view_layer.update()
    seen = [world_to_camera_view(scene, camera, avatar.matrix_world @ Vector(corner)) for corner in avatar.bound_box]
    assert all(0.05 < x < 0.95 and 0.05 < y < 0.95 and depth > 0 for x, y, depth in seen)
    assert max(abs(x - 0.5) for x, _, _ in seen) > 0.3 or max(abs(y - 0.5) for _, y, _ in seen) > 0.3
    front = avatar.parent.matrix_world.to_3x3() @ Vector((0, -1, 0))
    toward = camera.matrix_world.to_3x3() @ Vector((0, 0, 1))
    assert math.isclose(front.dot(toward), 1.0, abs_tol=1e-5)


def test_a_take_may_set_up_its_scene(scene, avatar, tmp_path):
    take = tmp_path / "talk.json"
    take.write_text(json.dumps({"exportFps": 24, "facsNames": ["jawOpen"], "weightMat": [[0.0]] * 37}))
    scene.frame_end = 250
    bpy.ops.headgas.import_take(filepath=str(take), start_frame=5)
    assert (scene.frame_start, scene.frame_end) == (1, 250) and scene.camera.name == "camera"
    bpy.ops.headgas.import_take(filepath=str(take), start_frame=5, set_up=True)
    assert (scene.frame_start, scene.frame_end) == (5, 41) and scene.camera.name == "anna camera"


def test_without_an_avatar_it_is_greyed_out(scene):
    assert not bpy.ops.headgas.set_up_scene.poll()
