# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a view layer leaves out or has of its own, in both engines: world, surfaces, motion blur."""

import bpy
import numpy as np
import pytest
from avatar_files import write_avatar
from stand_in import render_layers, render_still
from test_engine_cycles import plane

_BLUE = np.array([0.1, 0.2, 0.4])


@pytest.fixture(params=['HEADGAS', 'HEADGAS_CYCLES'])
def layer(scene, service, tmp_path, request):
    """A view layer that shows an avatar of half the opacity before a blue world."""
    bpy.ops.headgas.import_avatar(filepath=str(write_avatar(tmp_path / "half.safetensors")))
    scene.render.engine, scene.render.film_transparent, scene.world = request.param, False, _world(_BLUE)
    scene.cycles.samples, scene.cycles.use_denoising, scene.camera.data.clip_end = 1, False, 1e6
    return scene.view_layers[0]


def _world(color) -> bpy.types.World:
    world = bpy.data.worlds.new("world")
    if world.node_tree is None:
        world.use_nodes = True
    shader = next(node for node in world.node_tree.nodes if node.type == 'BACKGROUND')
    shader.inputs["Color"].default_value = (*color, 1.0)
    return world


def test_the_world_of_a_view_layer(layer, tmp_path):
    over = render_still(tmp_path / "plain.exr")[..., :3] - 0.5 * _BLUE
    for name, shown in (("own", (0.7, 0.1, 0.0)), ("none", (0.0, 0.0, 0.0))):
        layer.world_override = _world(shown)
        layer.use_sky = name == "own"
        image = render_still(tmp_path / f"{name}.exr")
        assert np.abs(image[..., :3] - over - 0.5 * np.array(shown)).max() < 1e-3
        assert image[..., 3] == pytest.approx(1.0)


def test_avatars_are_surfaces(layer, service, tmp_path):
    """A layer of volumes alone has neither avatars nor what hides them."""
    plane(bpy.context.scene, 2.0, (0.0, 1.0, 0.0), size=0.3).is_holdout = True
    layer.use_solid = False
    image = render_still(tmp_path / "still.exr")
    assert np.abs(image[..., :3] - _BLUE).max() < 1e-4 and image[..., 3] == pytest.approx(1.0)


def test_a_view_layer_without_motion_blur_is_sharp_and_has_vectors(layer, service, tmp_path):
    scene, blurred = bpy.context.scene, layer
    scene.camera.driver_add("location", 0).driver.expression = "frame / 100"
    scene.render.use_motion_blur, scene.headgas_render.motion_samples = True, 3
    sharp = scene.view_layers.new("sharp")
    sharp.use_motion_blur, sharp.use_pass_vector, blurred.use_pass_vector = False, True, True
    scene.frame_set(5)
    names = render_layers(tmp_path / "layers.exr")
    places = [-request["camera"]["viewmat"][0][3] for request in service.requests[-4:]]
    assert places == pytest.approx([0.29 / 6, 0.05, 0.31 / 6, 0.05], abs=1e-5)
    assert "sharp.Vector.X" in names
    if scene.render.engine == 'HEADGAS':
        assert "ViewLayer.Vector.X" not in names


@pytest.mark.parametrize("blurred", [True, False])
def test_a_rolling_shutter_is_refused_where_it_would_show(layer, tmp_path, blurred):
    scene = bpy.context.scene
    scene.cycles.rolling_shutter_type, scene.render.use_motion_blur = 'TOP', blurred
    if blurred and scene.render.engine == 'HEADGAS_CYCLES':
        with pytest.raises(RuntimeError, match="rolling shutter"):
            render_still(tmp_path / "still.exr")
        assert not (tmp_path / "still.exr").exists()
    else:
        assert render_still(tmp_path / "still.exr").any()
