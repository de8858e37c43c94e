# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The avatars in the viewport, as the backend renders them, in place among meshes."""

from collections.abc import Callable
from typing import Any

import bpy

from . import shader
from .overlay import Overlay
from .settings import HeadGaSViewportSettings, register_settings, unregister_settings, viewport_settings
from .status import draw_lines
from .view_transform import is_exact

classes = (HeadGaSViewportSettings,)
_overlay: Overlay | None = None  # the one of this Blender; none without windows
_handles: list[Any] = []
_failure = ""  # why nothing is drawn any more
EXTENSION = str(__package__).rpartition(".")[0]

__all__ = [
    "EXTENSION",
    "classes",
    "failure",
    "is_exact",
    "overlay",
    "register",
    "settled",
    "unregister",
    "viewport_settings",
]


def overlay() -> Overlay | None:
    """What draws; None in the background."""
    return _overlay


def settled() -> bool:
    """Whether all viewports show what they should."""
    return _overlay is None or _overlay.settled


def failure() -> str:
    """Why nothing is drawn any more; empty where all is well."""
    return _failure


def register() -> None:
    """Draws avatars from now on, where there are windows."""
    global _overlay, _failure  # noqa: PLW0603
    register_settings()
    if bpy.app.background:
        return
    _overlay, _failure = Overlay(), ""
    for draw, when in ((_draw, 'POST_VIEW'), (_draw_text, 'POST_PIXEL')):
        _handles.append(bpy.types.SpaceView3D.draw_handler_add(draw, (), 'WINDOW', when))
    bpy.app.handlers.load_post.append(_loaded)
    for handlers in _changes():
        handlers.append(_evaluated)


def unregister() -> None:
    """Takes everything away."""
    if _overlay is not None:
        for handlers in _changes():
            handlers.remove(_evaluated)
        bpy.app.handlers.load_post.remove(_loaded)
    _stop()
    unregister_settings()


def _stop() -> None:
    global _overlay  # noqa: PLW0603
    while _handles:
        bpy.types.SpaceView3D.draw_handler_remove(_handles.pop(), 'WINDOW')
    if _overlay is not None:
        _overlay.close()
        shader.free()
    _overlay = None


def _draw() -> None:
    _guarded(Overlay.draw)


def _draw_text() -> None:
    _guarded(lambda overlay, context: draw_lines(context, overlay.lines(context)))


def _guarded(draw: Callable[[Overlay, Any], None]) -> None:
    """Draws, if need be never again: a bug is told once, not at every redraw."""
    global _failure  # noqa: PLW0603
    if _overlay is None or _failure:
        return
    try:
        draw(_overlay, bpy.context)
    except ReferenceError:  # an object is gone, and Blender has not evaluated since
        _overlay.evaluated()
    except Exception as error:
        _failure = f"Avatars are not drawn any more, HeadGaS has a bug: {type(error).__name__}: {error}"
        raise


@bpy.app.handlers.persistent
def _evaluated(*_: object) -> None:
    if _overlay is not None:
        _overlay.evaluated()


@bpy.app.handlers.persistent
def _loaded(*_: object) -> None:
    if _overlay is not None:
        _overlay.loaded()


def _changes() -> tuple[list, ...]:
    """What is called when anything may look different."""
    handlers = bpy.app.handlers
    return handlers.depsgraph_update_post, handlers.frame_change_post, handlers.undo_post, handlers.redo_post
