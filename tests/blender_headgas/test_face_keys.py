# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys of channels: all, changed, removed; grouped by region; and Blender's automatic keying."""

import bpy
import pytest
from avatar_files import NAMES, write_avatar
from bl_ext.user_default.headgas.core.pose import pose_text
from bl_ext.user_default.headgas.rig.actions import fcurves


@pytest.fixture
def keys(scene, tmp_path):
    """The shape keys of an imported avatar, active; frame 5."""
    bpy.ops.headgas.import_avatar(filepath=str(write_avatar(tmp_path / "a.safetensors")))
    scene.frame_set(5)
    return bpy.context.object.data.shape_keys


def _keyed(keys):
    """The frames of the keys by channel."""
    return {curve.data_path.split('"')[1]: [point.co.x for point in curve.keyframe_points] for curve in fcurves(keys)}


def _run(name, **options):
    return getattr(bpy.ops.headgas, name)('EXEC_DEFAULT', True, **options)


def test_key_all_groups_by_region(keys):
    assert _run("key_expression") == {'FINISHED'}
    assert _keyed(keys) == dict.fromkeys(NAMES, [5.0])
    groups = {curve.data_path.split('"')[1]: curve.group.name for curve in fcurves(keys)}
    assert groups == dict(zip(NAMES, ["Jaw", "Mouth", "Mouth", "Brows"], strict=True))


def test_key_some(keys):
    _run("key_expression", scope='REGION', region='MOUTH')
    assert _keyed(keys) == {"mouthSmileLeft": [5.0], "mouthSmileRight": [5.0]}


def test_key_changed_keys_what_differs_from_its_curve_or_from_neutral(keys, scene):
    assert _run("key_expression", only_changed=True) == {'CANCELLED'}
    keys.key_blocks["jawOpen"].value = 0.6
    _run("key_expression", only_changed=True)
    assert _keyed(keys) == {"jawOpen": [5.0]}
    scene.frame_set(10)
    assert _run("key_expression", only_changed=True) == {'CANCELLED'}
    keys.key_blocks["jawOpen"].value = 0.1  # neutral, but not what the curve says
    keys.key_blocks["browInnerUp"].value = 0.0
    _run("key_expression", only_changed=True)
    assert _keyed(keys) == {"jawOpen": [5.0, 10.0], "browInnerUp": [10.0]}


def test_keys_are_removed_at_this_frame_only(keys, scene):
    _run("key_expression")
    scene.frame_set(10)
    assert _run("unkey_expression") == {'CANCELLED'}
    _run("key_expression", scope='ONE', channel="jawOpen")
    _run("unkey_expression")
    assert _keyed(keys) == dict.fromkeys(NAMES, [5.0])
    scene.frame_set(5)
    _run("unkey_expression", scope='REGION', region='MOUTH')
    assert _keyed(keys) == {"jawOpen": [5.0], "browInnerUp": [5.0]}


def test_keying_is_undone(keys):
    bpy.ops.ed.undo_push(message="before")
    _run("key_expression")
    bpy.ops.ed.undo()
    assert _keyed(bpy.data.objects["a control"].data.shape_keys) == {}


def test_driven_channels_are_not_keyed(keys):
    keys.key_blocks["jawOpen"].driver_add("value")
    _run("key_expression")
    assert set(_keyed(keys)) == set(NAMES[1:])


def test_a_locked_curve_is_reported_and_the_others_are_keyed(keys, scene):
    _run("key_expression")
    next(fcurves(keys)).lock = True
    scene.frame_set(8)
    assert _run("key_expression") == {'FINISHED'}
    assert sorted(_keyed(keys).values()) == [[5.0], *[[5.0, 8.0]] * 3]


def test_keys_while_an_nla_strip_is_tweaked(keys, scene):
    """The strip plays frames 1 to 11 of the action at 21 to 31."""
    for frame, value in ((1, 0.2), (11, 0.8)):
        keys.key_blocks["jawOpen"].value = value
        keys.key_blocks["jawOpen"].keyframe_insert("value", frame=frame)
    animation = keys.animation_data
    action, slot = animation.action, getattr(animation, "action_slot", None)
    animation.action = None
    track = animation.nla_tracks.new()
    strip = track.strips.new("take", 21, action)
    if slot is not None:
        strip.action_slot = slot
    animation.nla_tracks.active, strip.select = track, True
    animation.use_tweak_mode = True
    scene.frame_set(26)
    assert _run("key_expression", only_changed=True) == {'CANCELLED'}
    keys.key_blocks["jawOpen"].value = 0.3
    _run("key_expression", only_changed=True)
    assert _keyed(keys) == {"jawOpen": [1.0, 6.0, 11.0]}
    _run("unkey_expression")
    assert _keyed(keys) == {"jawOpen": [1.0, 11.0]}


@pytest.fixture
def automatic(scene):
    """Automatic keying, on, also of what has no animation yet: 5.2 has that off at first."""
    edit = bpy.context.preferences.edit
    before, edit.use_keyframe_insert_available = edit.use_keyframe_insert_available, False
    scene.tool_settings.use_keyframe_insert_auto = True
    yield scene.tool_settings
    edit.use_keyframe_insert_available = before


def test_operators_key_what_they_moved_where_blender_keys_by_itself(keys, automatic):
    _run("reset_expression")
    assert _keyed(keys) == {}
    _run("paste_pose", text=pose_text({"mouthSmileLeft": 0.5, "jawOpen": 0.1}))
    assert _keyed(keys) == {"mouthSmileLeft": [5.0]}


def test_automatic_keys_that_only_replace(keys, scene, automatic):
    _run("paste_pose", text=pose_text({"mouthSmileLeft": 0.5}))
    automatic.auto_keying_mode = 'REPLACE_KEYS'
    _run("mirror_expression")
    assert _keyed(keys) == {"mouthSmileLeft": [5.0]}
    assert next(fcurves(keys)).keyframe_points[0].co.y == 0.0
    scene.frame_set(9)
    keys.key_blocks["mouthSmileLeft"].value = 0.3
    _run("reset_expression")
    assert _keyed(keys) == {"mouthSmileLeft": [5.0]}


def test_automatic_keys_only_where_there_is_animation(keys, scene, automatic):
    _run("paste_pose", text=pose_text({"mouthSmileLeft": 0.5}))
    bpy.context.preferences.edit.use_keyframe_insert_available = True
    scene.frame_set(7)
    _run("paste_pose", text=pose_text({"mouthSmileLeft": 0.2, "jawOpen": 0.9}))
    assert _keyed(keys) == {"mouthSmileLeft": [5.0, 7.0]}


def test_automatic_keys_of_a_keying_set(keys, scene, automatic):
    chosen = scene.keying_sets.new(idname="jaw", name="jaw")
    chosen.paths.add(keys, 'key_blocks["jawOpen"].value')
    scene.keying_sets.active = chosen
    automatic.use_keyframe_insert_keyingset = True
    _run("paste_pose", text=pose_text({"mouthSmileLeft": 0.2, "jawOpen": 0.9}))
    assert _keyed(keys) == {"jawOpen": [5.0]}
