# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The avatars in the viewport, as the backend renders them, in place among meshes."""

from typing import Any

import bpy

from . import shader
from .overlay import Overlay
from .settings import HeadGaSViewportSettings, register_settings, unregister_settings

classes = (HeadGaSViewportSettings,)
_overlay: Overlay | None = None  # the one of this Blender; none without windows
_handle: Any = None

__all__ = ["classes", "overlay", "register", "settled", "unregister"]


def overlay() -> Overlay | None:
    """What draws; None in the background."""
    return _overlay


def settled() -> bool:
    """Whether all viewports show what they should."""
    return _overlay is None or _overlay.settled


def register() -> None:
    """Draws avatars from now on, where there are windows."""
    global _overlay, _handle  # noqa: PLW0603 - the one registry of the process
    register_settings()
    if bpy.app.background:
        return
    _overlay = Overlay()
    _handle = bpy.types.SpaceView3D.draw_handler_add(_draw, (), 'WINDOW', 'POST_VIEW')
    for handlers in _changes():
        handlers.append(_evaluated)


def unregister() -> None:
    """Takes everything away."""
    global _overlay, _handle  # noqa: PLW0603
    if _overlay is not None:
        for handlers in _changes():
            handlers.remove(_evaluated)
        if _handle is not None:
            bpy.types.SpaceView3D.draw_handler_remove(_handle, 'WINDOW')
        _overlay.close()
        shader.free()
    _overlay = _handle = None
    unregister_settings()


def _draw() -> None:
    if _overlay is not None:
        _overlay.draw(bpy.context)


@bpy.app.handlers.persistent
def _evaluated(*_: object) -> None:
    if _overlay is not None:
        _overlay.evaluated()


def _changes() -> tuple[list, ...]:
    """What is called when anything may look different."""
    handlers = bpy.app.handlers
    return (
        handlers.depsgraph_update_post,
        handlers.frame_change_post,
        handlers.load_post,
        handlers.undo_post,
        handlers.redo_post,
    )
