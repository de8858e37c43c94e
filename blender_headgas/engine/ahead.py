# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""In a sequence the backend makes the next frame while Blender writes this one.

Blender tells a frame's expressions and cameras only when it comes to the frame. So the scene is evaluated once more, a
frame later, and what was made ahead is used where the frame then turns out to be the same. Scenes that take longer to
evaluate than avatars to render are left alone.
"""

import time
from pathlib import Path

import bpy
from bpy.app.handlers import persistent

from .. import client
from ..core.errors import HeadGaSError
from .shots import Shot, read_shot_at

_too_slow: dict[str, int] = {}  # by the names of scenes: the frame for which it was not worth it


def render_ahead(
    engine: bpy.types.RenderEngine, depsgraph: bpy.types.Depsgraph, shot: Shot, seconds: float,
    coverage: bool, passes: list[str],
) -> None:  # fmt: skip
    """Asks for the frame after `shot`, of which the backend took `seconds`, where that pays."""
    scene, backend = depsgraph.scene, client.running()
    following = _next_frame(engine, depsgraph, shot)
    if backend is None or following is None:
        return
    if _too_slow.get(scene.name) == shot.frame:
        _too_slow[scene.name] = following
        return
    started = time.perf_counter()
    try:
        then = read_shot_at(engine, depsgraph, following)
    except HeadGaSError:  # that frame tells it when it is its turn
        return
    if time.perf_counter() - started > seconds:
        _too_slow[scene.name] = following
        return
    moment = then.moments[0]
    if moment.avatars:
        backend.render_ahead(moment.avatars, moment.cameras[""], coverage, passes)


@persistent
def forget(*_: object) -> None:
    """A new render begins: `render_init`."""
    _too_slow.clear()


def _next_frame(engine: bpy.types.RenderEngine, depsgraph: bpy.types.Depsgraph, shot: Shot) -> int | None:
    """The number of the frame that Blender asks for next, where it is one picture of the backend."""
    scene = depsgraph.scene
    layers = [layer for layer in scene.view_layers if layer.use]
    if not engine.is_animation or len(layers) > 1 or shot.views != [""] or len(shot.moments) > 1 or shot.around:
        return None
    following = shot.frame + scene.frame_step
    if following > scene.frame_end or scene.frame_subframe:
        return None
    render = scene.render
    if not render.use_overwrite and Path(bpy.path.abspath(render.frame_path(frame=following))).exists():
        return None
    return following
