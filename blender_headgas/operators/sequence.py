# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Before and after a sequence is rendered, here or by the machines of a farm: is everything there, and whole?"""

from pathlib import Path
from typing import Any

import bpy
import numpy as np

from .. import client
from ..client.launch import launch_settings, render_deadline
from ..core.cameras import Camera
from ..core.errors import HeadGaSError
from ..core.frames import listed_frames, parse_frames
from ..core.messages import listed
from ..engine.frame import camera_of, region_of
from ..engine.unfinished import broken_files, missing_frames, shows_avatars
from ..rig import avatar_path, avatars_in, expression_of, visible_avatars
from .reporting import is_rendering, reported

_SIDE = 32  # pixels of the picture that is rendered as a test
_BEFORE = np.array([[1.0, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 1], [0, 0, 0, 1]])  # a metre before a face, looking at it


class HEADGAS_OT_check_shot(bpy.types.Operator):
    """Look whether this machine has all that the scene's avatars need to be rendered: their files, a camera, and a
    backend that works, which renders each of them once. For machines of a farm, before they begin"""

    bl_idname = "headgas.check_shot"
    bl_label = "Check Shot"

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        return not is_rendering(cls)

    @reported
    def execute(self, context: bpy.types.Context) -> set[str]:
        """Reports what there is."""
        scene, depsgraph = context.scene, context.evaluated_depsgraph_get()
        if not shows_avatars(scene):
            raise HeadGaSError(
                f"The engine of the scene '{scene.name}' is {scene.render.engine}, which does not render avatars",
                "Choose HeadGaS or Cycles + HeadGaS, or Show Avatars in Compositor",
            )
        if scene.camera is None:
            raise HeadGaSError(f"The scene '{scene.name}' has no camera", "Add one")
        region = region_of(scene.render, _SIDE, _SIDE)
        camera_of(scene.camera.evaluated_get(depsgraph), depsgraph, _SIDE, _SIDE, region)
        objects = [*avatars_in(scene), *(obj for obj, _, _ in visible_avatars(depsgraph))]
        if not objects:
            raise HeadGaSError("There is no avatar", "Add one with File > Import > HeadGaS Avatar")
        avatars = {avatar_path(obj): expression_of(obj, depsgraph) for obj in objects}
        backend = _tried(avatars)
        if distant := [path.name for path in avatars if not _travels(path)]:
            message = f"Not beside the .blend file, so other machines need the same folders: {listed(distant)}"
            self.report({'WARNING'}, message)
        facts = backend.facts
        what = f"{len(avatars)} avatar{'s' if len(avatars) > 1 else ''}"
        self.report({'INFO'}, f"{what} rendered by backend {facts['version']} on {facts['device']}: the shot is ready")
        return {'FINISHED'}


class HEADGAS_OT_check_frames(bpy.types.Operator):
    """Look whether the files of all frames are there and whole"""

    bl_idname = "headgas.check_frames"
    bl_label = "Check Frames"

    frames: bpy.props.StringProperty(name="Frames", description="As in 1-10,15; empty for the scene's")

    @reported
    def execute(self, context: bpy.types.Context) -> set[str]:
        """Reports the frames that are missing, as an error."""
        frames = _chosen(context.scene, self.frames)
        missing = missing_frames(context.scene, frames)
        if missing:
            raise HeadGaSError(
                f"{len(missing)} of {len(frames)} frames are missing, empty or cut off: {listed_frames(missing)}",
                "Remove Broken Frames, switch Overwrite off, and render again: only these are made",
            )
        self.report({'INFO'}, f"All {len(frames)} frames are there")
        return {'FINISHED'}


class HEADGAS_OT_remove_broken_frames(bpy.types.Operator):
    """Delete files of frames that are empty or cut off, so that a render without Overwrite makes them again. Not while
    another machine renders these frames: its placeholders are empty, too"""

    bl_idname = "headgas.remove_broken_frames"
    bl_label = "Remove Broken Frames"

    frames: bpy.props.StringProperty(name="Frames", description="As in 1-10,15; empty for the scene's")

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        return context.window_manager.invoke_confirm(self, event)

    @reported
    def execute(self, context: bpy.types.Context) -> set[str]:
        """Reports how many there were."""
        broken = broken_files(context.scene, _chosen(context.scene, self.frames))
        for path in broken:
            path.unlink()
        self.report({'INFO'}, f"{len(broken)} broken files removed")
        return {'FINISHED'}


def _chosen(scene: bpy.types.Scene, text: str) -> list[int]:
    if scene.render.is_movie_format:
        raise HeadGaSError("The output is a video, whose frames have no files", "Choose an image format")
    return parse_frames(text) if text else list(range(scene.frame_start, scene.frame_end + 1, scene.frame_step))


def _tried(avatars: dict[Path, Any]) -> client.Backend:
    """The backend that has rendered every avatar at a small size."""
    focal = float(_SIDE)
    K = np.array([[focal, 0, _SIDE / 2], [0, focal, _SIDE / 2], [0, 0, 1]])
    camera = Camera(_BEFORE, K, _SIDE, _SIDE, 0.01)

    def render(backend: client.Backend) -> client.Backend:
        for path, expression in avatars.items():
            backend.render([client.PosedAvatar(path, expression, np.eye(4))], camera, render_deadline())
        return backend

    return client.ask(launch_settings(avatars), render)


def _travels(path: Path) -> bool:
    """Whether a file lies in the .blend file's folder."""
    return bool(bpy.data.filepath) and path.is_relative_to(Path(bpy.data.filepath).resolve().parent)
