# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The avatar's objects: channels with ranges, a bone, a link; and what they say at one moment."""

import bpy
import numpy as np
import pytest
from avatar_files import NAMES, NEUTRAL, header, tensors, write_avatar
from bl_ext.user_default.headgas.rig import avatar_of, avatar_path, build_avatar, expression_of
from mathutils import Vector


def _import(path):
    assert bpy.ops.headgas.import_avatar(filepath=str(path)) == {'FINISHED'}
    return bpy.context.object


def test_import(scene, tmp_path):
    mesh = _import(write_avatar(tmp_path / "anna" / "avatar.safetensors"))
    assert mesh.name == "anna control" and mesh.parent.name == "anna"
    keys = mesh.data.shape_keys.key_blocks
    assert [key.name for key in keys] == ["Basis", *NAMES]
    assert [key.value for key in keys][1:] == pytest.approx(NEUTRAL)
    ranges = {"jawOpen": (-0.25, 1.25), "mouthSmileLeft": (-0.2, 1.0), "browInnerUp": (-0.75, 0.75)}
    for name, limits in ranges.items():
        assert (keys[name].slider_min, keys[name].slider_max) == pytest.approx(limits)
    vertices = np.array([mesh.matrix_world @ v.co for v in mesh.data.vertices])
    bpy.context.view_layer.update()
    assert np.allclose(vertices, tensors()["surface/vertices"], atol=1e-6)
    assert [tuple(p.vertices) for p in mesh.data.polygons] == [tuple(f) for f in tensors()["surface/faces"].tolist()]
    colors = np.array([c.color_srgb[:3] for c in mesh.data.color_attributes[0].data]) * 255
    assert np.allclose(colors, tensors()["surface/colors"], atol=0.6)
    assert [bone.name for bone in mesh.parent.data.bones] == ["root", "neck", "head", "jaw", "eye.L", "eye.R"]
    assert mesh.parent.data.bones["head"].parent.name == "neck"
    assert avatar_of(mesh) == mesh and avatar_of(mesh.parent) == mesh and avatar_of(scene.camera) is None
    assert scene.render.engine == 'HEADGAS'  # the scene's settings are the user's


def test_import_into_an_empty_scene_selects_the_mesh(scene, tmp_path):
    for obj in list(bpy.data.objects):
        bpy.data.objects.remove(obj)
    mesh = _import(write_avatar(tmp_path / "alone.safetensors"))
    assert bpy.context.selected_objects == [mesh]


def test_a_parameter_that_never_moved_can_be_moved(scene, tmp_path):
    head = header()
    head["expression_space"].update(low=NEUTRAL, high=NEUTRAL)
    keys = _import(write_avatar(tmp_path / "still.safetensors", head)).data.shape_keys.key_blocks
    assert all(key.slider_min < key.value < key.slider_max for key in keys[1:])


def test_a_face_model_of_any_size_becomes_channels_with_its_seen_range(scene, tmp_path):
    """FLAME: 100 expression coefficients of both signs, jaw and eyes."""
    count = 109
    names = [f"expr_{i:03d}" for i in range(100)] + [f"pose_{i}" for i in range(9)]
    head, low, high = header(), [-2.5] * count, [3.0] * count
    head["expression_space"] = {"kind": "FLAME", "names": names, "neutral": [0.0] * count, "low": low, "high": high}
    mesh = _import(write_avatar(tmp_path / "flame.safetensors", head))
    keys = mesh.data.shape_keys.key_blocks
    assert [key.name for key in keys[1:]] == names
    keys["expr_042"].value, keys["pose_8"].value = -2.25, 2.75
    expression = expression_of(mesh, bpy.context.evaluated_depsgraph_get())
    assert len(expression) == count
    assert (expression[42], expression[108]) == (pytest.approx(-2.25), pytest.approx(2.75))
    assert sum(map(abs, expression)) == pytest.approx(5.0)


def test_a_channel_may_be_called_basis(scene, tmp_path):
    head = header()
    head["expression_space"]["names"][0] = "Basis"
    mesh = _import(write_avatar(tmp_path / "basis.safetensors", head))
    mesh.data.shape_keys.key_blocks["Basis"].value = 0.5
    assert expression_of(mesh, bpy.context.evaluated_depsgraph_get())[0] == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"names": ["x" * 64, "b", "c", "d"]}, "too long"),
        ({"high": [11.0, 1.0, 1.0, 1.0]}, "only from -10 to 10"),
    ],
)
def test_what_shape_keys_cannot_hold_is_refused_before_anything_is_made(scene, tmp_path, change, message):
    head = header()
    head["expression_space"].update(change)
    before = len(bpy.data.objects)
    with pytest.raises(RuntimeError, match=message):
        _import(write_avatar(tmp_path / "wide.safetensors", head))
    assert len(bpy.data.objects) == before and not bpy.data.armatures


def test_import_of_several_files_and_from_edit_mode(scene, tmp_path):
    first = _import(write_avatar(tmp_path / "a.safetensors"))
    bpy.ops.object.mode_set(mode='EDIT')
    write_avatar(tmp_path / "b.safetensors")
    files = [{"name": "a.safetensors"}, {"name": "b.safetensors"}]
    bpy.ops.headgas.import_avatar(directory=str(tmp_path), files=files)
    assert len([obj for obj in bpy.data.objects if obj.headgas.is_avatar]) == 3
    assert first.mode == 'OBJECT' and bpy.context.object.name == "b control"


def test_import_goes_where_it_can_be_seen(scene, tmp_path):
    collection = bpy.data.collections.new("excluded")
    scene.collection.children.link(collection)
    layer = bpy.context.view_layer.layer_collection.children["excluded"]
    bpy.context.view_layer.active_layer_collection = layer
    layer.exclude = True
    mesh = build_avatar(bpy.context, write_avatar(tmp_path / "a.safetensors"))
    assert mesh.visible_get() and mesh.parent.visible_get() and not collection.objects


def test_the_head_follows_its_bone(scene, tmp_path):
    mesh = _import(write_avatar(tmp_path / "a.safetensors"))
    bone = mesh.parent.pose.bones["head"]
    bone.rotation_mode = 'XYZ'
    bone.rotation_euler.y = 0.5  # about the bone's own axis, which points up
    mesh.parent.location = (1.0, 0.0, 0.0)
    bpy.context.view_layer.update()
    top = mesh.matrix_world @ Vector((0.0, 0.0, 0.15))
    assert (top - Vector((1.0, 0.0, 0.15))).length < 1e-6
    side = mesh.matrix_world @ Vector((0.1, 0.0, 0.0))
    assert side.y == pytest.approx(0.1 * np.sin(0.5), abs=1e-6)


def test_nla_drives_the_expression(scene, tmp_path):
    mesh = _import(write_avatar(tmp_path / "a.safetensors"))
    keys = mesh.data.shape_keys
    for frame, value in ((1, 0.2), (11, 0.9)):
        keys.key_blocks["jawOpen"].value = value
        keys.key_blocks["jawOpen"].keyframe_insert("value", frame=frame)
    animation = keys.animation_data
    action, slot = animation.action, getattr(animation, "action_slot", None)
    animation.action = None
    strip = animation.nla_tracks.new().strips.new("take", 21, action)
    if slot is not None:
        strip.action_slot = slot
    for frame, value in ((21, 0.2), (31, 0.9)):
        scene.frame_set(frame)
        assert expression_of(mesh, bpy.context.evaluated_depsgraph_get())[0] == pytest.approx(value, abs=1e-5)


def test_reset_expression(scene, tmp_path):
    mesh = _import(write_avatar(tmp_path / "a.safetensors"))
    for key in mesh.data.shape_keys.key_blocks[1:]:
        key.value = 0.3
    bpy.context.view_layer.objects.active = mesh.parent
    assert bpy.ops.headgas.reset_expression() == {'FINISHED'}
    assert expression_of(mesh, bpy.context.evaluated_depsgraph_get()) == pytest.approx(NEUTRAL)
    bpy.context.view_layer.objects.active = scene.camera
    assert not bpy.ops.headgas.reset_expression.poll()


def test_absolute_shape_keys_are_refused(scene, tmp_path):
    mesh = _import(write_avatar(tmp_path / "a.safetensors"))
    mesh.data.shape_keys.use_relative = False
    with pytest.raises(Exception, match="relative"):
        expression_of(mesh, bpy.context.evaluated_depsgraph_get())


def test_a_retrained_avatar_is_read_again(scene, tmp_path):
    mesh = _import(write_avatar(tmp_path / "a.safetensors"))
    depsgraph = bpy.context.evaluated_depsgraph_get()
    assert len(expression_of(mesh, depsgraph)) == 4
    head = header()
    for values in head["expression_space"].values():
        if isinstance(values, list):
            values.pop()
    write_avatar(tmp_path / "a.safetensors", head)
    assert len(expression_of(mesh, depsgraph)) == 3


def test_saved_file_links_relative_and_survives_a_move(scene, tmp_path):
    path = write_avatar(tmp_path / "project" / "avatars" / "a.safetensors")
    mesh = _import(path)
    assert mesh.headgas.filepath == str(path)
    blend = tmp_path / "project" / "scene.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(blend))
    assert mesh.headgas.filepath == "//avatars/a.safetensors" and avatar_path(mesh) == path
    copy = tmp_path / "project" / "copies" / "deep" / "copy.blend"
    copy.parent.mkdir(parents=True)
    bpy.ops.wm.save_as_mainfile(filepath=str(copy), copy=True)
    assert mesh.headgas.filepath == "//avatars/a.safetensors"
    bpy.ops.wm.open_mainfile(filepath=str(copy))
    mesh = bpy.data.objects["a control"]
    assert mesh.headgas.filepath == "//../../avatars/a.safetensors" and avatar_path(mesh) == path
    (tmp_path / "project").rename(tmp_path / "moved")
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "moved" / "scene.blend"))
    mesh = bpy.data.objects["a control"]
    assert avatar_path(mesh) == tmp_path / "moved" / "avatars" / "a.safetensors"
    keys = mesh.data.shape_keys.key_blocks
    assert keys["jawOpen"].value == pytest.approx(0.1) and keys["jawOpen"].slider_max == pytest.approx(1.25)
    assert expression_of(mesh, bpy.context.evaluated_depsgraph_get()) == pytest.approx(NEUTRAL)


def test_linked_and_overridden_avatars_are_found_from_their_library(scene, tmp_path):
    path = write_avatar(tmp_path / "assets" / "a.safetensors")
    _import(path)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "assets" / "library.blend"))
    bpy.ops.wm.read_homefile(use_empty=True)
    (tmp_path / "shots").mkdir()
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shots" / "shot.blend"))
    with bpy.data.libraries.load(str(tmp_path / "assets" / "library.blend"), link=True) as (_, wanted):
        wanted.objects = ["a control"]
    linked = wanted.objects[0]
    assert avatar_path(linked) == path
    override = linked.override_create()
    assert avatar_path(override) == path
    other = write_avatar(tmp_path / "shots" / "other.safetensors")
    override.headgas.filepath = "//other.safetensors"
    assert avatar_path(override) == other
