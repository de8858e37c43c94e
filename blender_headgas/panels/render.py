# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine's own panel in the render properties."""

import bpy

from .. import client
from ..engine.native_panels import ENGINE


class HEADGAS_PT_render(bpy.types.Panel):
    """Render settings of HeadGaS"""

    bl_idname = "HEADGAS_PT_render"
    bl_label = "HeadGaS"
    bl_space_type = 'PROPERTIES'
    bl_region_type = 'WINDOW'
    bl_context = "render"
    COMPAT_ENGINES = {ENGINE}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return context.engine in cls.COMPAT_ENGINES

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        layout.use_property_split = True
        layout.prop(context.scene.render, "film_transparent")
        if context.scene.view_settings.view_transform != 'Standard':
            layout.label(text="Standard keeps the captured colours", icon='INFO')
        layout.label(text="The backend runs" if client.running() else "The first render starts the backend")
        layout.operator("headgas.test_backend")
