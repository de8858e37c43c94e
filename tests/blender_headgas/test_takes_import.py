# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes in Blender: keys on channels and head bone at the scene's frame rate, and the way back into a file."""

import json
from pathlib import Path
from types import SimpleNamespace

import bpy
import numpy as np
import pytest
from avatar_files import NAMES, header, write_avatar
from bl_ext.user_default.headgas.core.takes import read_take
from bl_ext.user_default.headgas.rig import expression_of
from bl_ext.user_default.headgas.rig.actions import ensured, fcurves
from mathutils import Quaternion, Vector

SAMPLES = Path(__file__).parents[2].parent / "shared" / "samples"
SLOTS = hasattr(bpy.types, "ActionSlot")


def _avatar(path, head=None):
    assert bpy.ops.headgas.import_avatar(filepath=str(write_avatar(path, head))) == {'FINISHED'}
    return bpy.context.object


def _take(path, rate=24, **columns):
    """An Audio2Face file: values of channels by name."""
    rows = np.stack(list(columns.values()), 1).tolist()
    path.write_text(json.dumps({"exportFps": rate, "facsNames": list(columns), "weightMat": rows}))
    return path


def _import(path, **options):
    assert bpy.ops.headgas.import_take(filepath=str(path), **options) == {'FINISHED'}


def _expressions(avatar, frames):
    found = []
    for frame in frames:
        bpy.context.scene.frame_set(int(frame), subframe=frame % 1)
        found.append(expression_of(avatar, bpy.context.evaluated_depsgraph_get()))
    return np.array(found)


def _select(*objects):
    for obj in bpy.context.view_layer.objects:
        obj.select_set(obj in objects)
    bpy.context.view_layer.objects.active = objects[0]


def test_a_take_plays_at_the_scene_s_frame_rate(scene, tmp_path):
    avatar = _avatar(tmp_path / "a.safetensors")
    scene.render.fps, scene.render.fps_base = 30, 1.0
    jaw = np.linspace(0, 1, 61)  # a second of a 60 Hz recording
    _import(_take(tmp_path / "talk.json", 60, jawOpen=jaw, MouthSmile_L=jaw / 2), start_frame=11)
    found = _expressions(avatar, [1, 11, 12, 12.5, 26, 41, 60])
    assert found[:, 0] == pytest.approx([0, 0, 1 / 30, 1.5 / 30, 0.5, 1, 1], abs=1e-6)
    assert found[:, 1] == pytest.approx(found[:, 0] / 2, abs=1e-6)
    assert found[:, 2] == pytest.approx(0) and found[:, 3] == pytest.approx(-0.2)  # not in the take: left alone
    keys = avatar.data.shape_keys
    assert keys.animation_data.action.name == "talk"
    assert sorted(curve.data_path.split('"')[1] for curve in fcurves(keys)) == ["jawOpen", "mouthSmileLeft"]
    assert all(len(curve.keyframe_points) == 31 for curve in fcurves(keys))


def test_a_fractional_frame_rate(scene, tmp_path):
    avatar = _avatar(tmp_path / "a.safetensors")
    scene.render.fps, scene.render.fps_base = 30, 1.001
    _import(_take(tmp_path / "t.json", 30 / 1.001, jawOpen=np.linspace(0, 1, 101)))
    assert len(next(fcurves(avatar.data.shape_keys)).keyframe_points) == 101
    assert _expressions(avatar, [1, 51, 101])[:, 0] == pytest.approx([0, 0.5, 1], abs=1e-5)


def test_the_head_turns_and_moves_in_head_space(scene, tmp_path):
    avatar = _avatar(tmp_path / "a.safetensors")
    rig = avatar.parent
    rig.data.bones["head"].inherit_scale = 'FULL'
    turn = Quaternion((0, 0, 1), np.radians(30)).to_matrix().to_4x4()  # to the subject's left
    frames = [
        {"time": 0.0, "blendshapes": {"jawOpen": 0.2}, "matrix": np.eye(4).tolist()},
        {"time": 1.0, "blendshapes": {"jawOpen": 0.4}, "matrix": _y_up(turn, (0.03, -0.01, 0.02)).tolist()},
    ]
    (tmp_path / "m.json").write_text(json.dumps(frames))
    scene.render.fps = 10
    _import(tmp_path / "m.json")
    scene.frame_set(11)
    posed = rig.evaluated_get(bpy.context.evaluated_depsgraph_get()).pose.bones["head"]
    rest = rig.data.bones["head"].matrix_local
    change = posed.matrix @ rest.inverted()
    assert change.to_quaternion().rotation_difference(turn.to_quaternion()).angle == pytest.approx(0, abs=1e-3)
    assert (change @ Vector((0, -1, 0)) - change @ Vector()).x > 0.4  # the face looks to +X, the subject's left
    assert (posed.matrix.translation - rest.translation - Vector((0.03, -0.01, 0.02))).length < 1e-5
    scene.frame_set(6)
    half = (rig.pose.bones["head"].matrix @ rest.inverted()).to_quaternion()
    assert half.angle == pytest.approx(np.radians(15), abs=1e-3)
    if SLOTS:
        assert rig.animation_data.action == avatar.data.shape_keys.animation_data.action
        assert {slot.target_id_type for slot in rig.animation_data.action.slots} == {'KEY', 'OBJECT'}


def test_head_motion_can_be_left_out(scene, tmp_path):
    avatar = _avatar(tmp_path / "a.safetensors")
    frames = [{"time": i / 9, "blendshapes": {"jawOpen": 0.2}, "matrix": np.eye(4).tolist()} for i in range(9)]
    (tmp_path / "m.json").write_text(json.dumps(frames))
    _import(tmp_path / "m.json", head=False)
    assert avatar.parent.animation_data is None and avatar.data.shape_keys.animation_data.action


def _y_up(matrix, centimetres_over_100):
    """A turn in head space as MediaPipe's matrix has it, with the move in metres."""
    axes = np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]])
    found = np.eye(4)
    found[:3, :3] = axes @ np.array(matrix)[:3, :3] @ axes.T
    found[:3, 3] = axes @ np.array(centimetres_over_100) * 100
    return found


def test_range_gain_zero_and_mirror(scene, tmp_path):
    avatar = _avatar(tmp_path / "a.safetensors")
    scene.render.fps = 10
    left, right = np.linspace(0.1, 0.5, 21), np.linspace(0.3, 0.1, 21)
    path = _take(tmp_path / "t.json", 10, mouthSmileLeft=left, mouthSmileRight=right)
    _import(path, range_start=0.5, range_end=1.0)
    assert _expressions(avatar, [1, 6, 9])[:, 1] == pytest.approx([left[5], left[10], left[10]], abs=1e-6)
    _import(path, first_as_zero=True, gain=0.5)
    assert _expressions(avatar, [1, 21])[:, 1] == pytest.approx([0, 0.2], abs=1e-6)
    _import(path, mirror=True)
    found = _expressions(avatar, [1, 21])
    assert found[:, 1] == pytest.approx([0.3, 0.1], abs=1e-6) and found[:, 2] == pytest.approx([0.1, 0.5], abs=1e-6)
    assert len(bpy.data.actions) == 3  # none of the others is lost
    _import(path, smoothing=0.3)
    assert np.diff(_expressions(avatar, range(1, 22))[:, 1]) == pytest.approx(0.02, abs=1e-5)  # a trend stays


def test_a_take_over_a_range_of_the_present_action(scene, tmp_path):
    avatar = _avatar(tmp_path / "a.safetensors")
    keys = avatar.data.shape_keys
    for frame, value in ((1, 0.9), (5, 0.8), (12, 0.6), (30, 0.4)):
        keys.key_blocks["jawOpen"].value = value
        keys.key_blocks["jawOpen"].keyframe_insert("value", frame=frame)
    curve = ensured(keys, 'key_blocks["jawOpen"].value')
    curve.keyframe_points[0].interpolation = 'CONSTANT'
    curve.keyframe_points[3].handle_left_type = 'FREE'
    curve.keyframe_points[3].handle_left = (25.0, 0.1)
    action = keys.animation_data.action
    scene.render.fps = 24
    path = _take(tmp_path / "t.json", 24, jawOpen=[0.1] * 11)
    _import(path, start_frame=5, new_action=False)
    assert keys.animation_data.action == action
    assert _expressions(avatar, [1, 4, 5, 10, 15, 30])[:, 0] == pytest.approx([0.9, 0.9, 0.1, 0.1, 0.1, 0.4], abs=1e-6)
    points = ensured(keys, 'key_blocks["jawOpen"].value').keyframe_points
    assert len(points) == 13 and points[0].interpolation == 'CONSTANT' and points[5].interpolation == 'LINEAR'
    assert points[12].handle_left_type == 'FREE' and points[12].handle_left[:] == pytest.approx((25.0, 0.1))
    _import(_take(tmp_path / "t.json", 24, jawOpen=[0.3] * 11), start_frame=5, new_action=False)
    assert _expressions(avatar, [10, 30])[:, 0] == pytest.approx([0.3, 0.4], abs=1e-6) and len(points) == 13


def test_two_avatars_get_one_take_and_keep_their_own_actions(scene, tmp_path):
    first, second = _avatar(tmp_path / "a.safetensors"), _avatar(tmp_path / "b.safetensors")
    _select(first, second.parent)
    _import(_take(tmp_path / "t.json", 24, jawOpen=np.linspace(0, 1, 25)))
    assert _expressions(first, [25])[0, 0] == _expressions(second, [25])[0, 0] == pytest.approx(1)
    actions = [obj.data.shape_keys.animation_data.action for obj in (first, second)]
    assert actions[0] != actions[1]


def test_undo_takes_the_keys_back(scene, tmp_path):
    _avatar(tmp_path / "a.safetensors")
    bpy.ops.ed.undo_push(message="before")
    _import(_take(tmp_path / "t.json", 24, jawOpen=[0.5] * 5))
    bpy.ops.ed.undo_push(message="after")
    bpy.ops.ed.undo()
    keys = bpy.data.objects["a control"].data.shape_keys
    assert not keys.animation_data or not keys.animation_data.action
    bpy.ops.ed.redo()
    keys = bpy.data.objects["a control"].data.shape_keys
    assert len(next(fcurves(keys)).keyframe_points) == 5


def test_flame_parameters_and_captures_play_frame_by_frame(scene, tmp_path):
    head = header()
    names = ["expr_000", "jaw_x", "left_eye_y", "unused"]
    head["expression_space"] = {"kind": 'FLAME', "names": names, "neutral": [0.0] * 4, "low": [-2] * 4, "high": [2] * 4}
    avatar = _avatar(tmp_path / "f.safetensors", head)
    count = 7
    arrays = {"expr": np.random.default_rng(0).normal(size=(count, 1)) / 2, "jaw_pose": np.full((count, 3), 0.25)}
    np.savez(tmp_path / "tracked_flame_params_30.npz", eyes_pose=np.full((count, 6), -0.1), **arrays)
    _import(tmp_path / "tracked_flame_params_30.npz", start_frame=3)
    found = _expressions(avatar, range(3, 3 + count))
    assert np.allclose(found, np.stack([arrays["expr"][:, 0], *[np.full(count, v) for v in (0.25, -0.1, 0)]], 1))
    capture = {"expression_names": names, "frames": [{"expression": [0.1 * i, 0, 0, 1]} for i in range(5)]}
    (tmp_path / "transforms.json").write_text(json.dumps(capture))
    _import(tmp_path / "transforms.json", start_frame=20)
    assert np.allclose(_expressions(avatar, range(20, 25))[:, 0], 0.1 * np.arange(5))
    assert avatar.data.shape_keys.animation_data.action.name == "transforms"


def test_what_does_not_fit_is_said(scene, tmp_path, capfd):
    avatar = _avatar(tmp_path / "a.safetensors")
    avatar.data.shape_keys.key_blocks["mouthSmileLeft"].driver_add("value").driver.expression = "0.5"
    zeros, ones = np.zeros(3), np.ones(3)
    _import(_take(tmp_path / "t.json", 24, jawOpen=ones, tongueOut=zeros, cheekPuff=ones, mouthSmileLeft=ones))
    output = capfd.readouterr().out
    assert "no channel 'cheekPuff' of the take" in output and "tongueOut" not in output
    assert "Drivers set 'mouthSmileLeft'" in output and "beyond" not in output
    _import(_take(tmp_path / "wide.json", 24, jawOpen=ones * 2, mouthSmileRight=-ones))
    assert "beyond the slider of 'jawOpen', 'mouthSmileRight' of a control" in capfd.readouterr().out
    assert _expressions(avatar, [2])[0, 0] == pytest.approx(1.25)  # as Blender holds it
    with pytest.raises(RuntimeError, match="the take has 'cheekPuff', the avatar 'jawOpen', 'mouthSmileLeft'"):
        _import(_take(tmp_path / "none.json", 24, cheekPuff=ones))
    with pytest.raises(RuntimeError, match="line 1"):
        (tmp_path / "bad.json").write_text("{")
        _import(tmp_path / "bad.json")
    with pytest.raises(RuntimeError, match="lasts 0.08 s"):
        _import(tmp_path / "t.json", range_start=5.0)
    _select(scene.camera)
    assert not bpy.ops.headgas.import_take.poll() and not bpy.ops.headgas.export_take.poll()


def test_an_avatar_without_an_armature_still_speaks(scene, tmp_path, capfd):
    avatar = _avatar(tmp_path / "a.safetensors")
    bpy.data.objects.remove(avatar.parent)
    frames = [{"time": i / 9, "blendshapes": {"jawOpen": 0.2}, "matrix": np.eye(4).tolist()} for i in range(3)]
    (tmp_path / "m.json").write_text(json.dumps(frames))
    _import(tmp_path / "m.json")
    assert "no bone 'head'" in capfd.readouterr().out
    assert _expressions(avatar, [2])[0, 0] == pytest.approx(0.2)


def test_linked_channels_cannot_be_keyed(scene, tmp_path):
    _avatar(tmp_path / "a.safetensors")
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "library.blend"))
    bpy.ops.wm.read_homefile(use_empty=True)
    with bpy.data.libraries.load(str(tmp_path / "library.blend"), link=True) as (_, wanted):
        wanted.objects = ["a control"]
    bpy.context.scene.collection.objects.link(wanted.objects[0])
    bpy.context.view_layer.objects.active = wanted.objects[0]
    with pytest.raises(RuntimeError, match="cannot be keyed"):
        _import(_take(tmp_path / "t.json", 24, jawOpen=[0.5] * 5))


def test_a_take_plays_on_face_bones(scene, tmp_path):
    avatar = _avatar(tmp_path / "a.safetensors")
    assert bpy.ops.headgas.add_face_bones() == {'FINISHED'}
    frames = [
        {"time": i / 24, "blendshapes": {"jawOpen": i / 24, "mouthSmileLeft": 0.3}, "matrix": np.eye(4).tolist()}
        for i in range(25)
    ]
    (tmp_path / "m.json").write_text(json.dumps(frames))
    _select(avatar)
    _import(tmp_path / "m.json")
    assert _expressions(avatar, [13, 25])[:, :2] == pytest.approx(np.array([[0.5, 0.3], [1, 0.3]]), abs=1e-5)
    keys, rig = avatar.data.shape_keys, avatar.parent
    assert not keys.animation_data.action and len(list(fcurves(rig))) == 2 + 4 + 3
    scene.frame_start, scene.frame_end = 1, 25
    assert bpy.ops.headgas.export_take(filepath=str(tmp_path / "out.csv")) == {'FINISHED'}
    take = read_take(tmp_path / "out.csv")
    assert take.values[:, take.names.index("jawOpen")] == pytest.approx(np.arange(25) / 24, abs=1e-5)


def test_export_and_import_bring_the_motion_back(scene, tmp_path):
    avatar = _avatar(tmp_path / "a.safetensors")
    scene.render.fps, scene.frame_start, scene.frame_end = 24, 3, 40
    times = np.arange(38)
    jaw = 0.5 + 0.5 * np.sin(times / 3)
    _import(_take(tmp_path / "t.json", 24, jawOpen=jaw, browInnerUp=times / 80), start_frame=3)
    bone = avatar.parent.pose.bones["head"]
    bone.rotation_mode = 'XYZ'
    for frame, angles in ((3, (0.1, 0.2, 0.3)), (40, (-0.2, 0.1, -0.3))):
        bone.rotation_euler = angles
        bone.keyframe_insert("rotation_euler", frame=frame)
    scene.frame_set(7)
    frames = range(3, 41)
    before, turns = _expressions(avatar, frames), _turns(avatar, frames)
    scene.frame_set(7)
    assert bpy.ops.headgas.export_take(filepath=str(tmp_path / "out.csv")) == {'FINISHED'}
    assert scene.frame_current == 7 and [path.name for path in tmp_path.glob("out*")] == ["out.csv"]
    assert (tmp_path / "out.csv").read_text().startswith("Timecode,BlendShapeCount,EyeBlinkLeft,EyeLookDownLeft,")
    bone.rotation_euler, avatar.data.shape_keys.key_blocks["jawOpen"].value = (0, 0, 0), 0.0
    _import(tmp_path / "out.csv", start_frame=3)
    assert np.allclose(_expressions(avatar, frames), before, atol=1e-4)
    assert max(a.rotation_difference(b).angle for a, b in zip(_turns(avatar, frames), turns, strict=True)) < 2e-3


def _turns(avatar, frames):
    found = []
    for frame in frames:
        bpy.context.scene.frame_set(frame)
        rig = avatar.parent.evaluated_get(bpy.context.evaluated_depsgraph_get())
        found.append((rig.pose.bones["head"].matrix @ rig.data.bones["head"].matrix_local.inverted()).to_quaternion())
    return found


def test_export_of_drivers_muted_channels_and_other_names(scene, tmp_path):
    head = header()
    head["expression_space"]["names"][1] = 'smile, "left"'
    avatar = _avatar(tmp_path / "a.safetensors", head)
    blocks = avatar.data.shape_keys.key_blocks
    driver = blocks['smile, "left"'].driver_add("value").driver
    driver.expression = "frame / 10"
    blocks["browInnerUp"].value, blocks["browInnerUp"].mute = 0.4, True
    scene.frame_start, scene.frame_end = 1, 5
    assert bpy.ops.headgas.export_take(filepath=str(tmp_path / "out.csv")) == {'FINISHED'}
    take = read_take(tmp_path / "out.csv")
    assert take.names == ("jawOpen", 'smile, "left"', "mouthSmileRight", "browInnerUp")
    assert take.values[:, 1] == pytest.approx(np.arange(1, 6) / 10) and take.values[:, 3] == pytest.approx(-0.2)
    with pytest.raises(RuntimeError, match="cannot be written"):
        bpy.ops.headgas.export_take(filepath=str(tmp_path / "nowhere" / "out.csv"))


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="the real recordings are not here")
@pytest.mark.parametrize("name", ["livelink/iphone_take.csv", "lam/test_expression_1s.json"])
def test_real_recordings(scene, tmp_path, name):
    avatar = _avatar(tmp_path / "a.safetensors")
    scene.render.fps = 60 if name.endswith("csv") else 30
    _import(SAMPLES / name)
    take = read_take(SAMPLES / name)
    expected = take.values[:, [take.names.index(channel) for channel in NAMES[:3]]]
    count = len(next(fcurves(avatar.data.shape_keys)).keyframe_points)
    assert abs(count - len(take.times)) <= 1
    found = _expressions(avatar, [1, 101, 301])[:, :3]
    limits = [avatar.data.shape_keys.key_blocks[channel].slider_max for channel in NAMES[:3]]
    assert np.allclose(found, np.minimum(expected[[0, 100, 300]], limits), atol=0.03)


def test_takes_can_be_dropped_and_chosen():
    assert bpy.types.HEADGAS_FH_take.bl_file_extensions == ".csv;.json;.npz"
    properties = bpy.ops.headgas.import_take.get_rna_type().properties
    assert properties["filter_glob"].default == "*.csv;*.json;*.npz"


def test_the_panel_offers_both_ways():
    panel, names = bpy.types.HEADGAS_PT_takes, []
    column = SimpleNamespace(operator=lambda name, **_options: names.append(name))
    panel.draw(SimpleNamespace(layout=SimpleNamespace(column=lambda align: column, operator_context='')), bpy.context)
    assert names == ["headgas.import_take", "headgas.export_take"] and hasattr(bpy.types, panel.bl_parent_id)
