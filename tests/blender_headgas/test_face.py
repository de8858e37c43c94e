# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the face panel's operators do to channels: reset, mirror, limit, solo, copy and paste; undone and saved."""

import bpy
import numpy as np
import pytest
from avatar_files import NAMES, NEUTRAL, header, write_avatar
from bl_ext.user_default.headgas.core.pose import pose_text
from bl_ext.user_default.headgas.rig import expression_of


@pytest.fixture
def mesh(scene, tmp_path):
    """The control mesh of an imported avatar, active."""
    assert bpy.ops.headgas.import_avatar(filepath=str(write_avatar(tmp_path / "a.safetensors"))) == {'FINISHED'}
    return bpy.context.object


def set_values(mesh, *values):
    for key, value in zip(mesh.data.shape_keys.key_blocks[1:], values, strict=True):
        key.value = value


def values_of(mesh):
    return pytest.approx([key.value for key in mesh.data.shape_keys.key_blocks[1:]], abs=1e-6)


def run(name, **options):
    """Runs an operator as a click does: with its step in the undo history."""
    return getattr(bpy.ops.headgas, name)('EXEC_DEFAULT', True, **options)


def again():
    """The control mesh, found anew: undo and loading replace it."""
    return bpy.data.objects["a control"]


def test_reset_all_shown_of_a_region_and_one(mesh):
    face = bpy.context.window_manager.headgas_face
    steps = [
        ({"scope": 'ONE', "channel": "jawOpen"}, [0.1, 0.5, 0.5, 0.4]),
        ({"scope": 'REGION', "region": 'MOUTH'}, [0.5, 0.0, 0.0, 0.4]),
        ({"scope": 'SHOWN'}, [0.5, 0.5, 0.0, 0.4]),
        ({}, NEUTRAL),
    ]
    face.region, face.search = 'MOUTH', "right"
    for options, expected in steps:
        set_values(mesh, 0.5, 0.5, 0.5, 0.4)
        assert run("reset_expression", **options) == {'FINISHED'}
        assert expected == values_of(mesh)


def test_reset_is_undone_and_redone(mesh):
    set_values(mesh, 0.5, 0.6, 0.5, 0.4)
    bpy.ops.ed.undo_push(message="before")
    run("reset_expression")
    bpy.ops.ed.undo()
    assert values_of(again()) == [0.5, 0.6, 0.5, 0.4]
    bpy.ops.ed.redo()
    assert values_of(again()) == NEUTRAL


def test_an_unknown_region_of_this_avatar_shows_all(mesh):
    bpy.context.window_manager.headgas_face.region = 'CHEEKS'
    set_values(mesh, 0.5, 0.5, 0.5, 0.4)
    run("reset_expression", scope='SHOWN')
    assert values_of(mesh) == NEUTRAL


def test_reset_without_the_file_says_so_and_changes_nothing(mesh):
    mesh.headgas.filepath = "/nowhere/a.safetensors"
    set_values(mesh, 0.5, 0.5, 0.5, 0.4)
    with pytest.raises(RuntimeError, match="no avatar at"):
        run("reset_expression")
    assert values_of(mesh) == [0.5, 0.5, 0.5, 0.4]


def test_mirror_swaps_the_sides_and_leaves_the_rest(mesh):
    set_values(mesh, 0.7, 0.1, 0.55, 0.3)
    run("mirror_expression")
    assert values_of(mesh) == [0.7, 0.55, 0.1, 0.3]


def test_mirror_of_names_without_sides_says_so(scene, tmp_path):
    head = header()
    head["expression_space"]["names"] = ["expr_0", "expr_1", "expr_2", "expr_3"]
    bpy.ops.headgas.import_avatar(filepath=str(write_avatar(tmp_path / "flame.safetensors", head)))
    assert run("mirror_expression") == {'CANCELLED'}


def test_a_driven_channel_stays(mesh):
    key = mesh.data.shape_keys.key_blocks["jawOpen"]
    key.driver_add("value").driver.expression = "0.75"
    bpy.context.view_layer.update()
    set_values(mesh, 0.75, 0.5, 0.5, 0.4)
    assert run("reset_expression") == {'FINISHED'}
    assert values_of(mesh) == [0.75, 0.0, 0.0, -0.2]


def test_limit_brings_a_channel_back_into_the_seen_range(mesh):
    set_values(mesh, 1.2, 0.5, 0.7, -0.7)
    run("limit_channel", channel="jawOpen")
    run("limit_channel", channel="browInnerUp")
    assert values_of(mesh) == [1.0, 0.5, 0.7, -0.5]
    with pytest.raises(RuntimeError, match="no channel 'nose'"):
        run("limit_channel", channel="nose")


def _muted(mesh):
    return [key.name for key in mesh.data.shape_keys.key_blocks[1:] if key.mute]


def test_solo_mutes_the_others_and_gives_back_what_was(mesh):
    mesh.data.shape_keys.key_blocks["mouthSmileLeft"].mute = True
    run("solo_channel", channel="jawOpen")
    assert _muted(mesh) == NAMES[1:]
    run("solo_channel", channel="mouthSmileLeft")
    assert _muted(mesh) == [NAMES[0], *NAMES[2:]]
    run("solo_channel", channel="browInnerUp", extend=True)
    assert _muted(mesh) == ["jawOpen", "mouthSmileRight"]
    run("solo_channel", channel="browInnerUp", extend=True)
    run("solo_channel", channel="mouthSmileLeft")
    assert _muted(mesh) == ["mouthSmileLeft"]
    run("unmute_all")
    assert _muted(mesh) == []


def test_a_muted_channel_rests_at_neutral(mesh):
    set_values(mesh, 0.9, 0.5, 0.5, 0.4)
    run("solo_channel", channel="browInnerUp")
    expression = expression_of(mesh, bpy.context.evaluated_depsgraph_get())
    assert np.allclose(expression, [0.1, 0.0, 0.0, 0.4])


def test_solo_survives_undo_renaming_and_saving(mesh, tmp_path):
    mesh.data.shape_keys.key_blocks["mouthSmileRight"].mute = True
    bpy.ops.ed.undo_push(message="before")
    run("solo_channel", channel="jawOpen")
    bpy.ops.ed.undo()
    assert _muted(again()) == ["mouthSmileRight"]
    bpy.ops.ed.redo()
    again().data.shape_keys.key_blocks["browInnerUp"].name = "brow"
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "solo.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "solo.blend"))
    assert _muted(again()) == ["mouthSmileLeft", "mouthSmileRight", "brow"]
    run("solo_channel", channel="jawOpen")
    assert _muted(again()) == ["mouthSmileRight"]
    with pytest.raises(RuntimeError, match="no channel 'browInnerUp'"):
        run("solo_channel", channel="browInnerUp")


def test_paste_matches_by_name_and_mirrors(mesh):
    text = pose_text({"mouthSmileLeft": 0.3, "mouthSmileRight": 0.5, "unknown": 1.0})
    bpy.ops.ed.undo_push(message="before")
    run("paste_pose", text=text)
    assert values_of(mesh) == [0.1, 0.3, 0.5, -0.2]
    run("paste_pose", text=text, use_mirror=True)
    assert values_of(mesh) == [0.1, 0.5, 0.3, -0.2]
    bpy.ops.ed.undo()
    assert values_of(again()) == [0.1, 0.3, 0.5, -0.2]


def test_paste_refuses_a_foreign_text_and_a_foreign_pose(mesh):
    with pytest.raises(RuntimeError, match="another text"):
        run("paste_pose", text="https://www.blender.org")
    with pytest.raises(RuntimeError, match="none of these channels"):
        run("paste_pose", text=pose_text({"expr_0": 1.0}))
    assert values_of(mesh) == NEUTRAL


def test_copy_reads_every_channel(mesh):
    assert run("copy_pose") == {'FINISHED'}  # without a window Blender has no clipboard to read back
    bpy.context.view_layer.objects.active = bpy.context.scene.camera
    assert not bpy.ops.headgas.copy_pose.poll()


OPERATORS = ["reset_expression", "mirror_expression", "limit_channel", "key_expression", "unkey_expression"]
OPERATORS += ["paste_pose", "solo_channel", "unmute_all", "add_face_bones"]


@pytest.mark.parametrize("name", OPERATORS)
def test_operators_say_why_they_cannot_run(mesh, name):
    operator = getattr(bpy.ops.headgas, name)
    assert operator.poll()
    mesh.data.shape_keys.use_relative = False
    with pytest.raises(RuntimeError, match="absolute"):
        operator()
    mesh.shape_key_clear()
    with pytest.raises(RuntimeError, match="lost its shape keys"):
        operator()
    bpy.context.view_layer.objects.active = bpy.context.scene.camera
    with pytest.raises(RuntimeError, match="Select an avatar"):
        operator()


def _shot(tmp_path, override):
    """A new file with the saved avatar linked into it; its control mesh, active."""
    bpy.data.collections.new("anna")
    bpy.context.scene.collection.children.link(bpy.data.collections["anna"])
    for obj in (again(), again().parent):
        bpy.data.collections["anna"].objects.link(obj)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "library.blend"))
    bpy.ops.wm.read_homefile(use_empty=True)
    with bpy.data.libraries.load(str(tmp_path / "library.blend"), link=True) as (_, wanted):
        wanted.collections = ["anna"]
    collection = wanted.collections[0]
    if override:
        context = bpy.context
        collection = collection.override_hierarchy_create(context.scene, context.view_layer, do_fully_editable=True)
    else:
        bpy.context.scene.collection.children.link(collection)
    obj = next(obj for obj in collection.all_objects if obj.type == 'MESH')
    bpy.context.view_layer.objects.active = obj
    return obj


def test_a_linked_avatar_cannot_be_changed_and_says_why(mesh, tmp_path):
    _shot(tmp_path, override=False)
    for name in OPERATORS:
        with pytest.raises(RuntimeError, match="library override"):
            getattr(bpy.ops.headgas, name)()


def test_an_overridden_avatar_is_made_editable_and_stays_so(mesh, tmp_path):
    obj = _shot(tmp_path, override=True)
    with pytest.raises(RuntimeError, match="Make Channels Editable"):
        run("reset_expression")
    bpy.ops.ed.undo_push(message="before")
    assert run("make_channels_editable") == {'FINISHED'}
    bpy.ops.ed.undo()
    assert bpy.context.object.data.library is not None
    bpy.ops.ed.redo()
    obj = bpy.context.object
    assert not bpy.ops.headgas.make_channels_editable.poll()
    name = obj.name
    set_values(obj, 0.5, 0.3, 0.2, 0.1)
    run("key_expression")
    run("solo_channel", channel="jawOpen")
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "shot.blend"))
    obj = next(o for o in bpy.data.objects if o.name == name and o.library is None)
    bpy.context.view_layer.objects.active = obj
    assert values_of(obj) == [0.5, 0.3, 0.2, 0.1] and _muted(obj) == NAMES[1:]
    assert obj.data.shape_keys.animation_data.action is not None
    run("solo_channel", channel="jawOpen")
    assert _muted(obj) == []
