# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""One avatar's performance on others: the same person, other people, as keys and as drivers."""

import bpy
import numpy as np
import pytest
from avatar_files import NAMES, header, write_avatar
from bl_ext.user_default.headgas.core.controls import Channels
from bl_ext.user_default.headgas.core.transfer import across_people, same_person
from bl_ext.user_default.headgas.rig import actions, expression_of
from bl_ext.user_default.headgas.rig.performance import as_bone_turn, as_head_turn
from bl_ext.user_default.headgas.rig.takes import head_bone
from mathutils import Quaternion


def _space(names, neutral, low, high):
    return Channels(tuple(names), *(np.array(part, np.float32) for part in (neutral, low, high)))


ANNA = _space("abc", [0.0, 0.1, 0.0], [0.0, -0.3, 0.0], [1.0, 0.5, 0.5])
BEN = _space("cxba", [0.0, 0.0, -0.2, 0.1], [0.0, 0.0, -0.3, 0.1], [1.5, 1.0, 0.2, 0.6])


def test_each_side_of_neutral_is_scaled_by_its_own_range():
    transfer = across_people(ANNA, BEN)
    assert transfer.names == ("c", "b", "a")  # the target's order, common names only
    #   c: 0…0.5 -> 0…1.5; b: 0.1 + 0.4 -> -0.2 + 0.4, 0.1 - 0.4 -> -0.2 - 0.1; a: 0…1 -> 0.1…0.6
    assert np.allclose(transfer(np.array([0.5, 0.5, 1.0])), [1.5, 0.2, 0.6])
    assert np.allclose(transfer(np.array([0.25, -0.3, 0.5])), [0.75, -0.3, 0.35])
    assert np.allclose(transfer(np.array([0.0, 0.1, 0.0])), [0.0, -0.2, 0.1])  # neutral stays neutral


def test_to_oneself_and_back_changes_nothing():
    values = np.random.default_rng(0).uniform(-0.3, 1, (7, 3))
    assert np.allclose(across_people(ANNA, ANNA)(values), values)
    there, back = across_people(ANNA, BEN), across_people(BEN, ANNA)
    order = [there.names.index(name) for name in back.names]
    seen = np.clip(values, [0, -0.3, 0], [0.5, 0.5, 1])  # in the order c, b, a
    returned = back(there(seen)[:, order])
    assert np.allclose(returned[:, [back.names.index(name) for name in there.names]], seen)


def test_sides_that_training_never_saw():
    still = _space("ab", [0.0, 0.0], [0.0, 0.0], [0.0, 0.0])
    moving = _space("ab", [0.0, 0.0], [-1.0, -1.0], [1.0, 1.0])
    assert np.allclose(across_people(still, moving)(np.array([0.3, -0.3])), [0.3, -0.3])
    assert np.allclose(across_people(moving, still)(np.array([0.3, -0.3])), [0.0, 0.0])


def test_the_same_person_s_values_stay():
    transfer = same_person(ANNA, BEN)
    assert np.allclose(transfer(np.array([0.5, 0.4, 0.9])), [0.5, 0.4, 0.9])
    assert transfer.expression("a", "x") == "x"


def test_names_in_another_spelling_are_the_same():
    arkit = _space(["jawOpen", "eyeBlinkLeft", "eyeBlinkRight", "browInnerUp"], [0.0] * 4, [0.0] * 4, [1.0, 1, 1, 1])
    camel = _space(["EyeBlink_R", "EyeBlink_L", "Jaw_Open", "A"], [0.0] * 4, [0.0] * 4, [0.5, 0.5, 0.5, 1])
    transfer = across_people(arkit, camel)
    assert transfer.names == ("EyeBlink_R", "EyeBlink_L", "Jaw_Open")  # "A", a viseme, would be an estimate
    assert transfer.sources == ("eyeBlinkRight", "eyeBlinkLeft", "jawOpen")
    assert np.allclose(transfer(np.array([1.0, 0.4, 0.2])), [0.5, 0.2, 0.1])


def test_the_expression_computes_what_the_function_does():
    transfer = across_people(ANNA, BEN)
    for x in (-0.7, 0.1, 0.45):
        for column, name in enumerate(transfer.names):
            value = eval(transfer.expression(name, "x"), {"x": x, "max": max, "min": min})
            assert value == pytest.approx(transfer(np.full(3, x))[column])


@pytest.fixture
def cast(scene, tmp_path):
    """Anna, who performs; Ben and Cleo, who have other ranges. All are selected, Anna is active."""
    scene.frame_start, scene.frame_end = 1, 5
    meshes = []
    for name, neutral, high in (("anna", [0.1, 0, 0, -0.2], [1, 0.8, 0.6, 0.5]), ("ben", [0.0] * 4, [0.5] * 4)):
        head = header()
        head["expression_space"].update(neutral=neutral, low=[0.0, 0.0, 0.0, -0.5], high=high)
        bpy.ops.headgas.import_avatar(filepath=str(write_avatar(tmp_path / f"{name}.safetensors", head)))
        meshes.append(bpy.context.object)
    bpy.ops.headgas.import_avatar(filepath=str(write_avatar(tmp_path / "cleo.safetensors")))
    meshes.append(bpy.context.object)
    keys = meshes[0].data.shape_keys.key_blocks
    for frame, jaw in ((1, 0.1), (5, 1.0)):
        keys["jawOpen"].value = jaw
        keys["jawOpen"].keyframe_insert("value", frame=frame)
    keys["mouthSmileLeft"].value = 0.4
    for mesh in meshes:
        mesh.select_set(True)
    bpy.context.view_layer.objects.active = meshes[0]
    return meshes


def _expressions(scene, mesh, frames=(1, 3, 5)):
    found = []
    for frame in frames:
        scene.frame_set(frame)
        found.append(expression_of(mesh, bpy.context.evaluated_depsgraph_get()))
    return np.array(found)


# at frames 1, 3, 5 Anna's jaw is at 0.1, 0.55, 1.0 (Bézier, even in the middle), which is 0, half and all of her range
BEN_DOES = [[jaw, 0.25, 0.0, 0.0] for jaw in (0.0, 0.25, 0.5)]


@pytest.mark.parametrize("result", ['KEYS', 'DRIVERS'])
def test_others_perform_under_other_names(scene, cast, tmp_path, result):
    head = header()
    head["expression_space"]["names"] = ["JawOpen", "MouthSmile_L", "MouthSmile_R", "BrowInnerUp"]
    bpy.ops.headgas.import_avatar(filepath=str(write_avatar(tmp_path / "dora.safetensors", head)))
    dora, anna = bpy.context.object, cast[0]
    dora.select_set(True)
    anna.select_set(True)
    bpy.context.view_layer.objects.active = anna
    assert bpy.ops.headgas.transfer_performance(result=result) == {'FINISHED'}
    assert np.allclose(_expressions(scene, dora), _expressions(scene, anna), atol=1e-5)  # her ranges are Anna's


@pytest.mark.parametrize("result", ['KEYS', 'DRIVERS'])
def test_others_perform_in_their_in_their_own_ranges(scene, cast, result):
    anna, ben, cleo = cast
    theirs = _expressions(scene, anna)
    assert bpy.ops.headgas.transfer_performance(result=result) == {'FINISHED'}
    assert np.allclose(_expressions(scene, anna), theirs)
    assert np.allclose(_expressions(scene, ben), BEN_DOES, atol=1e-5)
    assert np.allclose(_expressions(scene, cleo), theirs, atol=1e-5)  # her ranges are Anna's


@pytest.mark.parametrize("result", ['KEYS', 'DRIVERS'])
def test_channels_on_face_bones_perform_too(scene, cast, result):
    for mesh in cast[:2]:
        bpy.context.view_layer.objects.active = mesh
        assert bpy.ops.headgas.add_face_bones() == {'FINISHED'}
    bpy.context.view_layer.objects.active = cast[0]
    for mesh in cast:
        mesh.select_set(True)
    assert bpy.ops.headgas.transfer_performance(result=result) == {'FINISHED'}
    assert np.allclose(_expressions(scene, cast[1]), BEN_DOES, atol=1e-5)
    assert cast[1].parent.pose.bones["face"]["jawOpen"] == pytest.approx(0.5)
    if result == 'DRIVERS':
        bpy.ops.headgas.unlink_performance()
        assert not len(cast[1].parent.animation_data.drivers)
        assert len(cast[1].data.shape_keys.animation_data.drivers) == 4  # those that follow the face bones


def test_a_muted_channel_rests(scene, cast):
    cast[0].data.shape_keys.key_blocks["jawOpen"].mute = True
    bpy.ops.headgas.transfer_performance()
    assert np.allclose(_expressions(scene, cast[1])[:, 0], 0.0, atol=1e-6)  # Ben's neutral


def test_the_same_person_copies_values(scene, cast):
    anna, ben, _ = cast
    bpy.ops.headgas.transfer_performance(method='SAME')
    expected = _expressions(scene, anna)
    assert np.allclose(_expressions(scene, ben)[:, :2], np.minimum(expected[:, :2], 0.625), atol=1e-5)  # slider's limit
    counts = [len(curve.keyframe_points) for curve in actions.fcurves(ben.data.shape_keys)]
    assert sorted(counts) == [1, 1, 1, 5]


def test_drivers_that_would_hide_the_keys_are_mentioned(scene, cast, capfd):
    driver = cast[1].data.shape_keys.driver_add('key_blocks["jawOpen"].value')
    bpy.ops.headgas.transfer_performance()
    assert "Drivers set 'jawOpen' of 'ben control', and win" in capfd.readouterr().out
    driver.mute = True
    bpy.ops.headgas.transfer_performance()
    assert "Drivers" not in capfd.readouterr().out


def test_a_live_link_goes_on_without_scripts_and_can_be_removed(scene, cast):
    anna, ben, _ = cast
    own = ben.data.shape_keys.driver_add('key_blocks["browInnerUp"].value')
    own.driver.expression = "0.3"
    bpy.ops.headgas.transfer_performance(result='DRIVERS')
    drivers = ben.data.shape_keys.animation_data.drivers
    assert len(drivers) == 4 and all(curve.driver.is_simple_expression for curve in drivers)
    anna.data.shape_keys.key_blocks["mouthSmileRight"].value = 0.3
    bpy.context.view_layer.update()
    assert expression_of(ben, bpy.context.evaluated_depsgraph_get())[2:] == pytest.approx([0.25, 0.3])
    bpy.ops.headgas.transfer_performance(result='DRIVERS', method='SAME')  # again: replaced, not doubled
    assert len(drivers) == 4
    bpy.context.view_layer.objects.active = ben
    with pytest.raises(RuntimeError, match="'ben control' is driven by 'anna control'"):
        bpy.ops.headgas.transfer_performance(result='DRIVERS')
    assert bpy.ops.headgas.unlink_performance() == {'FINISHED'}
    assert [curve.data_path for curve in drivers] == ['key_blocks["browInnerUp"].value']
    assert not bpy.ops.headgas.unlink_performance.poll()


@pytest.mark.parametrize("bones", [True, False])
def test_heads_turn_alike_where_their_bones_lie_differently(scene, cast, bones):
    anna, ben, _ = cast
    bpy.context.view_layer.objects.active = ben.parent
    bpy.ops.object.mode_set(mode='EDIT')
    ben.parent.data.edit_bones["head"].roll = 1.0
    bpy.ops.object.mode_set(mode='OBJECT')
    bpy.context.view_layer.objects.active = anna
    ben.parent.pose.bones["head"].rotation_mode = 'XYZ'
    bone, turn = head_bone(anna), Quaternion((1, 0, 0), 0.4)
    bone.rotation_quaternion = as_bone_turn(bone, turn)
    bone.keyframe_insert("rotation_quaternion", frame=3)
    bpy.ops.headgas.transfer_performance(bones=bones)
    scene.frame_set(3)
    found = as_head_turn(head_bone(ben), head_bone(ben).rotation_euler.to_quaternion())
    assert np.allclose(found, turn if bones else Quaternion(), atol=1e-5)


def test_what_cannot_be_transferred_is_refused(scene, cast, tmp_path):
    anna, ben, cleo = cast
    head = header()
    head["expression_space"]["names"] = ["w", "x", "y", "z"]
    bpy.ops.headgas.import_avatar(filepath=str(write_avatar(tmp_path / "dan.safetensors", head)))
    assert not bpy.ops.headgas.transfer_performance.poll()
    anna.select_set(True)
    with pytest.raises(RuntimeError, match="'anna control' and 'dan control' have no channel of the same name"):
        bpy.ops.headgas.transfer_performance()
    cleo.headgas.filepath = str(tmp_path / "gone.safetensors")
    for mesh in (bpy.data.objects["dan control"], anna):
        mesh.select_set(False)
    for mesh in (ben, cleo):
        mesh.select_set(True)
    bpy.context.view_layer.objects.active = ben
    with pytest.raises(RuntimeError, match="no avatar at"):
        bpy.ops.headgas.transfer_performance()
    assert not ben.data.shape_keys.animation_data and len(NAMES) == 4


def test_an_appended_avatar_brings_the_one_that_it_follows(scene, cast, tmp_path):
    bpy.ops.headgas.transfer_performance(result='DRIVERS')
    name = cast[1].name
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "library.blend"))
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=False)
    with bpy.data.libraries.load(str(tmp_path / "library.blend"), link=False) as (_, wanted):
        wanted.objects = [name]
    (curve, *_) = wanted.objects[0].data.shape_keys.animation_data.drivers
    assert curve.driver.variables[0].targets[0].id is not None
