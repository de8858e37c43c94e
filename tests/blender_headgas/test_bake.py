# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drivers and constraints become keys that say the same, and come back."""

import bpy
import numpy as np
import pytest
from avatar_files import NAMES, write_avatar
from bl_ext.user_default.headgas.rig import actions, expression_of

JAW, SMILE, BROW = (f'key_blocks["{name}"].value' for name in ("jawOpen", "mouthSmileLeft", "browInnerUp"))


@pytest.fixture
def avatar(scene, tmp_path):
    """An avatar whose jaw and brow follow an empty's place, whose smile has keys, whose head looks at the empty."""
    scene.frame_start, scene.frame_end = 1, 11
    bpy.ops.headgas.import_avatar(filepath=str(write_avatar(tmp_path / "a.safetensors")))
    mesh = bpy.context.object
    empty = bpy.data.objects.new("target", None)
    scene.collection.objects.link(empty)
    for frame, x in ((1, 0.0), (6, 0.5), (11, 1.0)):
        empty.location = (x, -1.0, 0.2)
        empty.keyframe_insert("location", frame=frame)
    keys = mesh.data.shape_keys
    for path, expression in ((JAW, "x * x"), (BROW, "0.25")):
        driver = keys.driver_add(path).driver
        driver.expression = expression
        variable = driver.variables.new()
        variable.name, variable.type = "x", 'TRANSFORMS'
        variable.targets[0].id, variable.targets[0].transform_type = empty, 'LOC_X'
    for frame, value in ((1, 0.0), (11, 0.5)):
        keys.key_blocks["mouthSmileLeft"].value = value
        keys.key_blocks["mouthSmileLeft"].keyframe_insert("value", frame=frame)
    constraint = mesh.parent.pose.bones["head"].constraints.new('DAMPED_TRACK')
    constraint.target, constraint.track_axis = empty, 'TRACK_Z'
    return mesh


def _states(scene, mesh, frames):
    """The expression [B] and the head's matrix [4,4] at each frame."""
    states = []
    for frame in frames:
        scene.frame_set(int(frame // 1), subframe=float(frame % 1))
        depsgraph = bpy.context.evaluated_depsgraph_get()
        head = mesh.parent.evaluated_get(depsgraph).pose.bones["head"].matrix
        states.append(np.concatenate([expression_of(mesh, depsgraph), np.array(head).ravel()]))
    return np.array(states)


def _curves(datablock):
    return {curve.data_path: curve for curve in actions.fcurves(datablock)}


def test_keys_say_what_drivers_and_constraints_said_and_these_come_back(scene, avatar):
    keys, frames = avatar.data.shape_keys, np.arange(1, 12)
    before, action = _states(scene, avatar, frames), keys.animation_data.action
    scene.frame_set(4, subframe=0.5)
    assert bpy.ops.headgas.bake() == {'FINISHED'}
    assert (scene.frame_current, scene.frame_subframe) == (4, 0.5)
    assert all(curve.mute for curve in keys.animation_data.drivers)
    assert avatar.parent.pose.bones["head"].constraints[0].mute
    bpy.data.objects.remove(bpy.data.objects["target"])
    assert np.allclose(_states(scene, avatar, frames), before, atol=1e-5)
    curves = _curves(keys)
    assert {path: len(curve.keyframe_points) for path, curve in curves.items()} == {JAW: 11, SMILE: 11, BROW: 1}
    baked = keys.animation_data.action
    assert baked is not action and bpy.ops.headgas.unbake() == {'FINISHED'}
    assert keys.animation_data.action == action and not bpy.ops.headgas.unbake.poll()
    assert not any(curve.mute for curve in keys.animation_data.drivers)
    assert not avatar.parent.pose.bones["head"].constraints[0].mute
    assert not [name for name in bpy.data.actions.keys() if "baked" in name]
    assert not list(keys.keys()) and not [name for name in avatar.parent.keys() if "bake" in name]


def test_back_is_the_same_motion_again(scene, avatar):
    frames = np.arange(1, 12, 2.5)
    before = _states(scene, avatar, frames)
    bpy.ops.headgas.bake(step=5)
    assert not np.allclose(_states(scene, avatar, frames), before, atol=1e-5)  # straight lines through three keys
    bpy.ops.headgas.unbake()
    assert np.allclose(_states(scene, avatar, frames), before, atol=1e-6)


def test_channels_on_face_bones_are_baked_there(scene, avatar):
    keys, frames = avatar.data.shape_keys, np.arange(1, 12)
    assert bpy.ops.headgas.add_face_bones() == {'FINISHED'}
    path = 'pose.bones["face.L"]["mouthSmile"]'
    driver = avatar.parent.driver_add(path).driver
    driver.expression = "0.5 * frame / 11"
    before = _states(scene, avatar, frames)
    assert before[:, NAMES.index("mouthSmileLeft")] == pytest.approx(frames * 0.5 / 11)
    bpy.ops.headgas.bake()
    assert np.allclose(_states(scene, avatar, frames), before, atol=1e-5)
    assert len(_curves(avatar.parent)[path].keyframe_points) == 11 and SMILE not in _curves(keys)
    assert avatar.parent.animation_data.drivers.find(path).mute and not keys.animation_data.drivers.find(SMILE).mute
    bpy.ops.headgas.unbake()
    assert np.allclose(_states(scene, avatar, frames), before, atol=1e-6)


def test_parts_of_frames_are_baked(scene, avatar):
    frames = np.arange(2, 4.1, 0.5)
    before = _states(scene, avatar, frames)
    bpy.ops.headgas.bake(start=2, end=4, step=0.5)
    assert np.allclose(_states(scene, avatar, frames), before, atol=1e-5)
    assert [point.co[0] for point in _curves(avatar.data.shape_keys)[JAW].keyframe_points] == frames.tolist()


def test_everything_may_be_keyed_or_bones_left_alone(scene, avatar):
    bpy.ops.headgas.bake(only_changed=False, bones=False)
    assert {len(curve.keyframe_points) for curve in actions.fcurves(avatar.data.shape_keys)} == {11}
    assert len(_curves(avatar.data.shape_keys)) == 4
    assert avatar.parent.animation_data is None and not avatar.parent.pose.bones["head"].constraints[0].mute


def test_strips_are_baked_and_laid_over(scene, avatar):
    keys = avatar.data.shape_keys
    data = keys.animation_data
    action, slot = data.action, getattr(data, "action_slot", None)
    data.action = None
    strip = data.nla_tracks.new().strips.new("smile", 3, action)
    if slot is not None:
        strip.action_slot = slot
    data.action_blend_type = 'ADD'
    frames = np.arange(1, 12)
    before = _states(scene, avatar, frames)
    bpy.ops.headgas.bake()
    assert np.allclose(_states(scene, avatar, frames), before, atol=1e-5)
    bpy.ops.headgas.unbake()
    assert data.action is None and data.action_blend_type == 'ADD'
    assert np.allclose(_states(scene, avatar, frames), before, atol=1e-6)


@pytest.mark.parametrize("mode", ['QUATERNION', 'XYZ', 'AXIS_ANGLE'])
def test_every_rotation_mode_is_baked(scene, avatar, mode):
    avatar.parent.pose.bones["head"].rotation_mode = mode
    before = _states(scene, avatar, (1, 6, 11))
    bpy.ops.headgas.bake()
    assert np.allclose(_states(scene, avatar, (1, 6, 11)), before, atol=1e-5)


def test_an_action_that_came_after_the_bake_is_not_lost(scene, avatar):
    keys = avatar.data.shape_keys
    bpy.ops.headgas.bake()
    later = keys.animation_data.action = bpy.data.actions.new("later")
    bpy.ops.headgas.unbake()
    assert keys.animation_data.action != later and later.use_fake_user and not bpy.ops.headgas.unbake.poll()


def test_a_bake_survives_saving(scene, avatar, tmp_path):
    before = _states(scene, avatar, (3, 9))
    bpy.ops.headgas.bake()
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "baked.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "baked.blend"))
    scene, avatar = bpy.context.scene, bpy.data.objects["a control"]
    assert bpy.ops.headgas.unbake() == {'FINISHED'}
    assert np.allclose(_states(scene, avatar, (3, 9)), before, atol=1e-6)
    assert "baked" not in avatar.data.shape_keys.animation_data.action.name


def test_linked_avatars_and_strips_in_tweak_mode_are_refused(scene, avatar, tmp_path):
    data = avatar.data.shape_keys.animation_data
    strip = data.nla_tracks.new().strips.new("smile", 3, data.action)
    data.action = None
    strip.select = data.nla_tracks[0].select = True
    data.nla_tracks.active = data.nla_tracks[0]
    data.use_tweak_mode = True
    with pytest.raises(RuntimeError, match="is being edited in the NLA editor"):
        bpy.ops.headgas.bake()
    data.use_tweak_mode = False
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "library.blend"))
    bpy.ops.wm.read_homefile(use_empty=True)
    with bpy.data.libraries.load(str(tmp_path / "library.blend"), link=True) as (_, wanted):
        wanted.objects = ["a", "a control"]
    for linked in wanted.objects:
        bpy.context.scene.collection.objects.link(linked)
    bpy.context.view_layer.objects.active = bpy.data.objects["a control"]
    for operator in (bpy.ops.headgas.bake, bpy.ops.headgas.start_live):
        with pytest.raises(RuntimeError, match="The avatar is linked"):
            operator()


def test_an_overridden_avatar_is_baked(scene, avatar, tmp_path):
    before = _states(scene, avatar, (1, 6, 11))
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "library.blend"))
    bpy.ops.wm.read_homefile(use_empty=True)
    scene = bpy.context.scene
    with bpy.data.libraries.load(str(tmp_path / "library.blend"), link=True) as (_, wanted):
        wanted.objects = ["a control"]
    scene.collection.objects.link(wanted.objects[0])
    override = wanted.objects[0].override_hierarchy_create(scene, bpy.context.view_layer, do_fully_editable=True)
    if override.data.override_library is None:
        override.data.override_create(remap_local_usages=True)
    for obj in bpy.context.selected_objects:
        obj.select_set(False)
    bpy.context.view_layer.objects.active = override
    assert bpy.ops.headgas.bake(start=1, end=11) == {'FINISHED'}
    assert np.allclose(_states(scene, override, (1, 6, 11)), before, atol=1e-5)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "shot.blend"))
    override = next(o for o in bpy.data.objects if o.name == "a control" and o.override_library)
    assert np.allclose(_states(bpy.context.scene, override, (1, 6, 11)), before, atol=1e-5)
    assert bpy.ops.headgas.unbake() == {'FINISHED'}
    data = override.data.shape_keys.animation_data
    assert not any(curve.mute for curve in data.drivers) and "baked" not in data.action.name
    assert np.allclose(_states(bpy.context.scene, override, (1, 6, 11)), before, atol=1e-6)


def test_a_bake_can_be_undone(scene, avatar):
    bpy.ops.ed.undo_push(message="before")
    bpy.ops.headgas.bake()
    bpy.ops.ed.undo_push(message="baked")
    assert bpy.ops.headgas.unbake.poll()
    bpy.ops.ed.undo()
    keys = bpy.data.objects["a control"].data.shape_keys
    assert not bpy.ops.headgas.unbake.poll() and not any(curve.mute for curve in keys.animation_data.drivers)


def test_what_is_baked_or_backwards_is_refused(scene, avatar):
    with pytest.raises(RuntimeError, match="ends at 1, before"):
        bpy.ops.headgas.bake(start=5, end=1)
    bpy.ops.headgas.bake()
    with pytest.raises(RuntimeError, match="'a control' is baked already"):
        bpy.ops.headgas.bake()
    bpy.context.view_layer.objects.active = scene.camera
    avatar.select_set(False)
    assert not bpy.ops.headgas.bake.poll() and not bpy.ops.headgas.unbake.poll()
