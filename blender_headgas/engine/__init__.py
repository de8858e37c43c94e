# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""F12: renders the scene's avatars through the backend, alone or within a scene of Cycles."""

from collections.abc import Callable, Iterator

import bpy

from . import (
    ahead,
    failures,
    native_panels,
    native_splats,
    passes,
    pre_inversion,
    second_scene,
    settings,
    spoilt,
    unfinished,
)
from .render_engine import HeadGaSRenderEngine


def _within_cycles() -> tuple[type, ...]:
    """The engine within Cycles, where this Blender has Cycles."""
    try:
        from .cycles_engine import HeadGaSCyclesRenderEngine
    except ImportError:
        return ()
    return (HeadGaSCyclesRenderEngine,)


classes = (
    settings.HeadGaSRenderSettings,
    passes.HeadGaSPassSettings,
    native_splats.HeadGaSSplatsSettings,
    HeadGaSRenderEngine,
    *_within_cycles(),
)


def _handlers() -> Iterator[tuple[list, Callable[..., None]]]:
    """What of ours Blender calls, and when."""
    handlers = bpy.app.handlers
    yield handlers.render_init, second_scene.follow_main_scenes
    for prepared in (handlers.render_init, handlers.load_post):
        yield prepared, pre_inversion.prepare
    yield handlers.render_init, unfinished.begin
    yield handlers.render_init, ahead.forget
    yield handlers.render_pre, unfinished.note
    yield handlers.render_pre, spoilt.begin_frame
    for made in (handlers.render_post, handlers.render_complete, handlers.render_cancel):
        yield made, spoilt.end_frame
    yield handlers.render_write, spoilt.delete_spoilt
    for ended in (handlers.render_complete, handlers.render_cancel):
        yield ended, spoilt.restore_spoilt
        yield ended, unfinished.forget
    yield handlers.render_cancel, failures.end_job


def register() -> None:
    """Adds the settings of scenes and view layers, shows Blender's panels for our engines, and watches renders."""
    settings.register_settings()
    passes.register_settings()
    native_splats.register_settings()
    native_panels.register()
    for called, function in _handlers():
        called.append(function)


def unregister() -> None:
    """Takes all of it away."""
    for called, function in _handlers():
        called.remove(function)
    native_panels.unregister()
    native_splats.unregister_settings()
    passes.unregister_settings()
    settings.unregister_settings()
