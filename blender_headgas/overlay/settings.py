# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the viewports of a scene show its avatars."""

from collections.abc import Iterator
from typing import cast

import bpy

from ..core.errors import HeadGaSError
from ..core.inspection import Inspection, Mode
from ..rig import avatar_path, avatars_in, header_of
from ..rig.windows import redraw

_MODES = (
    ('COLOR', "Color", "The avatar as it is rendered"),
    ('DEPTH', "Depth", "White is near, black is far"),
    ('NORMAL', "Normals", "Which way the surface faces"),
    ('OPACITY', "Opacity", "How opaque the avatar is"),
    ('COUNT', "Count", "How many Gaussians are blended in a pixel"),
    ('FEATURES', "Feature Basis", "Gaussians that behave alike have like colors"),
    ('INFLUENCE', "Influence", "What one parameter changes"),
)


def _redraw(_settings: bpy.types.PropertyGroup, _context: bpy.types.Context) -> None:
    redraw()


def _parameters(settings: bpy.types.PropertyGroup, _context: bpy.types.Context, text: str) -> Iterator[str]:
    """The parameters of the scene's avatars whose names contain a text."""
    found: dict[str, None] = {}
    for mesh in avatars_in(settings.id_data):
        try:
            found |= dict.fromkeys(header_of(avatar_path(mesh)).expression_space.names)
        except HeadGaSError:
            continue
    yield from (name for name in found if text.lower() in name.lower())


class HeadGaSViewportSettings(bpy.types.PropertyGroup):
    """How the viewports of a scene show its avatars"""

    show: bpy.props.BoolProperty(
        name="Rendered Avatars",
        description="Show avatars as the backend renders them; else their control meshes stand in for them",
        default=True,
        update=_redraw,
    )
    autostart: bpy.props.BoolProperty(
        name="Start the Backend",
        description="Start the backend as soon as an avatar is seen",
        default=True,
        update=_redraw,
    )
    limit: bpy.props.IntProperty(
        name="Resolution",
        description="The longer side of what is rendered, in pixels; larger views are enlarged from that",
        default=1024,
        min=64,
        soft_max=4096,
        subtype='PIXEL',
        update=_redraw,
    )
    use_view_transform: bpy.props.BoolProperty(
        name="View Transform",
        description="Show avatars through the scene's view transform, as F12 will; "
        "else in the colors that they were trained with",
        update=_redraw,
    )
    mode: bpy.props.EnumProperty(
        name="Show", description="What is shown of the Gaussians", items=_MODES, update=_redraw
    )
    parameter: bpy.props.StringProperty(
        name="Parameter", description="The parameter whose influence is shown", search=_parameters, update=_redraw
    )
    fraction: bpy.props.FloatProperty(
        name="Gaussians",
        description="How many of the Gaussians are shown; the least important ones are hidden first",
        default=1.0,
        min=0.0,
        max=1.0,
        subtype='FACTOR',
        update=_redraw,
    )
    scale: bpy.props.FloatProperty(
        name="Ellipsoids",
        description="The size of the Gaussians; smaller ones can be told apart",
        default=1.0,
        min=0.0,
        max=1.0,
        subtype='FACTOR',
        update=_redraw,
    )

    @property
    def inspection(self) -> Inspection | None:
        """What is shown instead of the picture; None where it is the picture."""
        mode, fraction, scale = self.mode, self.fraction, self.scale
        if (mode == 'COLOR' and fraction == scale == 1.0) or (mode == 'INFLUENCE' and not self.parameter):
            return None
        return Inspection(
            mode=cast(Mode, mode.lower()),
            parameter=self.parameter if mode == 'INFLUENCE' else "",
            fraction=fraction,
            scale=scale,
        )


def viewport_settings(scene: bpy.types.Scene) -> HeadGaSViewportSettings:
    """The settings of a scene."""
    return scene.headgas_viewport


def register_settings() -> None:
    """Adds `Scene.headgas_viewport`."""
    bpy.types.Scene.headgas_viewport = bpy.props.PointerProperty(type=HeadGaSViewportSettings)


def unregister_settings() -> None:
    """Removes it."""
    del bpy.types.Scene.headgas_viewport
