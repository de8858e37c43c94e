# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The render engine: asks the backend for a frame and hands its pixels to Blender."""

from pathlib import Path

import bpy
import numpy as np

from .. import client
from ..client.launch import launch_settings, render_deadline
from ..core.cameras import Camera
from ..core.errors import HeadGaSError
from ..core.images import DEPTH_OF_NOTHING, over_colour
from ..core.messages import reportable
from ..rig import posed_avatars
from .failures import remember_failure
from .frame import background_of, camera_of, region_of
from .native_panels import ENGINE


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
        try:
            self._render(depsgraph)
        except client.Cancelled:
            return
        except HeadGaSError as error:
            self._fail(depsgraph, reportable(error))
        except Exception as error:
            self._fail(depsgraph, f"HeadGaS has a bug, please report it with the console's text: {error}")
            raise

    def _fail(self, depsgraph: bpy.types.Depsgraph, message: str) -> None:
        # An ERROR report stops Blender before it writes an image. error_set alone would let it write a black one.
        self.report({'ERROR'}, f"Frame {depsgraph.scene.frame_current}: {message}")
        self.error_set(message)
        remember_failure()

    def _render(self, depsgraph: bpy.types.Depsgraph) -> None:
        scene = depsgraph.scene
        if scene.render.use_multiview:
            raise HeadGaSError("HeadGaS does not render stereoscopy yet", "Switch Stereoscopy off")
        background, warning = background_of(scene)
        if warning:
            self.report({'WARNING'}, warning)
        width, height = self.resolution_x, self.resolution_y
        region = region_of(scene.render, width, height)
        camera = (self.camera_override or scene.camera).evaluated_get(depsgraph)
        seen = camera_of(camera, depsgraph, width, height, region)
        image, depth = self._pixels(depsgraph, seen)
        self._hand_over(depsgraph, image if background is None else over_colour(image, background), depth)

    def _pixels(self, depsgraph: bpy.types.Depsgraph, camera: Camera) -> tuple[np.ndarray, np.ndarray]:
        """Image [H,W,4] and depth [H,W] (metres), row 0 on top."""
        avatars = posed_avatars(depsgraph)
        if not any(obj.headgas.is_avatar for obj in bpy.data.objects):
            raise HeadGaSError("There is no avatar", "Add one with File > Import > HeadGaS Avatar")
        if not avatars:  # all are hidden at this frame, or in this view layer
            shape = (camera.height, camera.width)
            return np.zeros((*shape, 4), np.float32), np.full(shape, DEPTH_OF_NOTHING, np.float32)
        before = client.running()
        if before is None:
            self.update_stats("", "HeadGaS: starting the backend")

        def rendered(backend: client.Backend) -> client.Picture:
            if backend is not before and backend.facts.get("notice"):
                self.report({'WARNING'}, backend.facts["notice"])
            rendering = f"rendering {len(avatars)} avatar{'s' if len(avatars) > 1 else ''}"
            self.update_stats("", f"HeadGaS: {backend.compiling(self.test_break) or rendering}")
            return backend.render(avatars, camera, render_deadline(), self.test_break)

        settings = launch_settings(Path(avatar.path) for avatar in avatars)
        picture = client.ask(settings, rendered, self.test_break, lambda notice: self.report({'WARNING'}, notice))
        return picture.image, picture.depth

    def _hand_over(self, depsgraph: bpy.types.Depsgraph, image: np.ndarray, depth: np.ndarray) -> None:
        """Gives Blender the image [H,W,4] and the depth [H,W] (row 0 on top; Blender's is at the bottom)."""
        height, width = depth.shape
        result = self.begin_result(0, 0, width, height, layer=depsgraph.view_layer.name)
        if (result.resolution_x, result.resolution_y) != (width, height):
            self.end_result(result, cancel=True)
            raise RuntimeError(
                f"Blender wants {result.resolution_x}x{result.resolution_y} pixels, we rendered {width}x{height}"
            )
        planes = {"Combined": image, "Depth": depth}
        for render_pass in result.layers[0].passes:
            if render_pass.name in planes:
                flipped = np.ascontiguousarray(planes[render_pass.name][::-1], np.float32)
                render_pass.rect.foreach_set(flipped.ravel())
        self.end_result(result)
