# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a scene knows about rendering avatars."""

import bpy

from . import pre_inversion


class HeadGaSRenderSettings(bpy.types.PropertyGroup):
    """How a scene's avatars are rendered."""

    main: bpy.props.PointerProperty(
        type=bpy.types.Scene,
        name="Main Scene",
        description="The scene whose compositor shows the avatars that this one renders",
        options={'HIDDEN'},
    )
    motion_samples: bpy.props.IntProperty(
        name="Avatar Samples",
        description="At how many moments within the shutter's opening avatars and camera are rendered",
        default=8,
        min=1,
        max=256,
    )
    keep_colours: bpy.props.BoolProperty(
        name="Keep Captured Colors",
        description="Show avatars in the colors of their photographs under this view transform too: what it does to "
        "them is undone beforehand. Scene-linear colors of such renders are no light",
        update=pre_inversion.update,
    )


def register_settings() -> None:
    """Adds `Scene.headgas_render`."""
    bpy.types.Scene.headgas_render = bpy.props.PointerProperty(type=HeadGaSRenderSettings)


def unregister_settings() -> None:
    """Removes `Scene.headgas_render`."""
    del bpy.types.Scene.headgas_render
