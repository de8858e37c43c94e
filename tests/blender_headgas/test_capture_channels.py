# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Channels of a captured character: shape keys of several meshes, bones, properties; an action, a head bone, hair."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from captured import armature, centre_of, marker, order_for, read_rgba, white_character  # noqa: E402
from characters import character  # noqa: E402

from blender_headgas.capture.cameras import project  # noqa: E402
from blender_headgas.capture.capture import render_capture  # noqa: E402
from blender_headgas.capture.channels import BONE, KEY, PROPERTY, Puppet, check  # noqa: E402
from blender_headgas.capture.character import Surface, character_objects, hair_points  # noqa: E402
from blender_headgas.capture.finding import bone_channel, found_channels, properties_of  # noqa: E402
from blender_headgas.capture.framing import framing  # noqa: E402
from blender_headgas.capture.head_space import WORLD, anchor_of, head_space  # noqa: E402
from blender_headgas.capture.order import Order  # noqa: E402
from blender_headgas.core.errors import HeadGaSError  # noqa: E402


@pytest.fixture(autouse=True)
def empty():
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)


def drive(keys, name, target, path="", bone="", component="ROT_X"):
    """A driver on a shape key: of a property, or of a bone's transform."""
    driver = keys.key_blocks[name].driver_add("value").driver
    driver.type = 'AVERAGE'
    variable = driver.variables.new()
    variable.type = 'SINGLE_PROP' if path else 'TRANSFORMS'
    variable.targets[0].id = target
    if path:
        variable.targets[0].data_path = path
    else:
        variable.targets[0].bone_target, variable.targets[0].transform_type = bone, component
        variable.targets[0].transform_space = 'LOCAL_SPACE'


def test_muted_and_driven_keys_are_left_to_what_drives_them():
    head = character("jawOpen", "smile", "wink", "puff")
    rig = armature(bpy.context.scene, "jaw", "face")
    rig.pose.bones["face"]["wink"] = 0.25
    rig.pose.bones["face"].id_properties_ui("wink").update(min=-1.0, max=2.0, soft_min=0.0, soft_max=1.0, default=0.25)
    limits = rig.pose.bones["jaw"].constraints.new('LIMIT_ROTATION')
    limits.owner_space, limits.use_limit_x, limits.min_x, limits.max_x = 'LOCAL', True, 0.0, 0.4
    keys = head.data.shape_keys
    keys.key_blocks["puff"].mute = True
    drive(keys, "jawOpen", rig, bone="jaw")
    drive(keys, "wink", rig, path='pose.bones["face"]["wink"]')
    found = {channel.name: channel for channel in found_channels(head)}
    assert list(found) == ["smile", "jaw turn X", "wink"]
    assert found["smile"].kind == KEY
    jaw, wink = found["jaw turn X"], found["wink"]
    assert (jaw.kind, jaw.low, jaw.rest, jaw.high) == (BONE, 0.0, 0.0, pytest.approx(0.4))
    assert (wink.kind, wink.low, wink.rest, wink.high) == (PROPERTY, 0.0, 0.25, 1.0)
    puppet = Puppet([jaw, wink], [head])
    assert puppet.directions == ["jaw turn X", "wink", "wink (back)"]
    puppet.pose(puppet.values(np.array([1.0, 0.0, 1.0])))
    np.testing.assert_allclose(puppet.read(), [0.4, 0.0], atol=1e-6)
    evaluated = head.evaluated_get(bpy.context.evaluated_depsgraph_get()).data.shape_keys.key_blocks
    assert evaluated["jawOpen"].value == pytest.approx(0.4) and evaluated["wink"].value == 0.0  # drivers follow


@pytest.mark.parametrize("mode", ["QUATERNION", "XYZ", "ZYX", "AXIS_ANGLE"])
def test_bones_turn_about_their_axes_in_every_mode(mode):
    rig = armature(bpy.context.scene, "jaw")
    rig.pose.bones["jaw"].rotation_mode = mode
    channels = [bone_channel(rig, "jaw", name) for name in ("ROT_X", "ROT_Z", "LOC_Y", "SCALE_X")]
    puppet = Puppet(channels, [rig])
    assert puppet.rest.tolist() == [0, 0, 0, 1]
    puppet.pose(np.array([0.3, -0.2, 0.01, 1.1]))
    np.testing.assert_allclose(puppet.read(), [0.3, -0.2, 0.01, 1.1], atol=1e-5)
    limits = rig.pose.bones["jaw"].constraints.new('LIMIT_ROTATION')
    limits.owner_space, limits.use_limit_x, limits.max_x = 'LOCAL', True, 0.1
    puppet.pose(np.array([0.3, 0.0, 0.0, 1.0]))
    assert puppet.read()[0] == pytest.approx(0.1, abs=1e-5)  # as it is seen, not as it was asked for
    assert bone_channel(rig, "nose", "ROT_X") is None


def test_keys_of_one_name_on_several_meshes_move_together():
    head, teeth, stranger = (character("jawOpen", name=name) for name in ("head", "teeth", "stranger"))
    character("tongueOut", name="tongue").parent = head
    teeth.parent = head
    channels = found_channels(head)
    assert [(one.name, one.owner) for one in channels] == [("jawOpen", "head"), ("tongueOut", "tongue")]
    Puppet(channels, character_objects(head)).pose(np.array([0.7, 0.5]))
    values = [ob.data.shape_keys.key_blocks["jawOpen"].value for ob in (head, teeth, stranger)]
    assert values == [pytest.approx(0.7), pytest.approx(0.7), 0.0]


def test_a_collection_says_what_belongs_to_a_character():
    head, hat = character("jawOpen", name="head"), character(name="hat")
    child = character(name="child")
    child.parent = head
    collection = bpy.data.collections.new("anna")
    bpy.context.scene.collection.children.link(collection)
    for ob in (head, hat):
        collection.objects.link(ob)
    assert character_objects(head, collection) == [head, hat] and character_objects(head) == [head, child]


def test_properties_of_an_object_are_channels():
    head = character("a")
    head["wide"], head["steps"], head["name"] = 0.5, 2, "text"
    head.id_properties_ui("wide").update(min=0.0, max=1.0, default=0.0)
    head.id_properties_ui("steps").update(min=0, max=4, default=1)
    channels = properties_of(head, head)
    assert [(one.name, one.low, one.rest, one.high) for one in channels] == [("wide", 0, 0, 1), ("steps", 0, 1, 4)]
    Puppet(channels, [head]).pose(np.array([0.25, 2.6]))
    assert head["wide"] == 0.25 and head["steps"] == 3


def test_what_a_channel_names_must_be_there():
    head = character("a")
    (channel,) = found_channels(head)
    head.shape_key_clear()
    with pytest.raises(HeadGaSError, match='"character" has no shape key a'):
        check(channel)


def test_head_space_follows_a_bone_and_looks_where_the_world_says():
    rig = armature(bpy.context.scene, "neck")
    head = white_character(bpy.context.scene)
    head.rotation_euler = (math.pi / 2, 0, 0)  # an import that lies on its back
    head.parent, head.parent_type, head.parent_bone = rig, 'BONE', "neck"
    rig.location, rig.scale = (1, 2, 3), (2, 2, 2)
    bpy.context.view_layer.update()
    place = np.array(head.matrix_world.translation)
    anchor = anchor_of(head, "neck", WORLD)
    space = head_space(head, "neck", anchor)
    np.testing.assert_allclose(space, [[1, 0, 0, place[0]], [0, 1, 0, place[1]], [0, 0, 1, place[2]], [0, 0, 0, 1]],
                               atol=1e-6)
    bone = rig.pose.bones["neck"]
    bone.rotation_mode, bone.rotation_euler = 'XYZ', (0, 0, 0.5)
    bpy.context.view_layer.update()
    np.testing.assert_allclose(anchor_of(head, "neck", WORLD), anchor, atol=1e-6)  # of the character at rest
    turned = head_space(head, "neck", anchor)
    c, s = math.cos(0.5), math.sin(0.5)
    np.testing.assert_allclose(turned[:3, :3], [[c, -s, 0], [s, c, 0], [0, 0, 1]], atol=1e-6)
    np.testing.assert_allclose(turned[:3, 3], np.array(head.matrix_world.translation), atol=1e-6)
    with pytest.raises(HeadGaSError, match='no armature with a bone "nose"'):
        anchor_of(head, "nose", WORLD)


def test_the_user_s_action_is_captured_and_the_camera_goes_with_the_head(tmp_path):
    """A bone turns the head and a key moves while it plays: the expression is the key's, the head stands still."""
    scene = bpy.context.scene
    rig = armature(scene, "neck")
    head = white_character(scene)
    marker(scene, (0.11, -0.05, 0.0), (1.0, 0.0, 0.0), head)
    head.parent, head.parent_type, head.parent_bone = rig, 'BONE', "neck"
    bone = rig.pose.bones["neck"]
    bone.rotation_mode = 'XYZ'
    key = head.data.shape_keys.key_blocks["jawOpen"]
    for frame, value in ((1, 0.0), (41, 1.0)):
        bone.rotation_euler.z, key.value = value, value
        bone.keyframe_insert("rotation_euler", frame=frame)
        key.keyframe_insert("value", frame=frame)
    for owner in (rig, head.data.shape_keys):
        for curve in _curves(owner.animation_data):
            for point in curve.keyframe_points:
                point.interpolation = 'LINEAR'
    scene.frame_set(1)
    order = order_for(head, bone="neck", frames=6, test_frames=3, action=(1.0, 41.0))
    folder = render_capture(order, tmp_path / "capture")
    frames = json.loads((folder / "capture.json").read_text())["frames"]
    jaw = [frame["expression"][1] for frame in frames]
    assert jaw[4:6] == [pytest.approx(0.0, abs=1e-6), pytest.approx(0.85, abs=1e-4)] and 0.85 < jaw[8] < 1.0
    for frame in frames:
        found = centre_of(read_rgba(folder / frame["image"]), (1.0, 0.0, 0.0))
        wanted = project(np.array([[0.11, -0.05, 0.0]]), np.array(frame["viewmat"]), np.array(frame["K"]))[0]
        np.testing.assert_allclose(found, wanted, atol=1.5)


def _curves(data):
    if hasattr(data.action, "fcurves"):
        return data.action.fcurves
    return data.action.layers[0].strips[0].channelbag(data.action_slot).fcurves


def test_hair_of_curves_and_of_particles_starts_points(tmp_path):
    scene = bpy.context.scene
    head = white_character(scene)
    data = bpy.data.hair_curves.new("hair")
    data.add_curves([3] * 50)
    positions = np.zeros((150, 3), np.float32)
    positions[:, 2] = 0.1 + 0.05 * np.tile([0, 1, 2], 50)
    data.points.foreach_set("position", positions.ravel())
    hair = bpy.data.objects.new("hair", data)
    scene.collection.objects.link(hair)
    hair.parent, hair.location = head, (0, 0, 0.01)
    bpy.context.view_layer.update()
    points = hair_points(character_objects(head), np.eye(4))
    np.testing.assert_allclose(points[:3, 2], [0.11, 0.16, 0.21], atol=1e-6)
    settings = head.modifiers.new("fur", 'PARTICLE_SYSTEM').particle_system.settings
    settings.type, settings.count, settings.hair_length = 'HAIR', 40, 0.03
    points = hair_points(character_objects(head), np.eye(4))[150:]
    far = np.linalg.norm(points, axis=1)
    assert len(points) >= 80 and far.min() > 0.095 and far.max() > 0.11
    folder = render_capture(order_for(head, frames=4, test_frames=0), tmp_path / "capture")
    stored = np.load(folder / "points.npy")
    assert stored.shape == (20_000, 3) and (stored[:, 2] > 0.15).sum() > 300


def test_the_picture_holds_the_head_with_its_hair_and_not_the_body():
    """A face of 0.1 m in 1.8 m of a body, with hair half a metre high."""
    body = np.array([[0, 0, z] for z in np.linspace(0, 1.8, 50)])
    face = np.array([[x, -0.1, z] for x in (-0.05, 0.05) for z in (1.6, 1.7)])
    neutral = Surface(np.concatenate([body, face]), np.zeros((0, 3), int))
    moved = np.arange(len(neutral.vertices)) >= len(body)
    order = Order("", (), (), field_of_view=30.0)
    plain = framing(neutral, np.empty((0, 3)), moved, order)
    np.testing.assert_allclose(plain.target, [0, -0.1, 1.65])
    assert plain.distance * math.sin(math.radians(15)) < 0.25 and plain.farthest > 1.6
    high = framing(neutral, np.array([[0, 0, 2.15]]), moved, order)
    assert high.distance * math.sin(math.radians(15)) > 0.5
    assert framing(neutral, np.empty((0, 3)), moved, replace(order, distance=0.7)).distance == 0.7
