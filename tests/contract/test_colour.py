# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Both real programs: a photograph's colours come out of F12 and of `headgas render` as they went in."""

import bpy
import numpy as np
import pytest

from tests.blender_headgas.stand_in import read_pixels, render_still
from tests.contract.test_shot import headgas

pytestmark = pytest.mark.usefixtures("real_service")
_COLORS = ((224, 172, 140), (70, 90, 140), (8, 8, 12), (250, 252, 255))  # of material.py's wall
_SIZE, _EDGE = 48, 4  # pixels
_STEP = 1.001 / 255


@pytest.fixture
def wall(scene, material):
    """A wall of four colours before the camera, of which an ideal photograph is `_photograph`."""
    scene.render.resolution_x = scene.render.resolution_y = _SIZE
    scene.render.dither_intensity = 0.0
    settings = scene.render.image_settings
    settings.file_format, settings.color_depth, settings.color_mode = 'PNG', '8', 'RGBA'
    bpy.ops.headgas.import_avatar(filepath=material.avatar("flat"))
    scene.camera.data.lens = 250.0
    scene.camera.data.clip_start = 0.01


def _photograph() -> np.ndarray:
    colors = np.array(_COLORS).reshape(2, 2, 3) / 255
    return colors.repeat(_SIZE // 2, 0).repeat(_SIZE // 2, 1)


def _error(image: np.ndarray) -> float:
    """The largest difference to the photograph, away from where colours meet."""
    away = np.abs(np.arange(_SIZE) + 0.5 - _SIZE / 2) > _EDGE
    inner = away[:, None] & away[None]
    assert image[inner][:, 3].min() > 0.998
    return float(np.abs(image[..., :3] - _photograph())[inner].max())


def test_colours_are_the_photograph_s(scene, wall, material, tmp_path):
    bpy.ops.headgas.exact_colors()
    assert _error(render_still(tmp_path / "still.png")) <= _STEP
    scene.frame_start = scene.frame_end = 1
    bpy.ops.headgas.export_cameras(filepath=str(tmp_path / "cameras.json"))
    headgas("render", material.avatar("flat"), "--cameras", tmp_path / "cameras.json", "--out", tmp_path / "out")
    assert _error(read_pixels(tmp_path / "out" / "0001.png")) <= _STEP
    scene.render.engine, scene.cycles.samples, scene.cycles.use_denoising = 'HEADGAS_CYCLES', 1, False
    assert _error(render_still(tmp_path / "cycles.png")) <= _STEP
    for transform in ('AgX', 'Filmic'):
        scene.render.engine, scene.view_settings.view_transform = 'HEADGAS', transform
        scene.headgas_render.keep_colours = False
        assert _error(render_still(tmp_path / "changed.png")) > 0.1
        scene.headgas_render.keep_colours = True
        assert _error(render_still(tmp_path / "kept.png")) <= 4 / 255
