# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Captured colours under other view transforms: what Blender shows of what was undone beforehand."""

import bpy
import numpy as np
import pytest
from avatar_files import write_avatar
from bl_ext.user_default.headgas.engine import pre_inversion
from bl_ext.user_default.headgas.engine.pre_inversion import inverse_of
from bl_ext.user_default.headgas.overlay.view_transform import shown_of
from stand_in import render_still


def faces(count: int = 4000) -> np.ndarray:
    """Colours [N,3], sRGB, of skin, lips, hair and teeth: warm, and of any brightness."""
    generator = np.random.default_rng(1)
    light = generator.uniform(0.02, 0.97, (count, 1))
    warmth = generator.uniform(0, 0.5, (count, 1)) * np.minimum(light, 1 - light)
    return np.clip(light + warmth * np.array([1.0, 0.1, -0.6]) + generator.uniform(-0.02, 0.02, (count, 3)), 0, 1)


def errors(scene, wanted: np.ndarray) -> np.ndarray:
    """How far [N,3] Blender's display is from the wanted colours, sRGB."""
    inverse = inverse_of(scene)
    assert inverse is not None
    return np.abs(shown_of(scene, inverse.colours(wanted)[None])[0] - wanted)


@pytest.mark.parametrize("transform", ['Standard', 'Filmic', 'AgX'])
def test_colours_come_back(scene, transform):
    scene.view_settings.view_transform = transform
    scene.view_settings.exposure = 0.3
    wanted = faces()
    plain = np.where(wanted <= 0.04045, wanted / 12.92, ((wanted + 0.055) / 1.055) ** 2.4)[None].astype(np.float32)
    assert np.abs(shown_of(scene, plain)[0] - wanted).max() > 0.05
    scene.headgas_render.keep_colours = True
    error = errors(scene, wanted)
    assert error.mean() < 0.5 / 255 and np.quantile(error, 0.99) < 3 / 255 and error.max() < 8 / 255


def test_frames_keep_their_colours(scene, service, tmp_path, monkeypatch):
    """The file of a frame under AgX is that under Standard."""
    monkeypatch.setattr(pre_inversion, "SIZE", 17)
    bpy.ops.headgas.import_avatar(filepath=str(write_avatar(tmp_path / "half.safetensors")))
    bpy.context.object.data.shape_keys.key_blocks["jawOpen"].value = 0.5
    settings, view = scene.render.image_settings, scene.view_settings
    settings.file_format, settings.color_mode, settings.color_depth = 'PNG', 'RGBA', '16'
    scene.render.dither_intensity = 0.0
    view.view_transform = 'Standard'
    plain = render_still(tmp_path / "standard.png")
    view.view_transform = 'AgX'
    changed = render_still(tmp_path / "agx.png")
    scene.headgas_render.keep_colours = True
    kept = render_still(tmp_path / "kept.png")
    usual = np.ptp(plain[..., :3], axis=-1) < 0.3
    assert usual.any() and np.abs(changed - plain)[usual].max() > 0.05
    assert np.abs(kept - plain)[usual].max() < 8 / 255
    view.exposure = 1.0  # made again before the render
    assert np.abs(render_still(tmp_path / "brighter.png") - plain)[usual].max() < 8 / 255


def test_an_exposure_that_is_animated_is_refused(scene, service, tmp_path, monkeypatch):
    monkeypatch.setattr(pre_inversion, "SIZE", 5)
    bpy.ops.headgas.import_avatar(filepath=str(write_avatar(tmp_path / "head.safetensors")))
    scene.view_settings.view_transform, scene.headgas_render.keep_colours = 'AgX', True
    for frame, value in ((1, 0.0), (2, 1.0)):
        scene.view_settings.exposure = value
        scene.keyframe_insert("view_settings.exposure", frame=frame)
    scene.frame_start, scene.frame_end = 1, 2
    with pytest.raises(RuntimeError, match="view transform changes at frame 2"):
        bpy.ops.render.render(animation=True)


def test_off_means_off(scene):
    assert inverse_of(scene) is None
