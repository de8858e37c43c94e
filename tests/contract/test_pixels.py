# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Both real programs: what Blender renders is what the backend makes of the same frame, in colour and in depth."""

from pathlib import Path

import bpy
import numpy as np
import pytest
from bl_ext.user_default.headgas.core.cameras import PixelRegion
from bl_ext.user_default.headgas.core.inspection import Inspection
from bl_ext.user_default.headgas.engine.frame import camera_of
from bl_ext.user_default.headgas.rig import posed_avatars
from mathutils import Matrix

from tests.blender_headgas.stand_in import read_pixels, render_layers, render_still

pytestmark = pytest.mark.usefixtures("real_service")

_SIZE = 48  # pixels
_STEP = 1.001 / 255  # one level of an 8-bit image
_CLOSE = 2e-4  # single precision: Blender keeps cameras and matrices in it
_FLIP = Matrix.Diagonal((1.0, -1.0, -1.0, 1.0))  # OpenCV's camera axes to Blender's


@pytest.fixture
def head(scene, material):
    """The imported avatar's control mesh, seen by the exact camera of the capture's first frame."""
    scene.render.resolution_x = scene.render.resolution_y = _SIZE
    scene.render.dither_intensity = 0.0
    scene.view_settings.view_transform = 'Standard'
    bpy.ops.headgas.import_avatar(filepath=material.avatar())
    control = bpy.context.object
    _see(scene, material, 0)
    _express(control, material, 0)
    return control


def _see(scene, material, number: int) -> None:
    frame = material.frames[number]
    K = frame["K"]
    camera = scene.camera
    camera.data.sensor_fit, camera.data.sensor_width = 'HORIZONTAL', 36.0
    camera.data.lens = 36.0 * K[0][0] / frame["width"]
    camera.data.shift_x = (frame["width"] / 2 - K[0][2]) / frame["width"]
    camera.data.shift_y = (K[1][2] - frame["height"] / 2) / frame["width"]
    camera.data.clip_start = 0.01
    camera.rotation_mode = 'QUATERNION'
    camera.matrix_world = Matrix(frame["viewmat"]).inverted() @ _FLIP


def _express(control, material, number: int) -> None:
    for name, value in zip(material.names, material.frames[number]["expression"], strict=True):
        control.data.shape_keys.key_blocks[name].value = value


def _animate(scene, control, material, frames: range) -> None:
    """Keys expression and camera of the capture's frames, the first at Blender's frame 1."""
    for number in frames:
        _see(scene, material, number)
        _express(control, material, number)
        for name in material.names:
            control.data.shape_keys.key_blocks[name].keyframe_insert("value", frame=number + 1)
        for path in ("location", "rotation_quaternion"):
            scene.camera.keyframe_insert(path, frame=number + 1)
    scene.frame_start, scene.frame_end = 1, len(frames)


def _assert_same_pixels(got: np.ndarray, expected: np.ndarray) -> None:
    """8-bit images [H,W,4] with straight alpha, as 0..1: one level apart, and less exact where hardly anything is."""
    assert expected[..., 3].max() > 0.9 and np.ptp(expected[..., :3][expected[..., 3] > 0.9]) > 0.2
    assert np.abs(got[..., 3] - expected[..., 3]).max() <= _STEP
    solid = expected[..., 3] > 0.5
    assert np.abs(got - expected)[solid].max() <= _STEP
    assert np.abs(got[..., :3] * got[..., 3:] - expected[..., :3] * expected[..., 3:]).max() <= 2 * _STEP


def test_an_animation_equals_the_backend_s_own_frames(scene, head, material, tmp_path):
    _animate(scene, head, material, range(3))
    for kind, depth, suffix in (('PNG', '8', "png"), ('OPEN_EXR', '32', "exr")):
        settings = scene.render.image_settings
        settings.file_format, settings.color_depth, settings.color_mode = kind, depth, 'RGBA'
        bpy.ops.render.render(animation=True)
        for number in range(3):
            got = read_pixels(tmp_path / "frames" / f"f_{number + 1:04d}.{suffix}")
            if kind == 'PNG':
                _assert_same_pixels(got, read_pixels(material.folder / f"{number}.png"))
            else:
                assert np.abs(got - material.expected[f"one_image_{number}"]).max() < _CLOSE
    assert np.abs(material.expected["one_image_0"] - material.expected["one_image_1"]).max() > 0.1


def test_a_bone_drives_a_parameter(scene, head, material, tmp_path):
    armature = bpy.data.armatures.new("control")
    rig = bpy.data.objects.new("control", armature)
    scene.collection.objects.link(rig)
    bpy.context.view_layer.objects.active = rig
    bpy.ops.object.mode_set(mode='EDIT')
    armature.edit_bones.new("jaw").tail = (0.0, 0.0, 0.1)
    bpy.ops.object.mode_set(mode='OBJECT')
    number = max(range(len(material.frames)), key=lambda n: abs(material.frames[n]["expression"][0]))
    wanted = material.frames[number]["expression"][0]
    _see(scene, material, number)
    _express(head, material, number)
    key = head.data.shape_keys.key_blocks[material.names[0]]
    key.value = 0.0
    without = render_still(tmp_path / "without.exr")
    driver = key.driver_add("value").driver
    variable = driver.variables.new()
    variable.type = 'TRANSFORMS'
    target = variable.targets[0]
    target.id, target.bone_target, target.transform_type = rig, "jaw", 'LOC_X'
    target.transform_space = 'LOCAL_SPACE'
    driver.expression = "var * 10"
    rig.pose.bones["jaw"].location.x = wanted / 10
    image = render_still(tmp_path / "driven.exr")
    assert wanted > 0.1 and np.abs(without - image).max() > 0.01
    assert np.abs(image - material.expected[f"one_image_{number}"]).max() < _CLOSE


def test_moving_head_and_camera_together_changes_nothing(scene, head, tmp_path):
    before = render_still(tmp_path / "before.exr")
    rig = head.parent
    bpy.context.view_layer.update()
    placed = head.matrix_world.copy()
    rig.location, rig.rotation_euler, rig.scale = (0.4, -0.2, 0.3), (0.2, -0.5, 1.1), (1.7, 1.7, 1.7)
    bone = rig.pose.bones["head"]
    bone.rotation_mode = 'XYZ'
    bone.rotation_euler = (0.3, 0.4, -0.2)
    bpy.context.view_layer.update()
    moved = head.matrix_world @ placed.inverted()
    assert np.abs(np.array(moved) - np.eye(4)).max() > 0.3
    assert np.abs(render_still(tmp_path / "left.exr") - before).max() > 0.1
    scene.camera.matrix_world = moved @ scene.camera.matrix_world
    after = render_still(tmp_path / "after.exr")
    assert np.abs(after - before).max() < 10 * _CLOSE


def test_two_avatars_hide_and_blend_with_each_other(scene, head, material, tmp_path):
    bpy.ops.headgas.import_avatar(filepath=material.avatar("b"))
    second = bpy.context.object
    second.parent.location.x = 0.15
    _express(second, material, 0)
    image = render_still(tmp_path / "two.exr")
    assert np.abs(image - material.expected["two_image_0"]).max() < _CLOSE
    assert np.abs(image - material.expected["one_image_0"]).max() > 0.1


def test_orthographic_cameras_show_the_inside_and_which_pixels_are_whose(scene, head, material, tmp_path, real_service):
    bpy.ops.headgas.import_avatar(filepath=material.avatar("b"))
    second = bpy.context.object
    second.parent.location.x = 0.15
    _express(second, material, 0)
    data = scene.camera.data
    data.type = 'ORTHO'
    data.ortho_scale = 0.6 * _SIZE / material.frames[0]["K"][0][0]
    image = render_still(tmp_path / "parallel.exr")
    assert np.abs(image - material.expected["parallel_image"]).max() < _CLOSE
    assert np.abs(image - material.expected["two_image_0"]).max() > 0.1
    depsgraph = bpy.context.evaluated_depsgraph_get()
    seen = camera_of(scene.camera, depsgraph, _SIZE, _SIZE, PixelRegion(0, 0, _SIZE, _SIZE))
    avatars = posed_avatars(depsgraph)
    if avatars[0].path != Path(material.avatar()):
        avatars = avatars[::-1]
    picture = real_service.running().render(avatars, seen, 60.0, inspection=Inspection("normal"), coverage=True)
    assert picture.legend.startswith("Normals: ") and picture.coverage.shape == (2, _SIZE, _SIZE)
    for name, plane in (("normals", picture.image), ("coverage", picture.coverage)):
        assert np.abs(plane - material.expected[f"parallel_{name}"]).max() < 10 * _CLOSE, name
    hit = material.expected["parallel_depth"] < 1e9
    assert np.abs(picture.depth - material.expected["parallel_depth"])[hit].max() < 1e-3
    assert np.abs(picture.coverage.sum(0) - image[..., 3]).max() < _CLOSE


def test_a_border_render_is_a_crop_of_the_whole(scene, head, material, tmp_path):
    render = scene.render
    render.use_border = render.use_crop_to_border = True
    render.border_min_x, render.border_max_x, render.border_min_y, render.border_max_y = 0.25, 0.75, 0.5, 1.0
    crop = render_still(tmp_path / "crop.exr")
    assert crop.shape == (24, 24, 4)
    difference = np.abs(crop - material.expected["one_image_0"][:24, 12:36])
    # a broad footprint is linearised at most 0.15 of a picture beyond its edges, and those of a crop are nearer
    assert difference.max() < _STEP and np.median(difference) < _CLOSE / 10


def test_the_depth_pass_is_in_metres(scene, head, material, tmp_path):
    scene.view_layers[0].use_pass_z = True
    depth = render_layers(tmp_path / "layers.exr")["ViewLayer.Depth.Z"]
    expected = material.expected["one_depth_0"]
    assert ((depth > 1e9) == (expected > 1e9)).all() and (depth[depth > 1e9] == np.float32(1e10)).all()
    hit = expected < 1e9
    assert hit.any() and not hit.all()
    assert np.abs(depth - expected)[hit].max() < 1e-4
    assert 0.4 < expected[_SIZE // 2, _SIZE // 2] < 0.7


def test_an_avatar_of_another_program_looks_as_it_did_there(scene, material, tmp_path):
    """One frame of ours, exported for 3D Gaussian Splatting's viewers and imported again."""
    scene.render.resolution_x = scene.render.resolution_y = _SIZE
    assert bpy.ops.headgas.import_avatar(filepath=str(material.folder / "a.ply")) == {'FINISHED'}
    assert not bpy.context.object.data.shape_keys.key_blocks[1:]
    _see(scene, material, 0)
    got = render_still(tmp_path / "still.exr")
    assert np.abs(got - material.expected["one_image_0"]).max() < _CLOSE


def test_a_damaged_file_of_another_program_is_named(scene, material, tmp_path):
    (tmp_path / "cut.ply").write_bytes((material.folder / "a.ply").read_bytes()[:-7])
    with pytest.raises(RuntimeError, match="cut.ply: ends too early"):
        bpy.ops.headgas.import_avatar(filepath=str(tmp_path / "cut.ply"))
    assert [path.name for path in tmp_path.iterdir()] == ["cut.ply"]
