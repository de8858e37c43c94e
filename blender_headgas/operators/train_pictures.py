# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Opens pictures that the backend wrote in an Image Editor."""

from functools import partial
from pathlib import Path

import bpy

from ..rig.windows import areas

_DRAWN = 0.2  # seconds


def show_picture(path: Path) -> bpy.types.Image:
    """The picture, in an Image Editor that is open, else in a new window; without windows it is only loaded."""
    image = bpy.data.images.load(str(path), check_existing=True)
    image.reload()
    manager = bpy.context.window_manager
    area = next(areas('IMAGE_EDITOR'), None)
    if area is None and not bpy.app.background:
        with bpy.context.temp_override(window=manager.windows[0]):
            bpy.ops.wm.window_new()
        area = manager.windows[-1].screen.areas[0]
        area.type = 'IMAGE_EDITOR'
    if area is not None:
        area.spaces.active.image = image
        area.tag_redraw()
        bpy.app.timers.register(partial(_see_all, image.name), first_interval=_DRAWN)
    return image


def _see_all(name: str) -> None:
    """What is larger than its editor, which has a size only when it was drawn, is shown whole."""
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            image = area.spaces.active.image if area.type == 'IMAGE_EDITOR' else None
            if image is not None and image.name == name:
                region = next(region for region in area.regions if region.type == 'WINDOW')
                with bpy.context.temp_override(window=window, area=area, region=region):
                    bpy.ops.image.view_all()
