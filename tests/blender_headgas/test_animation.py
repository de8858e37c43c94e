# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever Blender animates, animates the avatar: keys, drivers, the NLA, sub-frames; in the viewport and in F12."""

import bpy
import numpy as np
import pytest
from avatar_files import header_of, write_avatar
from bl_ext.user_default.headgas.rig import build_avatar, expression_of, posed_avatars
from bl_ext.user_default.headgas.rig.actions import fcurves
from stand_in import render_still

NAMES = ["jawOpen", "eyeLookOutLeft", "smile"]


@pytest.fixture
def mesh(scene, tmp_path):
    return build_avatar(bpy.context, write_avatar(tmp_path / "a.safetensors", header_of(NAMES)))


def _express(mesh):
    return expression_of(mesh, bpy.context.evaluated_depsgraph_get()).tolist()


def _key_smile(mesh, values):
    key = mesh.data.shape_keys.key_blocks["smile"]
    for frame, value in values.items():
        key.value = value
        key.keyframe_insert("value", frame=frame)
    _straighten(mesh.data.shape_keys)


def _key_jaw(mesh, values):
    """Keys jawOpen by its bone."""
    jaw = mesh.parent.pose.bones["jaw"]
    for frame, value in values.items():
        jaw.rotation_euler.x = value * np.radians(25)
        jaw.keyframe_insert("rotation_euler", index=0, frame=frame)
    _straighten(mesh.parent)


def _straighten(datablock):
    for curve in fcurves(datablock):
        for point in curve.keyframe_points:
            point.interpolation = 'LINEAR'


def _strip(datablock, start):
    """Moves an action into a strip of the NLA that begins at a frame."""
    animation = datablock.animation_data
    action, slot = animation.action, getattr(animation, "action_slot", None)
    animation.action = None
    strip = animation.nla_tracks.new().strips.new("take", start, action)
    if slot is not None:
        strip.action_slot = slot
    return strip


def _drive(key, kind, expression, **target):
    driver = key.driver_add("value").driver
    variable = driver.variables.new()
    variable.type = kind
    for name, value in target.items():
        setattr(variable.targets[0], name, value)
    driver.expression = expression
    return driver


def test_keyframes_of_keys_and_bones_also_between_frames(scene, mesh):
    _key_smile(mesh, {1: 0.0, 11: 1.0})
    _key_jaw(mesh, {1: 0.0, 11: 0.5})
    for frame, part in ((1, 0.0), (4, 0.0), (4, 0.25), (7, 0.5), (11, 0.0)):
        scene.frame_set(frame, subframe=part)
        share = (frame + part - 1) / 10
        assert _express(mesh) == pytest.approx([share / 2, 0, share], abs=1e-5)


def test_strips_of_the_nla_for_keys_and_bones(scene, mesh):
    _key_smile(mesh, {1: 0.0, 11: 1.0})
    _key_jaw(mesh, {1: 0.0, 11: 0.5})
    _strip(mesh.data.shape_keys, 101)
    _strip(mesh.parent, 103).scale = 2.0
    for frame, smile, jaw in ((101, 0.0, 0.0), (107, 0.6, 0.1), (111, 1.0, 0.2), (123, 1.0, 0.5)):
        scene.frame_set(frame)
        assert _express(mesh) == pytest.approx([jaw, 0, smile], abs=1e-5)


def test_a_key_driven_by_another_character_s_key(scene, mesh):
    character = bpy.data.objects.new("character", bpy.data.meshes.new("character"))
    character.data.from_pydata([(0, 0, 0)], [], [])
    scene.collection.objects.link(character)
    for name in ("Basis", "MouthSmile"):
        character.shape_key_add(name=name)
    source = character.data.shape_keys
    keys = mesh.data.shape_keys.key_blocks
    driver = _drive(keys["smile"], 'SINGLE_PROP', "min(max(var * 1.5 + 0.2, 0), 1)", id_type='KEY')
    target = driver.variables[0].targets[0]
    target.id, target.data_path = source, 'key_blocks["MouthSmile"].value'
    for frame, value in ((1, 0.0), (11, 1.0)):
        source.key_blocks["MouthSmile"].value = value
        source.key_blocks["MouthSmile"].keyframe_insert("value", frame=frame)
    _straighten(source)
    for frame, smile in ((1, 0.2), (3, 0.5), (11, 1.0)):
        scene.frame_set(frame)
        assert _express(mesh)[2] == pytest.approx(smile, abs=1e-5)
    source.key_blocks["MouthSmile"].name = "mouth smile"
    scene.frame_set(3)  # Blender renames the driver's path with it
    assert _express(mesh)[2] == pytest.approx(0.5, abs=1e-5)
    bpy.data.objects.remove(character)
    scene.frame_set(4)
    assert len(_express(mesh)) == 3  # a driver without its source: what Blender shows, and no exception


def test_a_key_driven_by_a_bone_and_by_a_custom_property(scene, mesh):
    keys, rig = mesh.data.shape_keys.key_blocks, mesh.parent
    _drive(keys["smile"], 'TRANSFORMS', "var * 2", id=rig, bone_target="jaw", transform_type='ROT_X',
           transform_space='LOCAL_SPACE', rotation_mode='XYZ')  # fmt: skip
    rig["gaze"] = 0.25
    _drive(keys["eyeLookOutLeft"], 'SINGLE_PROP', "var", id=rig, data_path='["gaze"]')
    _key_jaw(mesh, {1: 0.0, 11: 1.0})
    scene.frame_set(6)
    assert _express(mesh) == pytest.approx([0.5, 0.25, np.radians(25)], abs=1e-5)


def test_every_frame_and_sub_frame_that_is_rendered_is_right(scene, service, mesh, tmp_path):
    """In F12 originals stay where they were; evaluated keys and bones move."""
    _key_smile(mesh, {1: 0.0, 5: 1.0})
    _key_jaw(mesh, {1: 0.0, 5: 0.5})
    scene.frame_start, scene.frame_end = 1, 5
    scene.frame_set(3)
    bpy.ops.render.render(animation=True)
    for number, request in enumerate(service.requests):
        assert request["avatars"][0]["expression"] == pytest.approx([number / 8, 0, number / 4], abs=1e-5)
    scene.frame_set(2, subframe=0.5)
    render_still(tmp_path / "still.exr")
    assert service.requests[-1]["avatars"][0]["expression"] == pytest.approx([3 / 16, 0, 3 / 8], abs=1e-5)


def test_instances_have_the_expression_and_the_bones_of_their_source(scene, mesh):
    mesh.parent.pose.bones["eye.L"].rotation_euler.z = np.radians(-15)  # its Z axis points down
    collection = bpy.data.collections.new("cast")
    for obj in (mesh, mesh.parent):
        collection.objects.link(obj)
    copy = bpy.data.objects.new("copy", None)
    copy.instance_type, copy.instance_collection, copy.location = 'COLLECTION', collection, (0.5, 0.0, 0.0)
    scene.collection.objects.link(copy)
    avatars = posed_avatars(bpy.context.evaluated_depsgraph_get())
    assert sorted(avatar.transform[0, 3] for avatar in avatars) == pytest.approx([0.0, 0.5], abs=1e-6)
    for avatar in avatars:
        assert avatar.expression.tolist() == pytest.approx([0, 0.5, 0], abs=1e-5)


def test_a_copy_of_an_avatar_is_posed_alone(scene, mesh):
    rig, second = mesh.parent.copy(), mesh.copy()
    second.data, second.parent = mesh.data.copy(), rig
    for obj in (rig, second):
        scene.collection.objects.link(obj)
    rig.pose.bones["jaw"].rotation_euler.x = np.radians(12.5)
    second.data.shape_keys.key_blocks["smile"].value = 1.0
    assert _express(mesh) == pytest.approx([0, 0, 0], abs=1e-6)
    assert _express(second) == pytest.approx([0.5, 0, 1], abs=1e-5)
