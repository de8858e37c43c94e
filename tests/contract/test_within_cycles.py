# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Both real programs: a plane of Cycles slices the head where the backend says that it must."""

import os
import signal

import bpy
import numpy as np
import pytest
from mathutils import Matrix

from tests.blender_headgas.stand_in import render_layers
from tests.contract.test_pixels import head  # noqa: F401

pytestmark = pytest.mark.usefixtures("real_service")
_CLOSE = 5e-4


@pytest.mark.parametrize("transparent", [False, True])
def test_a_plane_slices_the_head(scene, head, material, tmp_path, transparent):  # noqa: F811
    """Expected: Gaussian by Gaussian in front of the plane (see the rasterizer's own tests), the plane behind them."""
    scene.render.engine, scene.render.film_transparent = 'HEADGAS_CYCLES', transparent
    scene.cycles.samples, scene.cycles.use_denoising, scene.cycles.use_adaptive_sampling = 4, False, False
    distance, colour = float(material.expected["sliced_at"]), (0.7, 0.2, 0.1)
    _add_glowing_plane(scene, distance, colour)
    layers = render_layers(tmp_path / "sliced.exr")
    got = np.stack([layers[f"ViewLayer.Combined.{channel}"] for channel in "RGBA"], -1)
    front, depth = material.expected["sliced_image"], material.expected["sliced_depth"]
    expected = front + (1 - front[..., 3:]) * np.array([*colour, 1.0])
    assert np.abs(got - expected).max() < _CLOSE
    whole = material.expected["one_image_0"]
    assert ((whole - front)[..., 3] > 0.1).sum() > 100 and (front[..., 3] > 0.1).sum() > 100
    z = layers["ViewLayer.Depth.Z"]
    assert np.abs(z - np.where(front[..., 3] >= 0.5, depth, distance)).max() < 1e-4


def _rgba(layers: dict[str, np.ndarray]) -> np.ndarray:
    return np.stack([layers[f"ViewLayer.Combined.{channel}"] for channel in "RGBA"], -1)


def test_what_was_made_while_cycles_worked_is_what_stands_before_a_wall(scene, head, real_service, tmp_path):  # noqa: F811
    """Nothing of it is left to be made; also where the backend is killed meanwhile."""
    scene.cycles.samples, scene.cycles.use_denoising, scene.cycles.use_adaptive_sampling = 200, False, False
    alone = _rgba(render_layers(tmp_path / "alone.exr"))
    scene.render.engine = 'HEADGAS_CYCLES'
    _add_glowing_plane(scene, 5.0, (0.7, 0.2, 0.1))
    expected = alone + (1 - alone[..., 3:]) * np.array([0.7, 0.2, 0.1, 1.0])
    begun, killed = [], []

    def kill(*_: object) -> None:
        backend = real_service.running()
        if backend is not None and backend._ahead is not None:
            begun.append(backend.pid)
            if not killed:
                killed.append(backend.pid)
                os.kill(backend.pid, signal.SIGTERM)

    bpy.app.handlers.render_stats.append(kill)
    try:
        for name in ("killed", "whole"):
            assert np.abs(_rgba(render_layers(tmp_path / f"{name}.exr")) - expected).max() < _CLOSE
    finally:
        bpy.app.handlers.render_stats.remove(kill)
    assert killed and set(begun) > set(killed)


def _add_glowing_plane(scene, distance: float, colour: tuple[float, float, float]) -> None:
    """It fills the picture, facing the camera `distance` metres from it."""
    mesh = bpy.data.meshes.new("plane")
    mesh.from_pydata([(-9, -9, 0), (9, -9, 0), (9, 9, 0), (-9, 9, 0)], [], [(0, 1, 2, 3)])
    material = bpy.data.materials.new("glow")
    if bpy.app.version < (5, 0, 0):
        material.use_nodes = True
    glow = material.node_tree.nodes.new('ShaderNodeEmission')
    glow.inputs["Color"].default_value = (*colour, 1.0)
    output = next(node for node in material.node_tree.nodes if node.type == 'OUTPUT_MATERIAL')
    material.node_tree.links.new(glow.outputs["Emission"], output.inputs["Surface"])
    mesh.materials.append(material)
    plane = bpy.data.objects.new("plane", mesh)
    scene.collection.objects.link(plane)
    bpy.context.view_layer.update()
    plane.matrix_world = scene.camera.matrix_world @ Matrix.Translation((0, 0, -distance))
