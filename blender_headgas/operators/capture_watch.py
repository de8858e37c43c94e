# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps an eye on captures under way: a timer that reads their small files, and redraws when they changed."""

import atexit
import time
from pathlib import Path

import bpy

from ..capture.job import FINISHED, JobStatus, status_of, stop
from ..core.errors import HeadGaSError
from ..core.runs import duration
from ..rig.windows import areas

_INTERVAL = 0.5  # seconds between two looks

_watched: dict[Path, JobStatus] = {}  # by folder: how it was at the last look


def preview_folder() -> Path:
    """Where this session's previews are."""
    return Path(bpy.app.tempdir) / "headgas-preview"


def end_preview() -> None:
    """Ends the preview that is under way, if one is."""
    if status_of(preview_folder()).is_running:
        stop(preview_folder())


def watch(folder: Path) -> None:
    """Begins to look at a capture; where nobody would see it, waits for its end instead.

    Raises:
        HeadGaSError: it failed while we waited.
    """
    _watched[folder] = status_of(folder)
    if bpy.app.background:
        while (status := status_of(folder)).is_running:
            time.sleep(_INTERVAL / 2)
        look()
        if status.state != FINISHED:
            raise HeadGaSError(status.message or "The capture was stopped")
    elif not bpy.app.timers.is_registered(_tick):
        bpy.app.timers.register(_tick, first_interval=_INTERVAL, persistent=True)


def look() -> bool:
    """One look; whether a capture is under way."""
    for folder, before in list(_watched.items()):
        status = status_of(folder)
        if status != before:
            _watched[folder] = status
            _redraw()
        if not status.is_running:
            del _watched[folder]
            if status.state == FINISHED:
                _offer_for_training(folder)
    return bool(_watched)


def describe(status: JobStatus) -> str:
    """A capture in one line."""
    if not status.total:
        return "Opening a copy of the scene"
    if not status.is_running:
        return f"{status.done} of {status.total} frames"
    left = f", {duration(status.seconds_left)} left" if status.rendered else ""
    return f"{status.done} of {status.total} frames{left}"


def register_capture_watch() -> None:
    """Shows captures in the status bar."""
    bpy.types.STATUSBAR_HT_header.append(_draw_status)
    atexit.register(end_preview)


def unregister_capture_watch() -> None:
    """Stops watching. Captures go on; a preview, which nobody would see, ends."""
    bpy.types.STATUSBAR_HT_header.remove(_draw_status)
    atexit.unregister(end_preview)
    end_preview()
    if bpy.app.timers.is_registered(_tick):
        bpy.app.timers.unregister(_tick)
    _watched.clear()


def _tick() -> float | None:
    return _INTERVAL if look() else None


def _offer_for_training(folder: Path) -> None:
    """A finished capture is the next thing to train on, in the scenes that it was made from."""
    for scene in bpy.data.scenes:
        if scene.headgas_capture.target == folder:
            scene.headgas_training.capture = scene.headgas_capture.folder


def _redraw() -> None:
    for area in areas('VIEW_3D'):
        for region in area.regions:
            if region.type == 'UI':
                region.tag_redraw()
    for window in bpy.context.window_manager.windows:
        if not window.modal_operators:  # whose text there it would take away: nothing else redraws the status bar
            window.workspace.status_text_set(None)


def _draw_status(header: bpy.types.Header, _context: bpy.types.Context) -> None:
    for folder, status in _watched.items():
        if status.is_running and folder != preview_folder():
            header.layout.progress(text="", factor=status.done / max(status.total, 1), type='RING')
            header.layout.label(text=f"Capture '{folder.name}': {describe(status)}")
