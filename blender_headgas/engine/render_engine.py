# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The render engine: asks the backend for a frame and hands its pixels to Blender."""

import bpy
import numpy as np

from ..client.pixels import PASSES
from ..core.cryptomatte import metadata
from ..core.errors import HeadGaSError
from ..core.images import over_colour
from .ahead import render_ahead
from .failures import reported
from .frame import background_of
from .holdouts import ineffective_holdouts
from .native_panels import ENGINE
from .passes import has_vectors, planes_of, wanted_passes
from .pictures import hidden_of_background, picture
from .planes import check_size, write_plane
from .shots import Shot, read_shot
from .stamps import stamp


class HeadGaSRenderEngine(bpy.types.RenderEngine):
    """Renders photoreal head avatars"""

    bl_idname = ENGINE
    bl_label = "HeadGaS"
    bl_use_postprocess = True  # the compositor and the sequencer run after us
    bl_use_preview = False  # a material's preview ball has no avatar
    bl_use_custom_freestyle = True  # lines are of meshes, which we don't show
    bl_use_eevee_viewport = True  # Material Preview shows the control mesh

    def update_render_passes(self, scene: bpy.types.Scene, renderlayer: bpy.types.ViewLayer) -> None:
        """Tells Blender which passes a frame has."""
        for wanted in wanted_passes(scene, renderlayer):
            self.register_pass(scene, renderlayer, wanted.name, len(wanted.channels), wanted.channels, wanted.kind)

    def render(self, depsgraph: bpy.types.Depsgraph) -> None:
        """Renders one view layer of one frame; on failure no image is written and an animation ends."""
        with reported(self, depsgraph.scene.original, depsgraph.scene.frame_current):
            self._render(depsgraph)

    def _render(self, depsgraph: bpy.types.Depsgraph) -> None:
        background, warning = background_of(depsgraph)
        for told in filter(None, [warning, *ineffective_holdouts(depsgraph)]):
            self.report({'WARNING'}, told)
        layer = depsgraph.view_layer
        shot = read_shot(self, depsgraph, has_vectors(depsgraph.scene, layer))
        if not any(obj.headgas.is_avatar for obj in bpy.data.objects):
            raise HeadGaSError("There is no avatar", "Add one with File > Import > HeadGaS Avatar")
        wanted = wanted_passes(depsgraph.scene, layer)
        sources = {item.source for item in wanted}
        if shot.holdouts and background is not None:
            sources.add("coverage")  # of what they hide of the background
        for view in shot.views:
            self.active_view_set(view)
            got = picture(self, shot, view, None, "coverage" in sources, [name for name in PASSES if name in sources])
            if len(shot.moments) == 1:
                render_ahead(self, depsgraph, shot, got.seconds, "coverage" in sources, list(got.passes))
            image = got.image
            if background is not None:
                image = over_colour(image, background, hidden_of_background(shot, got))
            self._hand_over(shot, view, planes_of(wanted, got, image, shot))
        stamp(self, shot)
        if any(item.name.startswith("CryptoObject") for item in wanted):
            shown = [name for name in dict.fromkeys(shot.names) if name not in shot.holdouts]
            for key, text in metadata(f"{shot.layer}.CryptoObject", shown).items():
                self.get_result().stamp_data_add_field(key, text)

    def _hand_over(self, shot: Shot, view: str, planes: dict[str, np.ndarray]) -> None:
        """Gives Blender the planes of a view's passes, row 0 on top."""
        width, height = shot.region.width, shot.region.height
        result = self.begin_result(0, 0, width, height, layer=shot.layer, view=view)
        try:
            check_size(result, width, height)
        except RuntimeError:
            self.end_result(result, cancel=True)
            raise
        for render_pass in result.layers[0].passes:
            if render_pass.name in planes:
                write_plane(render_pass, planes[render_pass.name])
        self.end_result(result)
