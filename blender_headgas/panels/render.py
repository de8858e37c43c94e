# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine's own panel in the render properties."""

import bpy

from .. import client
from ..engine import second_scene
from ..engine.native_panels import CYCLES_ENGINE, ENGINE


class HEADGAS_PT_render(bpy.types.Panel):
    """Render settings of HeadGaS"""

    bl_idname = "HEADGAS_PT_render"
    bl_label = "HeadGaS"
    bl_space_type = 'PROPERTIES'
    bl_region_type = 'WINDOW'
    bl_context = "render"
    COMPAT_ENGINES = {ENGINE, CYCLES_ENGINE}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return context.engine in cls.COMPAT_ENGINES

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        layout.use_property_split = True
        render = context.scene.render
        if context.engine == ENGINE:
            layout.prop(render, "film_transparent")
            _draw_shutter(layout, render)
        else:
            layout.prop(context.scene.cycles, "device")
            layout.operator("headgas.hide_control_meshes")
        column = layout.column()
        column.active = render.use_motion_blur
        column.prop(context.scene.headgas_render, "motion_samples")
        if context.scene.view_settings.view_transform != 'Standard':
            layout.label(text="Standard keeps the captured colours", icon='INFO')
            layout.operator("headgas.exact_colors", text="Match Capture")
            layout.prop(context.scene.headgas_render, "keep_colours")
        layout.label(text="The backend runs" if client.running() else "The first render starts the backend")
        layout.operator("headgas.test_backend")
        draw_sequence(layout)


class HEADGAS_PT_compositing(bpy.types.Panel):
    """Avatars with engines that don't render them"""

    bl_idname = "HEADGAS_PT_compositing"
    bl_label = "HeadGaS"
    bl_space_type = 'PROPERTIES'
    bl_region_type = 'WINDOW'
    bl_context = "render"
    bl_options = {'DEFAULT_CLOSED'}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return context.engine not in HEADGAS_PT_render.COMPAT_ENGINES

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        if second_scene.is_set_up(context.scene):
            layout.operator("headgas.remove_compositing")
            draw_sequence(layout)
        else:
            layout.operator("headgas.set_up_compositing")
        if context.engine == 'CYCLES':
            layout.label(text="The engine Cycles + HeadGaS needs no compositor", icon='INFO')


class HEADGAS_PT_passes(bpy.types.Panel):
    """What an avatar's frame has beside its picture"""

    bl_idname = "HEADGAS_PT_passes"
    bl_label = "Passes"
    bl_space_type = 'PROPERTIES'
    bl_region_type = 'WINDOW'
    bl_context = "view_layer"
    COMPAT_ENGINES = {ENGINE}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return context.engine in cls.COMPAT_ENGINES

    def draw(self, context: bpy.types.Context) -> None:
        layout, layer = self.layout, context.view_layer
        layout.use_property_split = True
        own = layer.headgas_passes
        column = layout.column(heading="Geometry")
        column.prop(layer, "use_pass_z")
        column.prop(own, "use_median_depth")
        column.prop(layer, "use_pass_normal")
        row = column.row()
        row.active = not (context.scene.render.use_motion_blur and layer.use_motion_blur)
        row.prop(layer, "use_pass_vector")
        column = layout.column(heading="Mattes")
        column.prop(own, "use_opacity")
        column.prop(own, "use_avatar_alphas")
        column.prop(layer, "use_pass_object_index")
        column.prop(layer, "use_pass_cryptomatte_object", text="Cryptomatte")
        column = layout.column(heading="Gaussians")
        column.prop(own, "use_count", text="Count")


def draw_sequence(layout: bpy.types.UILayout) -> None:
    """What can be looked after before and after a sequence is rendered."""
    column = layout.column(align=True)
    column.operator("headgas.check_shot")
    column.operator("headgas.check_frames")
    column.operator("headgas.remove_broken_frames")


def _draw_shutter(layout: bpy.types.UILayout, render: bpy.types.RenderSettings) -> None:
    """Blender's own settings of motion blur, which it shows to its own engines only."""
    layout.prop(render, "use_motion_blur")
    column = layout.column()
    column.active = render.use_motion_blur
    column.prop(render, "motion_blur_position", text="Position")
    column.prop(render, "motion_blur_shutter", text="Shutter")
