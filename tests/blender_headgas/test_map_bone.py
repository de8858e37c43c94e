# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Map From Bones: components of bones and objects, and custom properties, drive channels."""

import math

import bpy
import pytest
from bl_ext.user_default.headgas.rig import drivers
from characters import avatar, choose, values


@pytest.fixture
def face(scene, tmp_path):
    return avatar(tmp_path)


def armature(name="controls", bone="jaw"):
    """An armature in Pose Mode whose one bone is active."""
    data = bpy.data.armatures.new(name)
    obj = bpy.data.objects.new(name, data)
    bpy.context.scene.collection.objects.link(obj)
    choose(obj)
    bpy.ops.object.mode_set(mode='EDIT')
    edit = data.edit_bones.new(bone)
    edit.tail = (0, 0, 0.1)
    bpy.ops.object.mode_set(mode='POSE')
    data.bones.active = data.bones[bone]
    return obj


def beside(face, obj):
    face.select_set(True)
    bpy.context.view_layer.objects.active = obj


def test_a_rotation_in_degrees(face):
    rig = armature()
    beside(face, rig)
    assert bpy.ops.headgas.map_bone(channel="jawOpen", component='ROT_X', gain=0.05) == {'FINISHED'}
    driver = dict(drivers.drivers(face))["jawOpen"].driver
    assert driver.expression == "degrees(headgas_bone) * 0.05 + 0.1" and driver.is_simple_expression
    assert driver.variables[0].targets[0].transform_space == 'LOCAL_SPACE'
    assert values(face)["jawOpen"] == pytest.approx(0.1)  # neutral at rest
    bone = rig.pose.bones["jaw"]
    bone.rotation_mode = 'XYZ'
    bone.rotation_euler.x = math.radians(10)
    bpy.context.view_layer.update()
    assert values(face)["jawOpen"] == pytest.approx(0.6, abs=1e-5)


def test_location_scale_limits_and_offset(face):
    rig = armature()
    beside(face, rig)
    bpy.ops.headgas.map_bone(channel="mouthSmileLeft", component='LOC_Y', gain=10.0, limit=True, low=0.0, high=0.5)
    bpy.ops.headgas.map_bone(channel="mouthSmileRight", component='SCALE_Z', gain=0.5, offset=0.1)
    bone = rig.pose.bones["jaw"]
    bpy.context.view_layer.update()
    assert values(face)["mouthSmileRight"] == pytest.approx(0.1)  # a scale of 1 is rest
    bone.location.y, bone.scale.z = 0.02, 1.4
    bpy.context.view_layer.update()
    assert values(face)["mouthSmileLeft"] == pytest.approx(0.2, abs=1e-6)
    assert values(face)["mouthSmileRight"] == pytest.approx(0.3, abs=1e-6)
    bone.location.y = 1.0
    bpy.context.view_layer.update()
    assert values(face)["mouthSmileLeft"] == pytest.approx(0.5)


@pytest.mark.parametrize("on_bone", [True, False])
def test_a_custom_property(face, on_bone):
    rig = armature()
    beside(face, rig)
    owner = rig.pose.bones["jaw"] if on_bone else rig
    owner['how "wide"'], owner["text"] = 0.0, "no number"
    if not on_bone:
        bpy.ops.object.mode_set(mode='OBJECT')
    options = {"channel": "jawOpen", "component": 'PROPERTY', "gain": 2.0}
    assert bpy.ops.headgas.map_bone(property_name='how "wide"', **options) == {'FINISHED'}
    owner['how "wide"'] = 0.25
    rig.update_tag()
    bpy.context.view_layer.update()
    assert values(face)["jawOpen"] == pytest.approx(0.6)
    for name in ("text", "nothing"):
        with pytest.raises(RuntimeError, match=f"no number '{name}'"):
            bpy.ops.headgas.map_bone(property_name=name, **options)
    del owner['how "wide"']
    assert list(drivers.state(face).gone.values()) == [["jawOpen"]]


def test_an_object_beside_the_active_avatar_drives_it(face):
    empty = bpy.data.objects.new("handle", None)
    bpy.context.scene.collection.objects.link(empty)
    choose(face, empty)
    assert bpy.ops.headgas.map_bone(channel="browInnerUp", component='LOC_Z', gain=1.0) == {'FINISHED'}
    empty.location.z = 0.3
    bpy.context.view_layer.update()
    assert values(face)["browInnerUp"] == pytest.approx(0.1)


def test_the_avatar_s_own_bones_can_drive_it(face):
    rig = face.parent
    choose(rig)
    bpy.ops.object.mode_set(mode='POSE')
    rig.data.bones.active = rig.data.bones["root"]
    assert bpy.ops.headgas.map_bone(channel="jawOpen", component='LOC_X', gain=1.0) == {'FINISHED'}
    rig.pose.bones["root"].location.x = 0.5
    bpy.context.view_layer.update()
    assert values(face)["jawOpen"] == pytest.approx(0.6)


def test_a_deleted_or_renamed_bone(face):
    rig = armature()
    beside(face, rig)
    bpy.ops.headgas.map_bone(channel="jawOpen", component='ROT_X')
    rig.data.bones["jaw"].name = "chin"
    assert not drivers.state(face).gone
    bpy.ops.object.mode_set(mode='EDIT')
    rig.data.edit_bones.remove(rig.data.edit_bones["chin"])
    bpy.ops.object.mode_set(mode='OBJECT')
    bpy.context.view_layer.update()
    assert drivers.state(face).gone == {"the bone 'chin' of 'controls'": ["jawOpen"]}
    choose(face)
    assert bpy.ops.headgas.remove_drivers() == {'FINISHED'} and not drivers.ours(face)


def test_the_user_s_driver_is_kept_and_what_cannot_be_is_said(face):
    own = face.data.shape_keys.driver_add(drivers.key_path("jawOpen"))
    own.driver.expression = "0.25"
    assert not bpy.ops.headgas.map_bone.poll()  # nothing to drive it
    beside(face, armature())
    with pytest.raises(RuntimeError, match="has a driver already"):
        bpy.ops.headgas.map_bone(channel="jawOpen")
    with pytest.raises(RuntimeError, match="no channel 'jaw'"):
        bpy.ops.headgas.map_bone(channel="jaw")
    with pytest.raises(RuntimeError, match="minimum is above"):
        bpy.ops.headgas.map_bone(channel="browInnerUp", limit=True, low=1.0, high=0.0)
    assert not drivers.ours(face)
    assert bpy.ops.headgas.map_bone(channel="jawOpen", replace=True) == {'FINISHED'}
    assert drivers.ours(face) == ["jawOpen"]
