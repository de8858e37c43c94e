# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the face panel shows in every state an avatar can be in; none of them may raise at a redraw."""

import time

import bpy
import pytest
from avatar_files import NAMES, header, write_avatar
from drawn import draw


@pytest.fixture
def mesh(scene, tmp_path):
    """The control mesh of an imported avatar, active."""
    bpy.ops.headgas.import_avatar(filepath=str(write_avatar(tmp_path / "a.safetensors")))
    return bpy.context.object


@pytest.fixture
def face(scene):
    """The panel's filter, as a new window has it."""
    settings = bpy.context.window_manager.headgas_face
    settings.region, settings.search = 'ALL', ""
    return settings


def _panel():
    return draw("HEADGAS_PT_face")


def _named(layout, name):
    return [options for operator, options in layout.operators if operator == name]


def test_the_channels_are_listed_from_the_brows_down(mesh, face):
    layout = _panel()
    assert layout.rows == ["browInnerUp", "jawOpen", "mouthSmileLeft", "mouthSmileRight"]
    assert not layout.labels and not _named(layout, "headgas.limit_channel")
    assert [name for _, name in layout.properties if name.startswith("region")] == [
        "region=ALL", "region=BROWS", "region=JAW", "region=MOUTH",
    ]  # fmt: skip


def test_filter_and_search(mesh, face):
    face.region = 'MOUTH'
    assert _panel().rows == NAMES[1:3]
    face.search = "LEFT"
    assert _panel().rows == ["mouthSmileLeft"]
    face.region = 'GAZE'  # another avatar's: here it counts as all
    assert _panel().rows == ["mouthSmileLeft"]


def test_the_armature_shows_the_same(mesh, face):
    bpy.context.view_layer.objects.active = mesh.parent
    assert len(_panel().rows) == 4


def test_a_channel_outside_of_its_seen_range_has_a_quiet_mark(mesh, face):
    keys = mesh.data.shape_keys.key_blocks
    keys["mouthSmileLeft"].value, keys["mouthSmileRight"].value = 0.8, 0.7  # seen: 0 to 0.8, 0 to 0.6
    assert _named(_panel(), "headgas.limit_channel") == [{"channel": "mouthSmileRight"}]


def test_an_animated_value_is_marked_at_the_frame_that_is_outside(mesh, face, scene):
    key = mesh.data.shape_keys.key_blocks["jawOpen"]
    for frame, value in ((1, 0.5), (11, 1.2)):
        key.value = value
        key.keyframe_insert("value", frame=frame)
    marks = []
    for frame in (1, 11):
        scene.frame_set(frame)
        marks.append(len(_named(_panel(), "headgas.limit_channel")))
    assert marks == [0, 1]


def test_the_active_channel_is_the_one_that_is_reset(mesh, face):
    mesh.active_shape_key_index = 2
    assert {"scope": 'ONE', "channel": "mouthSmileLeft"} in _named(_panel(), "headgas.reset_expression")


def test_renamed_and_deleted_keys(mesh, face):
    mesh.data.shape_keys.key_blocks["jawOpen"].name = 'a "name" \\ of\tmine'
    mesh.shape_key_remove(mesh.data.shape_keys.key_blocks["browInnerUp"])
    assert _panel().rows == ["mouthSmileLeft", "mouthSmileRight", 'a "name" \\ of\tmine']
    shown = " ".join(draw("HEADGAS_PT_avatar_sidebar").labels)
    assert "no shape key 'jawOpen', 'browInnerUp': renamed or deleted" in shown


def test_a_missing_file(mesh, face):
    mesh.headgas.filepath = "/nowhere/a.safetensors"
    assert len(_panel().rows) == 4
    assert any("no avatar" in label for label in draw("HEADGAS_PT_avatar_sidebar").labels)


def test_absolute_keys_show_how_to_get_back(mesh, face):
    mesh.data.shape_keys.use_relative = False
    layout = _panel()
    assert " ".join(layout.labels) == "The shape keys are absolute: switch on Relative" and not layout.rows
    assert layout.properties == [(mesh.data.shape_keys, "use_relative")]


def test_lost_keys(mesh, face):
    mesh.shape_key_clear()
    assert " ".join(_panel().labels) == "The control mesh has lost its shape keys: import the avatar again"


def test_only_the_rest_key_is_left(mesh, face):
    for key in list(mesh.data.shape_keys.key_blocks)[1:]:
        mesh.shape_key_remove(key)
    assert _panel().rows == []


def test_channels_of_one_region_need_no_filter(scene, tmp_path, face):
    head = header()
    head["expression_space"]["names"] = ["expr_0", "expr_1", "expr_2", "expr_3"]
    bpy.ops.headgas.import_avatar(filepath=str(write_avatar(tmp_path / "flame.safetensors", head)))
    layout = _panel()
    assert len(layout.rows) == 4 and not [name for _, name in layout.properties if name.startswith("region")]


def test_a_linked_avatar_is_shown_and_says_what_to_do(mesh, face, tmp_path):
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "library.blend"))
    bpy.ops.wm.read_homefile(use_empty=True)
    with bpy.data.libraries.load(str(tmp_path / "library.blend"), link=True) as (_, wanted):
        wanted.objects = ["a control"]
    bpy.context.scene.collection.objects.link(wanted.objects[0])
    bpy.context.view_layer.objects.active = wanted.objects[0]
    layout = _panel()
    assert len(layout.rows) == 4 and "linked" in layout.labels[0]
    override = wanted.objects[0].override_create()
    bpy.context.scene.collection.objects.link(override)
    bpy.context.view_layer.objects.active = override
    layout = _panel()
    assert len(layout.rows) == 4 and _named(layout, "headgas.make_channels_editable")
    bpy.ops.headgas.make_channels_editable()
    layout = _panel()
    assert len(layout.rows) == 4 and not layout.labels


def test_the_sliders_of_face_bones(mesh, face):
    bpy.ops.headgas.add_face_bones()
    layout = _panel()
    bones = mesh.parent.pose.bones
    assert (bones["face.L"], '["mouthSmile"]') in layout.properties
    assert _named(layout, "headgas.save_pose_asset") and not _named(layout, "headgas.add_face_bones")
    bones["face.R"].name = "cheek"  # Blender repairs the drivers' paths
    assert (bones["cheek"], '["mouthSmile"]') in _panel().properties
    del bones["cheek"]["mouthSmile"]
    assert (mesh.data.shape_keys.key_blocks["mouthSmileRight"], "value") in _panel().properties


def test_no_avatar_no_panel(mesh, face, scene):
    bpy.context.view_layer.objects.active = scene.camera
    assert _panel().rows == []
    bpy.context.view_layer.objects.active = None
    assert _panel().rows == []


@pytest.mark.parametrize("with_bones", [False, True])
def test_a_redraw_with_150_channels_is_quick(scene, tmp_path, face, with_bones):
    """What a redraw asks of every channel and not only of the rows that are seen."""
    count, head = 150, header()
    space = {"names": [f"expr_{i}" for i in range(count)], "neutral": [0.0] * count}
    head["expression_space"] |= space | {"low": [-1.0] * count, "high": [1.0] * count}
    bpy.ops.headgas.import_avatar(filepath=str(write_avatar(tmp_path / "a.safetensors", head)))
    mesh = bpy.context.object
    if with_bones:
        bpy.ops.headgas.add_face_bones()
    face.search = "no row"
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        _panel()
        seconds.append(time.perf_counter() - start)
    print(f"{mesh.name}: {1e3 * min(seconds):.2f} ms")
    assert min(seconds) < 0.02
