# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of a scene's view transform says what Blender itself makes of colours."""

import bpy
import numpy as np
import pytest
from bl_ext.user_default.headgas.overlay.view_transform import look_of, table_of


def _through(table, color) -> np.ndarray:
    """A colour [3], sRGB, through a table by linear interpolation."""
    at = np.asarray(color) / table.reach * (table.size - 1)
    low = np.floor(at).astype(int)
    part = at - low
    total = np.zeros(3)
    for corner in np.ndindex(2, 2, 2):
        weight = np.prod(np.where(corner, part, 1 - part))
        red, green, blue = low + corner
        total += weight * table.shown[blue, green, red]
    return total


def _linear(color) -> np.ndarray:
    color = np.asarray(color)
    return np.where(color <= 0.04045, color / 12.92, ((color + 0.055) / 1.055) ** 2.4)


def _by_blender(scene, color, path) -> np.ndarray:
    """What a render of one colour, sRGB, looks like in a file."""
    image = bpy.data.images.new("one", 4, 4, float_buffer=True)
    image.pixels.foreach_set(np.tile(np.append(_linear(color), 1.0), 16).astype(np.float32))
    image.save_render(str(path), scene=scene)
    bpy.data.images.remove(image)
    shown = bpy.data.images.load(str(path))
    shown.colorspace_settings.name = 'Non-Color'
    pixels = np.array(shown.pixels[:3])
    bpy.data.images.remove(shown)
    return pixels


def test_standard_changes_nothing(scene):
    scene.view_settings.view_transform = 'Standard'
    table = table_of(scene)
    for color in ([0.0, 0.0, 0.0], [0.2, 0.5, 0.8], [1.0, 0.3, 0.05]):
        assert _through(table, color) == pytest.approx(color, abs=2e-3)


def test_agx_is_what_blender_writes(scene, tmp_path):
    scene.view_settings.view_transform, scene.view_settings.exposure = 'AgX', 0.5
    scene.render.image_settings.file_format = 'PNG'
    table = table_of(scene)
    plain = []
    for color in ([0.05, 0.05, 0.05], [0.8, 0.55, 0.45], [0.2, 0.5, 0.9]):
        by_blender = _by_blender(scene, color, tmp_path / "one.png")
        plain.append(np.abs(by_blender - color).max())
        assert _through(table, color) == pytest.approx(by_blender, abs=1.5 / 255)
    assert max(plain) > 0.1


def test_making_a_table_leaves_nothing_behind(scene):
    def datablocks():
        return {kind: list(getattr(bpy.data, kind).keys()) for kind in ("images", "scenes", "textures", "curves")}

    before, output = datablocks(), scene.render.image_settings.file_format
    table_of(scene)
    assert datablocks() == before and scene.render.image_settings.file_format == output


def test_every_setting_of_the_view_counts(scene):
    before = look_of(scene)
    scene.view_settings.exposure = 1.0
    assert look_of(scene) != before
