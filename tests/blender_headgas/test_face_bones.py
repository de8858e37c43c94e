# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Face bones: Blender's pose library, its copy, paste and flip reach the channels, and nothing is lost on the way."""

import bpy
import pytest
from avatar_files import NEUTRAL, write_avatar
from bl_ext.user_default.headgas.rig import expression_of
from bl_ext.user_default.headgas.rig.actions import fcurves


@pytest.fixture
def mesh(scene, tmp_path):
    """The control mesh of an imported avatar with face bones and an expression, active."""
    bpy.ops.headgas.import_avatar(filepath=str(write_avatar(tmp_path / "a.safetensors")))
    mesh = bpy.context.object
    for key, value in zip(mesh.data.shape_keys.key_blocks[1:], (0.9, 0.3, 0.0, 0.4), strict=True):
        key.value = value
    return mesh


def _run(name, **options):
    return getattr(bpy.ops.headgas, name)('EXEC_DEFAULT', True, **options)


def _expression(mesh):
    bpy.context.view_layer.update()
    return [round(value, 5) for value in expression_of(mesh, bpy.context.evaluated_depsgraph_get()).tolist()]


def _bone_values(mesh):
    bones = mesh.parent.pose.bones
    pair = bones["face.L"]["mouthSmile"], bones["face.R"]["mouthSmile"]
    return pytest.approx([bones["face"]["jawOpen"], *pair, bones["face"]["browInnerUp"]])


def test_channels_move_to_bones_and_keep_their_values(mesh):
    assert _run("add_face_bones") == {'FINISHED'}
    assert bpy.context.object == mesh and mesh.mode == 'OBJECT'
    assert _bone_values(mesh) == [0.9, 0.3, 0.0, 0.4] and _expression(mesh) == [0.9, 0.3, 0.0, 0.4]
    mesh.parent.pose.bones["face.R"]["mouthSmile"] = 0.5
    mesh.parent.update_tag()
    assert _expression(mesh) == [0.9, 0.3, 0.5, 0.4]
    ui = mesh.parent.pose.bones["face"].id_properties_ui("jawOpen").as_dict()
    assert (ui["min"], ui["max"], ui["default"]) == pytest.approx((-0.25, 1.25, 0.1))
    assert not bpy.ops.headgas.add_face_bones.poll()


def test_the_drivers_need_no_permission_to_run_scripts(mesh):
    _run("add_face_bones")
    drivers = [curve.driver for curve in mesh.data.shape_keys.animation_data.drivers]
    assert len(drivers) == 4 and all(driver.type == 'AVERAGE' and driver.is_valid for driver in drivers)


def test_a_pose_asset_is_applied_blended_and_flipped_by_blender(mesh):
    _run("add_face_bones")
    head = mesh.parent.pose.bones["head"]
    head.location.x = 0.25
    assert _run("save_pose_asset", pose_name="Half a smile") == {'FINISHED'}
    asset = bpy.data.actions["Half a smile"]
    assert asset.asset_data is not None
    _run("reset_expression")
    assert _bone_values(mesh) == NEUTRAL
    head.location.x = 0.5
    pose = mesh.parent.pose
    pose.apply_pose_from_action(asset)
    assert _bone_values(mesh) == [0.9, 0.3, 0.0, 0.4] and head.location.x == 0.5
    assert _expression(mesh) == [0.9, 0.3, 0.0, 0.4]
    _run("reset_expression")
    pose.blend_pose_from_action(asset, blend_factor=0.5)
    assert _bone_values(mesh) == [0.5, 0.15, 0.0, 0.1]
    asset.flip_with_pose(mesh.parent)
    pose.apply_pose_from_action(asset)
    assert _bone_values(mesh) == [0.9, 0.0, 0.3, 0.4]


def test_blender_s_copy_and_paste_flipped(mesh):
    _run("add_face_bones")
    bpy.context.view_layer.objects.active = mesh.parent
    bpy.ops.object.mode_set(mode='POSE')
    bpy.ops.pose.select_all(action='SELECT')
    bpy.ops.pose.copy()
    bpy.ops.pose.paste(flipped=True)
    assert _bone_values(mesh) == [0.9, 0.0, 0.3, 0.4]
    bpy.ops.pose.paste(flipped=False)
    assert _bone_values(mesh) == [0.9, 0.3, 0.0, 0.4]


@pytest.mark.skipif(bpy.app.version < (4, 5, 0), reason="without a window Blender 4.2 itself crashes here")
def test_blender_s_breakdowner(mesh, scene):
    _run("add_face_bones")
    _run("reset_expression")
    _run("key_expression")
    scene.frame_set(11)
    mesh.parent.pose.bones["face.L"]["mouthSmile"] = 0.8
    _run("key_expression")
    scene.frame_set(6)
    bpy.context.view_layer.objects.active = mesh.parent
    bpy.ops.object.mode_set(mode='POSE')
    bpy.ops.pose.select_all(action='SELECT')
    bpy.ops.pose.breakdown(factor=0.25, prev_frame=1, next_frame=11)
    assert _bone_values(mesh) == [0.1, 0.2, 0.0, -0.2]


def test_the_panel_s_operators_work_on_bones(mesh, scene):
    _run("add_face_bones")
    _run("mirror_expression")
    assert _bone_values(mesh) == [0.9, 0.0, 0.3, 0.4]
    _run("key_expression")
    groups = {curve.data_path: curve.group.name for curve in fcurves(mesh.parent)}
    assert groups['pose.bones["face.L"]["mouthSmile"]'] == "face.L" and len(groups) == 4
    scene.frame_set(9)
    mesh.parent.pose.bones["face"]["jawOpen"] = 0.2
    _run("key_expression", only_changed=True)
    frames = {curve.data_path: [p.co.x for p in curve.keyframe_points] for curve in fcurves(mesh.parent)}
    assert frames['pose.bones["face"]["jawOpen"]'] == [1.0, 9.0]
    assert frames['pose.bones["face.L"]["mouthSmile"]'] == [1.0]
    _run("unkey_expression")
    scene.frame_set(1)
    _run("unkey_expression")
    assert not list(fcurves(mesh.parent))
    _run("reset_expression")
    assert _expression(mesh) == NEUTRAL
    mesh.parent.pose.bones["face"]["jawOpen"] = 0.0
    assert bpy.ops.headgas.limit_channel(channel="jawOpen") == {'FINISHED'}


def _animate(mesh):
    key = mesh.data.shape_keys.key_blocks["mouthSmileLeft"]
    for frame, value in ((1, 0.1), (11, 0.6), (21, 0.2)):
        key.value = value
        key.keyframe_insert("value", frame=frame)
    curve = next(fcurves(mesh.data.shape_keys))
    curve.keyframe_points[0].interpolation = 'ELASTIC'
    curve.keyframe_points[0].period = 3.0
    curve.keyframe_points[1].handle_right_type = curve.keyframe_points[1].handle_left_type = 'FREE'
    curve.keyframe_points[1].handle_right = (15.0, 0.75)
    curve.modifiers.new('CYCLES').cycles_after = 2
    curve.extrapolation = 'LINEAR'
    curve.update()
    return [curve.evaluate(frame) for frame in range(1, 60)]


def test_animation_moves_there_and_back(mesh, scene):
    expected = _animate(mesh)
    _run("add_face_bones")
    assert not list(fcurves(mesh.data.shape_keys))
    (curve,) = fcurves(mesh.parent)
    assert curve.data_path == 'pose.bones["face.L"]["mouthSmile"]' and curve.group.name == "face.L"
    assert [curve.evaluate(frame) for frame in range(1, 60)] == pytest.approx(expected, abs=1e-6)
    scene.frame_set(7)
    assert _expression(mesh)[1] == pytest.approx(expected[6], abs=1e-5)
    mesh.parent.pose.bones["face"].keyframe_insert("location")
    assert _run("remove_face_bones") == {'FINISHED'}
    assert not list(fcurves(mesh.parent)) and not mesh.data.shape_keys.animation_data.drivers
    (curve,) = fcurves(mesh.data.shape_keys)
    assert curve.data_path == 'key_blocks["mouthSmileLeft"].value' and curve.group.name == "Mouth"
    assert [curve.evaluate(frame) for frame in range(1, 60)] == pytest.approx(expected, abs=1e-6)
    assert curve.modifiers[0].cycles_after == 2 and len(curve.modifiers) == 1
    scene.frame_set(12)
    assert _expression(mesh) == [0.9, pytest.approx(expected[11], abs=1e-5), 0.0, 0.4]
    assert not [bone.name for bone in mesh.parent.data.bones if bone.name.startswith("face")]


def test_values_stay_when_the_bones_go(mesh):
    _run("add_face_bones")
    mesh.parent.pose.bones["face.R"]["mouthSmile"] = 0.5
    bpy.context.view_layer.update()
    bpy.context.view_layer.objects.active = mesh.parent
    bpy.ops.object.mode_set(mode='POSE')
    _run("remove_face_bones")
    assert mesh.parent.mode == 'POSE' and _expression(mesh) == [0.9, 0.3, 0.5, 0.4]
    assert not bpy.ops.headgas.remove_face_bones.poll()


def test_adding_and_removing_are_undone(mesh):
    count = len(mesh.parent.data.bones)
    bpy.ops.ed.undo_push(message="before")
    _run("add_face_bones")
    bpy.ops.ed.undo()
    mesh = bpy.data.objects["a control"]
    assert len(mesh.parent.data.bones) == count and not mesh.data.shape_keys.animation_data
    bpy.ops.ed.redo()
    mesh = bpy.data.objects["a control"]
    assert _expression(mesh) == [0.9, 0.3, 0.0, 0.4] and len(mesh.parent.data.bones) == count + 3


def test_a_channel_that_is_driven_already_stays_as_it_is(mesh):
    mesh.data.shape_keys.key_blocks["mouthSmileLeft"].driver_add("value").driver.expression = "0.7"
    bpy.context.view_layer.update()
    _run("add_face_bones")
    assert sorted(mesh.parent.pose.bones["face"].keys()) == ["browInnerUp", "jawOpen", "mouthSmileRight"]
    assert "face.L" not in mesh.parent.data.bones
    _run("remove_face_bones")
    assert _expression(mesh)[1] == 0.7


def test_what_would_be_lost_is_refused(mesh):
    keys = mesh.data.shape_keys
    keys.key_blocks["jawOpen"].keyframe_insert("value", frame=1)
    animation = keys.animation_data
    action, slot = animation.action, getattr(animation, "action_slot", None)
    animation.action = None
    strip = animation.nla_tracks.new().strips.new("take", 1, action)
    if slot is not None:
        strip.action_slot = slot
    with pytest.raises(RuntimeError, match="NLA strips"):
        _run("add_face_bones")
    animation.nla_tracks.remove(animation.nla_tracks[0])
    mesh.parent.data.bones["root"].name = "face"
    with pytest.raises(RuntimeError, match="already has a bone 'face'"):
        _run("add_face_bones")


def test_it_says_why_there_can_be_no_face_bones(mesh):
    mesh.parent.hide_set(True)
    with pytest.raises(RuntimeError, match="hidden"):
        _run("add_face_bones")
    mesh.parent = None
    with pytest.raises(RuntimeError, match="lost its armature"):
        _run("add_face_bones")
    with pytest.raises(RuntimeError, match="Set Up Pose Library"):
        _run("save_pose_asset")


def test_an_overridden_avatar_is_posed_through_its_bones(mesh, tmp_path):
    _run("add_face_bones")
    collection = bpy.data.collections.new("anna")
    bpy.context.scene.collection.children.link(collection)
    collection.objects.link(mesh), collection.objects.link(mesh.parent)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "library.blend"))
    bpy.ops.wm.read_homefile(use_empty=True)
    with bpy.data.libraries.load(str(tmp_path / "library.blend"), link=True) as (_, wanted):
        wanted.collections = ["anna"]
    context = bpy.context
    wanted.collections[0].override_hierarchy_create(context.scene, context.view_layer, do_fully_editable=True)
    mesh = next(obj for obj in bpy.data.objects if obj.type == 'MESH' and not obj.library)
    context.view_layer.objects.active = mesh
    _run("reset_expression")
    mesh.parent.pose.bones["face.R"]["mouthSmile"] = 0.5
    _run("key_expression")
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "shot.blend"))
    mesh = next(obj for obj in bpy.data.objects if obj.type == 'MESH' and not obj.library)
    assert _expression(mesh) == [0.1, 0.0, 0.5, -0.2]
    context.view_layer.objects.active = mesh
    assert not bpy.ops.headgas.remove_face_bones.poll() and bpy.ops.headgas.save_pose_asset.poll()
