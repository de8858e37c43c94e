# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""File > Export > HeadGaS Cameras: what the scene's camera sees at each frame, for `headgas render`."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import bpy
from bpy_extras.io_utils import ExportHelper

from ..core.cameras import Camera, PixelRegion, cropped
from ..core.errors import HeadGaSError
from ..core.shot_files import write_cameras
from ..engine.frame import camera_of, check_sharp, region_of
from ..rig.sampling import evaluated_at
from ..rig.takes import frames_per_second
from .reporting import reported


class HEADGAS_OT_export_cameras(bpy.types.Operator, ExportHelper):
    """Export the scene's camera over its frames (cuts by markers, lens shift and border included), from which
    'headgas render' renders the same pictures without Blender"""

    bl_idname = "headgas.export_cameras"
    bl_label = "Export HeadGaS Cameras"
    bl_options = {'REGISTER'}

    filename_ext = ".json"
    filter_glob: bpy.props.StringProperty(default="*.json", options={'HIDDEN'})
    overscan: bpy.props.FloatProperty(
        name="Overscan",
        description="How much more than the frame is rendered at each side, of its width and height",
        subtype='PERCENTAGE',
        min=0.0,
        max=100.0,
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if context.scene.camera is None:
            cls.poll_message_set("The scene has no camera")
        return context.scene.camera is not None

    @reported
    def execute(self, context: bpy.types.Context) -> set[str]:
        scene = context.scene
        frames = range(scene.frame_start, scene.frame_end + 1, scene.frame_step)
        path = Path(bpy.path.abspath(self.filepath))
        write_cameras(path, frames_per_second(scene), _cameras(context, frames, self.overscan / 100))
        self.report({'INFO'}, f"{len(frames)} cameras in {path}")
        return {'FINISHED'}


def _cameras(context: bpy.types.Context, frames: range, overscan: float) -> Iterator[tuple[int, Camera]]:
    """Number and camera of each frame, as it is rendered."""
    scene, render = context.scene, context.scene.render
    width = render.resolution_x * render.resolution_percentage // 100
    height = render.resolution_y * render.resolution_percentage // 100
    seen = region_of(render, width, height)
    aside, above = round(width * overscan), round(height * overscan)
    region = PixelRegion(-aside, -above, seen.width + 2 * aside, seen.height + 2 * above)
    for number, depsgraph in zip(frames, evaluated_at(context, frames), strict=True):
        if scene.camera is None:
            raise HeadGaSError(f"Frame {number} has no camera", "Bind one to its marker, or delete the marker")
        camera = scene.camera.evaluated_get(depsgraph)
        check_sharp(camera)
        exact = camera_of(camera, depsgraph, width, height, seen)
        K = cropped(exact.K, seen.height, region)
        yield number, replace(exact, K=K, width=region.width, height=region.height)


def draw_export_cameras_menu(menu: bpy.types.Menu, _context: bpy.types.Context) -> None:
    """The entry in File > Export."""
    menu.layout.operator(HEADGAS_OT_export_cameras.bl_idname, text="HeadGaS Cameras (.json)")
