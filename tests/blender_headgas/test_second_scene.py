# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Avatars in another engine's picture through the compositor: what is set up, what it shows, and what is left of it."""

import bpy
import numpy as np
import pytest
from avatar_files import write_avatar
from stand_in import read_pixels, render_still
from test_engine_cycles import plane

from tests.compositing import links_of, users_nodes

_CLOSE = 5e-3


@pytest.fixture
def stage(scene, service, tmp_path):
    """An avatar; before all of it but the five top rows and a bit, on the left, a plane that Cycles renders."""
    bpy.ops.headgas.import_avatar(filepath=str(write_avatar(tmp_path / "half.safetensors")))
    scene.render.engine = 'CYCLES'
    scene.cycles.samples, scene.cycles.use_denoising = 1, False
    scene.camera.data.clip_end = 10000.0
    plane(scene, 5010.5, (0.2, 0.4, 0.6), size=4800.0).location.x = -2400.0
    return scene


def _tree(scene):
    return scene.compositing_node_group if bpy.app.version >= (5, 0, 0) else scene.node_tree


@pytest.mark.parametrize("users", [False, True])
def test_the_compositor_shows_avatars_before_and_behind(stage, tmp_path, users):
    tree = users_nodes(stage) if users else None
    before = links_of(tree) if tree else None
    alone = render_still(tmp_path / "alone.exr")
    assert bpy.ops.headgas.set_up_compositing() == {'FINISHED'}
    assert len(bpy.data.scenes) == 2 and bpy.data.scenes["Scene Avatars"].render.engine == 'HEADGAS'
    image = render_still(tmp_path / "combined.exr")
    avatar = render_still_of(bpy.data.scenes["Scene Avatars"], tmp_path / "avatars.exr")
    gain = 2.0 if users else 1.0
    left = slice(2, 20)  # within the plane
    assert np.abs(image[8:, left] - alone[8:, left]).max() < _CLOSE  # Z Combine softens what is next to its edges
    over = gain * avatar[:3] + (1 - avatar[:3, :, 3:]) * alone[:3]
    assert np.abs(image[:3, left, :3] - over[:, left, :3]).max() < _CLOSE
    assert np.abs(image[8:, 28:, :3] - gain * avatar[8:, 28:, :3]).max() < _CLOSE
    assert bpy.ops.headgas.remove_compositing() == {'FINISHED'}
    assert len(bpy.data.scenes) == 1 and not stage.view_layers[0].use_pass_z
    if users:
        assert links_of(_tree(stage)) == before
    assert np.abs(render_still(tmp_path / "again.exr") - alone).max() < _CLOSE


def test_all_that_takes_the_view_layer_s_image_is_served_and_restored(stage, tmp_path):
    tree = users_nodes(stage)
    other, sharp = tree.nodes.new('CompositorNodeRLayers'), tree.nodes.new('CompositorNodeExposure')
    other.scene = stage
    tree.links.new(other.outputs["Image"], sharp.inputs["Image"])
    before = links_of(tree)
    bpy.ops.headgas.set_up_compositing()
    fed = {(link.from_node.name, link.to_node.name) for link in tree.links if link.to_node.type == 'EXPOSURE'}
    assert fed == {("HeadGaS Combine", "Exposure"), ("HeadGaS Combine", sharp.name)}
    bpy.ops.headgas.remove_compositing()
    assert links_of(tree) == before


def test_a_compositor_that_shows_another_view_layer_is_left_alone(stage):
    tree = users_nodes(stage)
    stage.view_layers.new("unused")
    next(node for node in tree.nodes if node.type == 'R_LAYERS').layer = "unused"
    before = links_of(tree)
    with pytest.raises(RuntimeError, match="makes nothing of the view layer 'ViewLayer'"):
        bpy.ops.headgas.set_up_compositing()
    assert links_of(tree) == before and len(tree.nodes) == 3 and len(bpy.data.scenes) == 1


def render_still_of(scene, path) -> np.ndarray:
    scene.render.filepath = str(path)
    bpy.ops.render.render(write_still=True, scene=scene.name)
    return read_pixels(path)


def test_the_second_scene_follows_the_first(stage, service, tmp_path):
    bpy.ops.headgas.set_up_compositing()
    avatar = next(obj for obj in bpy.data.objects if obj.headgas.is_avatar)
    avatar.data.shape_keys.key_blocks["jawOpen"].driver_add("value").driver.expression = "frame / 10"
    other = stage.camera.copy()
    stage.collection.objects.link(other)
    other.location.x = 0.25
    stage.camera = other
    stage.render.resolution_x, stage.render.resolution_percentage = 60, 50
    stage.frame_start, stage.frame_end = 3, 4
    bpy.ops.render.render(animation=True)
    asked = [(request["avatars"][0]["expression"][0], request["camera"]["width"]) for request in service.requests]
    assert asked == [(pytest.approx(0.3), 30), (pytest.approx(0.4), 30)]
    assert service.requests[-1]["camera"]["viewmat"][0][3] == pytest.approx(-0.25)


def test_the_second_scene_shows_what_the_first_does(stage, service, tmp_path):
    """Also what is added, hidden and moved in collections after it was set up."""
    bpy.ops.headgas.set_up_compositing()
    first = next(obj for obj in bpy.data.objects if obj.headgas.is_avatar)
    cast = bpy.data.collections.new("cast")
    stage.collection.children.link(cast)
    later, direct = first.copy(), first.copy()
    later.location.x, direct.location.x = 1.0, 2.0
    cast.objects.link(later)
    stage.collection.objects.link(direct)
    layer = stage.view_layers[0]
    offsets = []

    def look() -> None:
        render_still(tmp_path / "still.exr")
        avatars = service.requests[-1]["avatars"]
        offsets.append({round(avatar["transform"][0][3]): avatar["holdout"] for avatar in avatars})

    look()
    layer.layer_collection.children["cast"].holdout = True
    look()
    layer.layer_collection.children["cast"].exclude = True
    stage.collection.objects.unlink(direct)
    look()
    alone = {0: False}
    assert offsets == [alone | {1: False, 2: False}, alone | {1: True, 2: False}, alone]


def test_what_makes_no_sense_is_refused(stage):
    with pytest.raises(RuntimeError, match="nothing to remove"):
        bpy.ops.headgas.remove_compositing()
    bpy.ops.headgas.set_up_compositing()
    with pytest.raises(RuntimeError, match="already"):
        bpy.ops.headgas.set_up_compositing()
    bpy.ops.headgas.remove_compositing()
    stage.render.engine = 'HEADGAS'
    with pytest.raises(RuntimeError, match="by itself"):
        bpy.ops.headgas.set_up_compositing()


def test_a_second_scene_that_fails_leaves_no_image(stage, tmp_path, caplog):
    bpy.ops.headgas.import_avatar(filepath=str(write_avatar(tmp_path / "refuse.safetensors")))
    bpy.ops.headgas.set_up_compositing()
    stage.render.use_placeholder, stage.frame_end = True, 3
    path = stage.render.filepath = str(tmp_path / "frames" / "f_")
    with pytest.raises(RuntimeError, match="HeadGaS could not render the avatars"):
        bpy.ops.render.render(animation=True)
    assert "Frame 1: This avatar is refused" in caplog.text
    assert stage.render.filepath == path
    bpy.ops.render.render(write_still=True)
    assert stage.render.filepath == path and not list((tmp_path / "frames").iterdir())


def test_control_meshes_are_hidden(stage):
    avatar = next(obj for obj in bpy.data.objects if obj.headgas.is_avatar)
    avatar.visible_camera = True
    bpy.ops.headgas.set_up_compositing()
    assert not avatar.visible_camera
