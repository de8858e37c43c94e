# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Characters in states that would make a capture's pictures belie its expressions: seen through, or refused."""

import json
from dataclasses import replace

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from avatar_files import write_avatar  # noqa: E402
from captured import armature, order_for, read_rgba, white_character  # noqa: E402
from characters import choose  # noqa: E402

from blender_headgas.capture.capture import render_capture  # noqa: E402
from blender_headgas.capture.channels import Puppet  # noqa: E402
from blender_headgas.capture.finding import found_channels  # noqa: E402
from blender_headgas.capture.head_space import OBJECT, WORLD, anchor_of  # noqa: E402
from blender_headgas.core.errors import HeadGaSError  # noqa: E402


@pytest.fixture
def head():
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    return white_character(bpy.context.scene)


def pictures(folder) -> np.ndarray:
    """The mattes of all frames [F,H,W]."""
    return np.stack([read_rgba(path)[..., 3] for path in sorted((folder / "images").iterdir())])


@pytest.mark.parametrize("state", ["edited", "pinned", "sculpted"])
def test_pictures_show_the_expression_whatever_the_user_looks_at(head, tmp_path, state):
    """While it is edited, or one key is pinned, a mesh shows that shape alone, in renders too."""
    wanted = pictures(render_capture(order_for(head), tmp_path / "wanted"))
    choose(head)
    head.active_shape_key_index = 1
    if state == "pinned":
        head.show_only_shape_key = True
    else:
        bpy.ops.object.mode_set(mode={"edited": 'EDIT', "sculpted": 'SCULPT'}[state])
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "copy.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "copy.blend"), load_ui=False)  # as the background's Blender does
    head = bpy.context.scene.objects[0]
    found = pictures(render_capture(order_for(head), tmp_path / "capture"))
    np.testing.assert_array_equal(found, wanted)


def test_absolute_and_muted_keys_are_refused(head):
    channels = found_channels(head)
    head.data.shape_keys.use_relative = False
    assert not found_channels(head)
    with pytest.raises(HeadGaSError, match="are absolute"):
        Puppet(channels, [head])
    head.data.shape_keys.use_relative = True
    head.data.shape_keys.key_blocks["jawOpen"].mute = True
    with pytest.raises(HeadGaSError, match="jawOpen of .* is muted"):
        Puppet(channels, [head])
    Puppet([channel for channel in channels if channel.name != "jawOpen"], [head])


def test_a_hidden_character_is_told_and_no_empty_picture_left(head, tmp_path):
    scene, collection = bpy.context.scene, bpy.data.collections.new("hidden")
    scene.collection.children.link(collection)
    collection.objects.link(head)
    scene.collection.objects.unlink(head)
    collection.hide_render = True
    with pytest.raises(HeadGaSError, match="Nothing of the character is in the picture"):
        render_capture(order_for(head), tmp_path / "capture")
    assert not [*(tmp_path / "capture/images").iterdir()] and not (tmp_path / "capture/capture.json").exists()


@pytest.mark.parametrize("what", ["object", "armature"])
def test_a_mirrored_character_is_refused(head, what):
    rig = armature(bpy.context.scene, "neck")
    head.parent, head.parent_type, head.parent_bone = rig, 'BONE', "neck"
    (head if what == "object" else rig).scale.x = -1
    bpy.context.view_layer.update()
    for bone, front in (("", OBJECT), ("neck", WORLD)):
        with pytest.raises(HeadGaSError, match="is mirrored"):
            anchor_of(head, bone, front)
    (head if what == "object" else rig).scale = (-1, -1, 1)  # which is half a turn
    bpy.context.view_layer.update()
    assert np.linalg.det(anchor_of(head, "", OBJECT)[:3, :3]) == pytest.approx(1)


def test_keys_go_as_far_as_their_sliders(head, tmp_path):
    """Beyond 0 to 1, and relative to another key than the basis."""
    keys = head.data.shape_keys.key_blocks
    keys["jawOpen"].slider_min, keys["jawOpen"].slider_max = -0.5, 3.0
    keys["mouthFunnel"].relative_key = keys["jawOpen"]
    keys["eyeBlinkLeft"].slider_min = 0.25  # it never is zero then
    order = order_for(head)
    assert [(one.low, one.rest, one.high) for one in order.channels] == [(0.25, 0.25, 1), (-0.5, 0, 3), (0, 0, 1)]
    folder = render_capture(replace(order, channels=order.channels[1:2], frames=8), tmp_path / "capture")
    values = [frame["expression"][0] for frame in json.loads((folder / "capture.json").read_text())["frames"]]
    assert min(values) == pytest.approx(-0.5) and max(values) == pytest.approx(3.0)


def test_a_linked_character_is_captured_and_not_hidden_in_silence(head, tmp_path, capfd):
    """Another file's objects can be posed, and drive an avatar; hidden they would be for this session only."""
    name, library = head.name, tmp_path / "library.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(library))
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    scene = bpy.context.scene
    scene.world = bpy.data.worlds.new("world")
    with bpy.data.libraries.load(str(library), link=True) as (_, loaded):
        loaded.objects = [name]
    linked = bpy.data.objects[name]
    scene.collection.objects.link(linked)
    bpy.context.view_layer.update()
    folder = render_capture(order_for(linked), tmp_path / "capture")
    mattes = pictures(folder)
    assert np.abs(mattes[0] - mattes[2]).sum() > 10  # another expression
    settings = scene.headgas_capture
    settings.character = linked
    settings.add(found_channels(linked))
    bpy.ops.headgas.import_avatar(filepath=str(write_avatar(tmp_path / "anna.safetensors")))
    assert bpy.ops.headgas.connect_character() == {'FINISHED'}
    assert f"Linked, so not hidden: {name}. Make a library override" in capfd.readouterr().out
