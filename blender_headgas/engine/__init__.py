# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""F12: renders the scene's avatars through the backend, alone or within a scene of Cycles."""

import bpy

from . import failures, native_panels, passes, second_scene, settings, unfinished
from .render_engine import HeadGaSRenderEngine


def _within_cycles() -> tuple[type, ...]:
    """The engine within Cycles, where this Blender has Cycles."""
    try:
        from .cycles_engine import HeadGaSCyclesRenderEngine
    except ImportError:
        return ()
    return (HeadGaSCyclesRenderEngine,)


classes = (settings.HeadGaSRenderSettings, passes.HeadGaSPassSettings, HeadGaSRenderEngine, *_within_cycles())


def register() -> None:
    """Adds the settings of scenes and view layers, and shows Blender's panels for our engines; second scenes follow."""
    settings.register_settings()
    passes.register_settings()
    native_panels.register()
    bpy.app.handlers.render_init.append(second_scene.follow_main_scenes)
    bpy.app.handlers.render_cancel.append(failures.end_job)
    unfinished.register()


def unregister() -> None:
    """Takes both away."""
    unfinished.unregister()
    bpy.app.handlers.render_cancel.remove(failures.end_job)
    bpy.app.handlers.render_init.remove(second_scene.follow_main_scenes)
    native_panels.unregister()
    passes.unregister_settings()
    settings.unregister_settings()
