# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""One place says the expression: of keys as they are, through mappings, in linked files; and what is wrong is said."""

import json

import bpy
import numpy as np
import pytest
from avatar_files import NAMES, NEUTRAL, header, header_of, write_avatar
from bl_ext.user_default.headgas.core.errors import HeadGaSError
from bl_ext.user_default.headgas.rig import (
    avatar_channels,
    avatar_path,
    beyond_seen,
    build_avatar,
    expression_of,
    mapping_of,
    problems,
)
from mapping_files import mapping_json, write_mapping

PARAMETERS = ["expr_000", "jaw_x", "jaw_y", "jaw_z"]


def _express(mesh):
    return expression_of(mesh, bpy.context.evaluated_depsgraph_get()).tolist()


@pytest.fixture
def plain(scene, tmp_path):
    """An avatar with channels of its own."""
    return build_avatar(bpy.context, write_avatar(tmp_path / "a.safetensors"))


@pytest.fixture
def mapped(scene, tmp_path):
    """An avatar whose channels are ARKit's."""
    path = write_avatar(tmp_path / "avatars" / "flame.safetensors", header_of(PARAMETERS, "FLAME"))
    mapping = write_mapping(tmp_path / "arkit.json")
    assert bpy.ops.headgas.import_avatar(filepath=str(path), mapping=str(mapping)) == {'FINISHED'}
    return bpy.context.object


def _keys(mesh):
    return mesh.data.shape_keys.key_blocks


def test_a_mapping_s_inputs_become_the_channels(mapped):
    assert [key.name for key in _keys(mapped)] == ["Basis", "jawOpen", "smile"]
    assert mapped.headgas.mapping.name == "arkit.json" and mapping_of(mapped).names_out == ("expr_000", "jaw_x")
    limits = [(key.slider_min, key.slider_max) for key in _keys(mapped)][1:]
    assert limits == [pytest.approx((-0.25, 1.25)), pytest.approx((-3, 3))]  # ARKit's; half of it may be -1 to 1
    _keys(mapped)["jawOpen"].value, _keys(mapped)["smile"].value = 1.0, 2.0
    assert _express(mapped) == [1.0, 0.25, 0.0, 0.0]
    mapped.parent.pose.bones["jaw"].rotation_euler.x = 0.125
    assert _express(mapped) == pytest.approx([1.0, 0.375, 0.0, 0.0], abs=1e-6)
    assert problems(mapped) == []


def test_reset_goes_to_the_channels_neutral_values(mapped):
    for key in _keys(mapped):
        key.value = 1.0
    assert bpy.ops.headgas.reset_expression() == {'FINISHED'}
    assert [key.value for key in _keys(mapped)][1:] == [0.0, 0.0]
    assert avatar_channels(mapped).names == ("jawOpen", "smile")


def test_several_avatars_share_the_text_of_a_mapping(mapped, tmp_path):
    write_avatar(tmp_path / "avatars" / "b.safetensors", header_of(PARAMETERS))
    files = [{"name": "flame.safetensors"}, {"name": "b.safetensors"}]
    bpy.ops.headgas.import_avatar(
        directory=str(tmp_path / "avatars"), files=files, mapping=str(tmp_path / "arkit.json")
    )
    assert len(bpy.data.texts) == 1
    write_mapping(tmp_path / "arkit.json", bias=[0.5, 0.0])
    second = build_avatar(bpy.context, tmp_path / "avatars" / "b.safetensors", tmp_path / "arkit.json")
    assert len(bpy.data.texts) == 2 and _express(second)[0] == 0.5 and _express(mapped)[0] == 0.0


def test_an_edited_mapping_is_read_again(mapped):
    _keys(mapped)["smile"].value = 1.0
    assert _express(mapped)[0] == 0.5
    text = mapped.headgas.mapping
    text.from_string(json.dumps(mapping_json(matrix=[[0.0, -0.75], [0.25, 0.0]])))
    assert _express(mapped)[0] == -0.75
    text.from_string(text.as_string().replace("jaw_x", "jaw_w"))
    assert _express(mapped)[0] == -0.75
    assert problems(mapped) == ["The mapping says something about 'jaw_w', which the avatar does not have"]
    text.from_string(text.as_string()[:-3])
    with pytest.raises(HeadGaSError, match=r"The text 'arkit.json' is not JSON"):
        _express(mapped)
    assert "The text 'arkit.json' is not JSON" in problems(mapped)[0]
    assert beyond_seen(mapped, bpy.context.evaluated_depsgraph_get()) == []
    text.from_string(json.dumps(mapping_json(names_in=["jawOpen", "grin"])))
    assert "no shape key 'grin'" in problems(mapped)[0]
    text.from_string(json.dumps(mapping_json()))
    assert problems(mapped) == [] and _express(mapped)[0] == 0.5


def test_a_mapping_that_was_removed_is_missed(mapped):
    bpy.data.texts.remove(mapped.headgas.mapping)
    assert mapped.headgas.mapping is None
    assert "no shape key 'expr_000', 'jaw_x', 'jaw_y' and 1 more" in problems(mapped)[0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"names_out": ["x", "y"]}, "avatar has none of these parameters"),
        ({"names_in": ["jawOpen", "n" * 64]}, "too long"),
        ({"matrix": [[0.0, 0.5]]}, "needs 2 rows"),
    ],
)
def test_a_mapping_that_cannot_be_is_refused_before_anything_is_made(scene, tmp_path, changes, message):
    path = write_avatar(tmp_path / "a.safetensors", header_of(PARAMETERS))
    mapping = write_mapping(tmp_path / "m.json", **changes)
    before = len(bpy.data.objects)
    with pytest.raises(RuntimeError, match=message):
        bpy.ops.headgas.import_avatar(filepath=str(path), mapping=str(mapping))
    with pytest.raises(RuntimeError, match="cannot be read"):
        bpy.ops.headgas.import_avatar(filepath=str(path), mapping=str(tmp_path / "none.json"))
    assert len(bpy.data.objects) == before and not bpy.data.texts and not bpy.data.armatures


def test_a_limited_range_and_a_vertex_group_limit_nothing(plain):
    key = _keys(plain)["mouthSmileLeft"]
    plain.vertex_groups.new(name="half").add([0], 0.5, 'REPLACE')
    key.vertex_group, key.value = "half", 0.75
    assert _express(plain)[1] == 0.75


def test_the_mesh_at_rest_is_no_channel(plain):
    _keys(plain)[0].value = 0.5
    assert _express(plain) == pytest.approx(NEUTRAL)


def test_a_muted_key_is_neutral(plain, mapped):
    _keys(plain)["browInnerUp"].value, _keys(plain)["browInnerUp"].mute = 0.5, True
    assert _express(plain)[3] == pytest.approx(NEUTRAL[3])
    _keys(mapped)["smile"].value, _keys(mapped)["smile"].mute = 1.0, True
    assert _express(mapped) == [0.0] * 4


def test_keys_may_be_moved_and_added(plain):
    _keys(plain)["jawOpen"].value, _keys(plain)["browInnerUp"].value = 0.75, 0.25
    before = _express(plain)
    plain.shape_key_add(name="my own").value = 1.0
    plain.active_shape_key_index = 1
    bpy.ops.object.shape_key_move(type='BOTTOM')
    assert _keys(plain)[-1].name == "jawOpen" and _express(plain) == before == [0.75, 0.0, 0.0, 0.25]


def test_renamed_and_deleted_keys_are_said(plain):
    depsgraph = bpy.context.evaluated_depsgraph_get()
    assert problems(plain) == []
    key = _keys(plain)["jawOpen"]
    key.name = "jaw open"
    with pytest.raises(HeadGaSError, match="no shape key 'jawOpen': renamed or deleted"):
        _express(plain)
    assert len(problems(plain)) == 1 and "'jawOpen'" in problems(plain)[0]
    assert beyond_seen(plain, depsgraph) == []
    key.name = "jawOpen"
    assert problems(plain) == [] and _express(plain) == pytest.approx(NEUTRAL)
    plain.shape_key_remove(key)
    assert "'jawOpen'" in problems(plain)[0]
    plain.shape_key_clear()
    assert "no relative shape keys" in problems(plain)[0]


def test_absolute_keys_are_said(plain):
    plain.data.shape_keys.use_relative = False
    assert "no relative shape keys" in problems(plain)[0]


def test_a_deleted_file_is_said_and_found_again(plain, tmp_path):
    assert problems(plain) == []
    avatar_path(plain).rename(tmp_path / "away")
    assert "There is no avatar at" in problems(plain)[0]
    with pytest.raises(HeadGaSError, match="There is no avatar at"):
        _express(plain)
    (tmp_path / "away").rename(avatar_path(plain))
    assert problems(plain) == []
    plain.headgas.filepath = ""
    assert "has no file" in problems(plain)[0]


def test_what_training_never_saw_is_named(plain):
    depsgraph = bpy.context.evaluated_depsgraph_get()
    assert beyond_seen(plain, depsgraph) == []
    _keys(plain)["mouthSmileRight"].value = 0.75  # seen up to 0.6
    _keys(plain)["jawOpen"].value = 0.9
    plain.parent.pose.bones["jaw"].rotation_euler.x = np.radians(5)
    depsgraph.update()
    assert beyond_seen(plain, bpy.context.evaluated_depsgraph_get()) == ["jawOpen", "mouthSmileRight"]


def test_twenty_avatars_keep_their_expressions_apart(scene, tmp_path):
    meshes = []
    for number in range(20):
        head = header()
        head["expression_space"]["names"] = NAMES[number % 4 :] + NAMES[: number % 4]
        meshes.append(build_avatar(bpy.context, write_avatar(tmp_path / f"{number}.safetensors", head)))
        _keys(meshes[-1])["jawOpen"].value = number / 40
        meshes[-1].parent.pose.bones["jaw"].rotation_euler.x = np.radians(25) * 0.5
    for _ in range(2):
        for number, mesh in enumerate(meshes):
            expression = dict(zip(avatar_channels(mesh).names, _express(mesh), strict=True))
            assert expression["jawOpen"] == pytest.approx(number / 40 + 0.5)


def test_undo_brings_the_expression_back(mapped):
    bpy.ops.ed.undo_push(message="before")
    name = mapped.name
    _keys(mapped)["smile"].value = 1.0
    mapped.parent.pose.bones["jaw"].rotation_euler.x = 0.125
    mapped.headgas.mapping.from_string("broken")
    bpy.ops.ed.undo_push(message="after")
    assert problems(mapped)
    bpy.ops.ed.undo()
    mesh = bpy.data.objects[name]
    assert problems(mesh) == [] and _express(mesh) == [0.0] * 4
    bpy.ops.ed.redo()
    assert problems(bpy.data.objects[name])


def test_saved_files_come_back_with_mapping_and_bones(mapped, tmp_path):
    _keys(mapped)["smile"].value = 1.0
    mapped.parent.pose.bones["jaw"].rotation_euler.x = 0.125
    wanted = _express(mapped)
    assert wanted == pytest.approx([0.5, 0.125, 0, 0], abs=1e-6)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "scene.blend"))
    mesh = bpy.data.objects["flame control"]
    assert _express(mesh) == wanted and problems(mesh) == []
    assert mesh.parent.pose.bones["jaw"].custom_shape and len(mesh.parent.pose.bones["jaw"].constraints) == 2


def _library(mapped, tmp_path):
    _keys(mapped)["smile"].value = 1.0
    mapped.parent.pose.bones["jaw"].rotation_euler.x = 0.125
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "library.blend"))
    bpy.ops.wm.read_homefile(use_empty=True)
    (tmp_path / "shots").mkdir()
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shots" / "shot.blend"))


def _brought(tmp_path, link):
    with bpy.data.libraries.load(str(tmp_path / "library.blend"), link=link) as (_, wanted):
        wanted.objects = ["flame control"]
    return wanted.objects[0]


def _place(*objects):
    for obj in objects:
        bpy.context.scene.collection.objects.link(obj)
    bpy.context.view_layer.update()


def test_an_appended_avatar_brings_its_mapping_and_its_bones(mapped, tmp_path):
    _library(mapped, tmp_path)
    mesh = _brought(tmp_path, link=False)
    _place(mesh, mesh.parent)
    assert mesh.headgas.mapping.library is None and mesh.parent.pose.bones["jaw"].custom_shape
    assert mesh.headgas.filepath == "//../avatars/flame.safetensors"
    assert _express(mesh) == pytest.approx([0.5, 0.125, 0, 0], abs=1e-6)


def test_a_linked_avatar_has_the_expression_of_its_library(mapped, tmp_path):
    _library(mapped, tmp_path)
    mesh = _brought(tmp_path, link=True)
    _place(mesh, mesh.parent)
    assert mesh.headgas.mapping.library is not None
    assert _express(mesh) == pytest.approx([0.5, 0.125, 0, 0], abs=1e-6)
    assert problems(mesh) == []


def test_an_overridden_avatar_is_posed_and_keyed_and_keeps_it(mapped, tmp_path):
    _library(mapped, tmp_path)
    linked = _brought(tmp_path, link=True)
    _place(linked, linked.parent)
    scene, layer = bpy.context.scene, bpy.context.view_layer
    mesh = linked.override_hierarchy_create(scene, layer, do_fully_editable=True)
    assert mesh.parent.override_library and mesh.parent != linked.parent
    layer.update()
    assert _express(mesh) == pytest.approx([0.5, 0.125, 0, 0], abs=1e-6)
    own = bpy.data.texts.new("own")
    own.write(json.dumps(mapping_json(bias=[0.25, 0.0])))
    mesh.headgas.mapping = own
    mesh.parent.pose.bones["jaw"].rotation_euler.x = 0.25
    if mesh.data.override_library is None:
        mesh.data.override_create(remap_local_usages=True)
    key = _keys(mesh)["smile"]
    for frame, value in ((1, 0.0), (11, 2.0)):
        key.value = value
        key.keyframe_insert("value", frame=frame)
    scene.frame_set(11)
    assert _express(mesh) == pytest.approx([1.25, 0.25, 0, 0], abs=1e-6)
    name = mesh.name
    bpy.ops.wm.save_mainfile()
    bpy.ops.wm.open_mainfile(filepath=bpy.data.filepath)
    mesh = next(obj for obj in bpy.data.objects if obj.name == name and obj.override_library)
    assert _express(mesh) == pytest.approx([1.25, 0.25, 0, 0], abs=1e-6)
    bpy.context.scene.frame_set(1)
    assert _express(mesh) == pytest.approx([0.25, 0.25, 0, 0], abs=1e-6)
