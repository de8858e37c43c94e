# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a scene's view transform makes of colours, as a table: Blender lends its colour management to files only."""

import tempfile
from pathlib import Path

import bpy
import gpu
import numpy as np

SIZE = 33  # steps of each channel
REACH = (SIZE - 1) / 26  # the brightest colour, sRGB: highlights go beyond 1, where many transforms have an edge
_COPIED = ("view_transform", "look", "exposure", "gamma", "use_white_balance", "white_balance_temperature")
_COPIED += ("white_balance_tint",)


class Table:
    """What the screen shows of colours: sRGB values [S,S,S,3] float32 at equal steps of sRGB red, green and blue."""

    def __init__(self, shown: np.ndarray, reach: float = REACH) -> None:
        """shown: blue varies slowest, red fastest."""
        self.shown, self.reach, self.size = shown, reach, len(shown)
        self._texture: gpu.types.GPUTexture | None = None

    def texture(self) -> gpu.types.GPUTexture:
        """On the GPU; made where Blender draws, at the first call."""
        if self._texture is None:
            rgba = np.ones((self.size,) * 3 + (4,), np.float32)
            rgba[..., :3] = self.shown
            data = gpu.types.Buffer('FLOAT', rgba.size, rgba.ravel())
            self._texture = gpu.types.GPUTexture((self.size,) * 3, format='RGBA32F', data=data)
        return self._texture


def look_of(scene: bpy.types.Scene) -> tuple:
    """Equal where a scene shows colours in the same way."""
    view = scene.view_settings
    curves = view.curve_mapping if view.use_curve_mapping else None
    points = [tuple(point.location) for curve in curves.curves for point in curve.points] if curves else []
    return scene.display_settings.display_device, tuple(getattr(view, n, None) for n in _COPIED), tuple(points)


def is_exact(scene: bpy.types.Scene) -> bool:
    """Whether F12 shows avatars in their trained colours."""
    view = scene.view_settings
    plain = view.look == 'None' and view.exposure == 0.0 and view.gamma == 1.0 and not view.use_curve_mapping
    return view.view_transform == 'Standard' and plain and not getattr(view, "use_white_balance", False)


def table_of(scene: bpy.types.Scene) -> Table:
    """The table of a scene's view transform. As `shown_of`, not to be called where Blender draws."""
    steps = np.linspace(0.0, REACH, SIZE, dtype=np.float32)
    blue, green, red = np.meshgrid(steps, steps, steps, indexing="ij")
    chart = linear_of(np.stack([red, green, blue], -1)).reshape(SIZE, SIZE * SIZE, 3)
    return Table(shown_of(scene, chart).reshape(SIZE, SIZE, SIZE, 3))


def shown_of(scene: bpy.types.Scene, chart: np.ndarray) -> np.ndarray:
    """What a scene's view transform makes of scene-linear colours [H,W,3]: those of the display, in 65536 steps.

    Blender writes the chart into a file as it would write a render. Not to be called where Blender draws: it makes
    datablocks, and removes them.
    """
    height, width = chart.shape[:2]
    pixels = np.ones((height, width, 4), np.float32)
    pixels[..., :3] = chart
    image = bpy.data.images.new("HeadGaS view transform", width, height, float_buffer=True)
    look = scene.copy()  # its output settings are ours to change
    shown = None
    try:
        image.pixels.foreach_set(pixels.ravel())
        output = look.render.image_settings
        if hasattr(output, "media_type"):  # since 5.0
            output.media_type = 'IMAGE'
        output.file_format, output.color_mode, output.color_depth = 'PNG', 'RGB', '16'
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "chart.png"
            image.save_render(str(path), scene=look)
            shown = bpy.data.images.load(str(path))
            shown.colorspace_settings.name = 'Non-Color'
            shown.pixels.foreach_get(pixels.reshape(-1))
    finally:
        for made in (image, shown):
            if made is not None:
                bpy.data.images.remove(made)
        bpy.data.scenes.remove(look)
    return pixels[..., :3]


def linear_of(color: np.ndarray) -> np.ndarray:
    """sRGB to linear (IEC 61966-2-1)."""
    return np.where(color <= 0.04045, color / 12.92, ((color + 0.055) / 1.055) ** 2.4).astype(np.float32)
