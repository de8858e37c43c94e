# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""In Blender: what every walk does with the extension."""

import math
import sys
from pathlib import Path

import bpy
import numpy as np

from .harness import Screen, Until, Walk, region_of

ADDON = "bl_ext.user_default.headgas"
# of material.py's egg
AXES = (0.075, 0.095, 0.115)
SKIN, WALL = (224, 172, 140), (0, 110, 60)


def install(screen: Screen) -> Walk:
    """Installs the zip as a user does, in an empty scene."""
    zip_file = next(screen.folder.parent.glob("headgas-*.zip"))
    with screen.over():
        bpy.ops.extensions.package_install_files(
            filepath=str(zip_file), repo="user_default", enable_on_install=True
        )
    yield Until(lambda: hasattr(bpy.types, "HEADGAS_PT_render"), "the extension is enabled")
    for obj in list(bpy.context.scene.objects):
        if obj.type == 'MESH':
            bpy.data.objects.remove(obj)


def material(screen: Screen) -> Path:
    """The folder with what material.py wrote."""
    return screen.folder.parent / "material"


def import_avatar(screen: Screen) -> Walk:
    """Imports the painted avatar and looks at its face."""
    with screen.over():
        bpy.ops.headgas.import_avatar(filepath=str(material(screen) / "head" / "avatar.safetensors"))
    yield from face(screen)


def settled() -> Walk:
    """Waits until the viewports show what they should."""
    for area in bpy.context.window_manager.windows[0].screen.areas:
        area.tag_redraw()
    yield 0.3  # they notice it when they are drawn
    yield Until(sys.modules[f"{ADDON}.overlay"].settled, "the viewports show the avatar", 600)


def egg(height: float, aside: float = 0.0) -> tuple[float, float, float]:
    """The point of the painted avatar's face at a height and so far to its left, in metres."""
    x, y, z = AXES
    return aside, -y * math.sqrt(1 - (height / z) ** 2 - (aside / x) ** 2), height


def avatar() -> bpy.types.Object:
    """The first avatar's control mesh."""
    return next(obj for obj in bpy.context.scene.objects if obj.headgas.is_avatar)


def shape_key(name: str) -> bpy.types.ShapeKey:
    """A channel of the first avatar."""
    return avatar().data.shape_keys.key_blocks[name]


def face(screen: Screen) -> Walk:
    """The view stands before the selected avatar."""
    with screen.over() as area:
        area.spaces.active.region_3d.view_perspective = 'PERSP'
        bpy.ops.view3d.view_axis(type='FRONT')
        bpy.ops.view3d.view_selected(use_all_regions=False)
    yield 1.0  # Blender moves there smoothly
    yield from settled()


def open_sidebar(screen: Screen) -> Walk:
    """The tab HeadGaS of the 3D view's sidebar."""
    area = screen.area()
    area.spaces.active.show_region_ui = True
    yield 0.3
    region_of(area, 'UI').active_panel_category = "HeadGaS"
    yield 0.3


def only_panel(screen: Screen, name: str) -> Walk:
    """Of the panels that make avatars, one is unfolded in the sidebar."""
    for other in ("HEADGAS_PT_capture", "HEADGAS_PT_training", "HEADGAS_PT_runs"):
        panel = getattr(bpy.types, other)
        bpy.utils.unregister_class(panel)
        panel.bl_options = set() if other == name else {'DEFAULT_CLOSED'}
        bpy.utils.register_class(panel)
    yield from open_sidebar(screen)


def pixels_of(path: Path) -> np.ndarray:
    """A picture's stored values [H,W,4] in 0..1, row 0 on top."""
    image = bpy.data.images.load(str(path))
    image.colorspace_settings.name, image.alpha_mode = "Non-Color", "CHANNEL_PACKED"
    flat = np.empty(4 * image.size[0] * image.size[1], np.float32)
    image.pixels.foreach_get(flat)
    pixels = flat.reshape(image.size[1], image.size[0], 4)[::-1].copy()
    bpy.data.images.remove(image)
    return pixels
