# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Colours in other working spaces and view transforms, and what image files say about their avatars."""

import hashlib
import json

import bpy
import numpy as np
import pytest
from avatar_files import NAMES, write_avatar
from stand_in import render_still


@pytest.fixture
def avatar(scene, service, tmp_path):
    bpy.ops.headgas.import_avatar(filepath=str(write_avatar(tmp_path / "head.safetensors")))
    return bpy.context.object


# Rec.709 to Rec.2020, ITU-R BT.2087
_WIDER = [[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]]


@pytest.mark.skipif(bpy.app.version < (5, 0, 0), reason="files have a working space since 5.0")
def test_colours_are_converted_to_the_file_s_working_space(scene, avatar, tmp_path):
    plain = render_still(tmp_path / "plain.exr")
    layers = []
    for engine in ('HEADGAS', 'HEADGAS_CYCLES'):
        scene.render.engine, scene.cycles.samples, scene.cycles.use_denoising = engine, 1, False
        bpy.ops.wm.set_working_color_space(working_space='Linear Rec.2020', convert_colors=False)
        scene.render.filepath = str(tmp_path / f"{engine}.exr")
        scene.render.image_settings.color_management = 'OVERRIDE'
        scene.render.image_settings.linear_colorspace_settings.name = 'Linear Rec.2020'
        bpy.ops.render.render(write_still=True)
        image = bpy.data.images.load(scene.render.filepath)
        image.colorspace_settings.name = 'Linear Rec.2020'  # as the working space: values as they are
        pixels = np.array(image.pixels[:], np.float32).reshape(32, 48, 4)[::-1]
        layers.append(pixels)
        bpy.ops.wm.set_working_color_space(working_space='Linear Rec.709', convert_colors=False)
    expected = plain[..., :3] @ np.array(_WIDER).T
    for pixels in layers:
        assert np.abs(pixels[..., :3] - expected).max() < 2e-3 * np.abs(expected).max()
        assert np.array_equal(pixels[..., 3], plain[..., 3])


@pytest.mark.parametrize("kind", ['PNG', 'OPEN_EXR'])
@pytest.mark.parametrize("engine", ['HEADGAS', 'HEADGAS_CYCLES'])
def test_files_say_what_they_show(scene, avatar, tmp_path, engine, kind):
    scene.render.engine, scene.cycles.samples, scene.cycles.use_denoising = engine, 1, False
    scene.render.image_settings.file_format = kind
    avatar.name = "Ada"
    avatar.data.shape_keys.key_blocks["jawOpen"].value = 0.7
    scene.frame_set(12)
    path = tmp_path / f"still.{kind[-3:].lower()}"
    render_still(path)
    data = path.read_bytes()
    told = _json_after(data, b"HeadGaS Ada\0")
    digest = hashlib.sha256((tmp_path / "head.safetensors").read_bytes()).hexdigest()
    assert told["sha256"] == digest and told["file"] == "head.safetensors" and told["preset"] == "headgas"
    assert list(told["expression"]) == NAMES and told["expression"]["jawOpen"] == pytest.approx(0.7)
    programs = _json_after(data, b"HeadGaS\0")
    assert programs["frame"] == 12 and programs["extension"] and programs["backend"]


def _json_after(data: bytes, key: bytes) -> dict:
    text = data[data.index(key) + len(key) :]
    return json.JSONDecoder().raw_decode(text[text.index(b"{") : text.index(b"{") + 2000].decode("latin1"))[0]


def test_a_frame_rendered_again_is_the_same(scene, avatar, tmp_path):
    """Its files, too, where Blender does not write into them when they were made."""
    scene.render.use_stamp_date = scene.render.use_stamp_render_time = False
    assert np.array_equal(render_still(tmp_path / "one.exr"), render_still(tmp_path / "two.exr"))
    assert (tmp_path / "one.exr").read_bytes() == (tmp_path / "two.exr").read_bytes()
