# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The render engine: asks the backend for a frame and hands its pixels to Blender."""

from pathlib import Path

import bpy
import numpy as np

from ..core.errors import HeadGaSError
from ..core.images import over_colour
from .failures import reported
from .frame import background_of
from .native_panels import ENGINE
from .pictures import picture
from .planes import check_size, write_plane
from .shots import Shot, read_shot


class HeadGaSRenderEngine(bpy.types.RenderEngine):
    """Renders photoreal head avatars"""

    bl_idname = ENGINE
    bl_label = "HeadGaS"
    bl_use_postprocess = True  # the compositor and the sequencer run after us
    bl_use_preview = False  # a material's preview ball has no avatar
    bl_use_eevee_viewport = True  # Material Preview shows the control mesh

    def update_render_passes(self, scene: bpy.types.Scene, renderlayer: bpy.types.ViewLayer) -> None:
        """Tells Blender which passes a frame has."""
        self.register_pass(scene, renderlayer, "Combined", 4, "RGBA", 'COLOR')
        self.register_pass(scene, renderlayer, "Depth", 1, "Z", 'VALUE')

    def render(self, depsgraph: bpy.types.Depsgraph) -> None:
        """Renders one view layer of one frame; on failure no image is written and an animation ends."""
        with reported(self, depsgraph.scene.frame_current):
            self._render(depsgraph)

    def _render(self, depsgraph: bpy.types.Depsgraph) -> None:
        background, warning = background_of(depsgraph.scene)
        if warning:
            self.report({'WARNING'}, warning)
        shot = read_shot(self, depsgraph)
        if not any(obj.headgas.is_avatar for obj in bpy.data.objects):
            raise HeadGaSError("There is no avatar", "Add one with File > Import > HeadGaS Avatar")
        for view in shot.views:
            self.active_view_set(view)
            image, depth = picture(self, shot, view)
            self._hand_over(shot, view, image if background is None else over_colour(image, background), depth)

    def _hand_over(self, shot: Shot, view: str, image: np.ndarray, depth: np.ndarray) -> None:
        """Gives Blender the image [H,W,4] and the depth [H,W], row 0 on top."""
        height, width = depth.shape
        result = self.begin_result(0, 0, width, height, layer=shot.layer, view=view)
        try:
            check_size(result, width, height)
        except RuntimeError:
            self.end_result(result, cancel=True)
            raise
        planes = {"Combined": image, "Depth": depth}
        for render_pass in result.layers[0].passes:
            if render_pass.name in planes:
                write_plane(render_pass, planes[render_pass.name])
        self.end_result(result)
