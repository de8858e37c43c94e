# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps an eye on trainings and background commands: a timer that reads small files, and redraws when they changed."""

from collections.abc import Callable
from pathlib import Path

import bpy

from ..client.detached import Command
from ..client.launch import user_folder
from ..client.training import Run, Runs
from ..core.errors import HeadGaSError
from ..core.runs import SHEET, describe, duration
from ..rig import avatar_path
from .train_pictures import show_picture

_INTERVAL = 0.5  # seconds between two looks
_IDLE = 3.0  # the same while nothing trains: another Blender may start something

_runs: Runs | None = None
_commands: list[tuple[Command, Callable[[int, str, str], None]]] = []
_messages: dict[int, str] = {}  # by a run's number
_shown: dict[int, int] = {}  # when the avatar's file of a run was changed, as viewports show it


def runs() -> Runs:
    """This user's runs.

    Raises:
        HeadGaSError: their list is damaged.
    """
    global _runs  # noqa: PLW0603 - the one registry of the process
    if _runs is None:
        _runs = Runs(user_folder() / "runs.json")
    return _runs


def await_command(command: Command, done: Callable[[int, str, str], None]) -> None:
    """Has `done` called with exit status, output and the log's end of a command once it has ended."""
    _commands.append((command, done))
    look_soon()


def say(run: Run, text: str) -> None:
    """What the panel shows beneath a run; an empty text takes it away."""
    _messages[run.record.number] = text


def message_of(run: Run) -> str:
    """What was said last of a run."""
    return _messages.get(run.record.number, "")


def look_soon() -> None:
    """Sees to it that changes are noticed quickly from now on."""
    if bpy.app.timers.is_registered(_tick):
        bpy.app.timers.unregister(_tick)
    bpy.app.timers.register(_tick, first_interval=_INTERVAL, persistent=True)


def register_watch() -> None:
    """Begins to watch."""
    bpy.types.STATUSBAR_HT_header.append(_draw_status)
    look_soon()


def unregister_watch() -> None:
    """Stops watching. Trainings go on; commands end."""
    global _runs  # noqa: PLW0603
    bpy.types.STATUSBAR_HT_header.remove(_draw_status)
    if bpy.app.timers.is_registered(_tick):
        bpy.app.timers.unregister(_tick)
    for command, _ in _commands:
        command.close()
    _commands.clear()
    _messages.clear()
    _shown.clear()
    _runs = None


def look() -> bool:
    """One look at everything; whether something goes on."""
    ended = [pair for pair in _commands if pair[0].ended]
    for command, done in ended:
        _commands.remove((command, done))
        done(*command.result())
    known = runs()
    if known.poll() or ended:
        _redraw(known)
    for run in known.all():
        if run.ended and not run.record.closed:
            _see_to_end(known, run)
    return bool(_commands) or any(not run.ended for run in known.all())


def _tick() -> float:
    try:
        return _INTERVAL if look() else _IDLE
    except HeadGaSError:  # the list is damaged or cannot be written: the panel says so
        return _IDLE


def _see_to_end(known: Runs, run: Run) -> None:
    """Imports and shows what the user wanted to have, as soon as Blender is ready for it."""
    kept = run.state != "failed" and run.avatar.is_file()
    busy = bpy.app.is_job_running('RENDER') or bpy.context.mode != 'OBJECT'
    if kept and run.record.imports and busy:
        return
    known.close(run)
    if not kept:
        return
    if run.record.imports and not watched_by(run):
        windows = bpy.context.window_manager.windows
        try:
            with bpy.context.temp_override(**({"window": windows[0]} if windows else {})):
                bpy.ops.headgas.import_run('EXEC_DEFAULT', True, run=run.record.number)
        except RuntimeError as error:  # what the operator reported
            say(run, f"The avatar could not be imported: {error}")
    sheet = run.record.path / SHEET
    if run.record.shows and sheet.is_file() and not bpy.app.background:
        show_picture(sheet)


def watched_by(run: Run) -> list[bpy.types.Object]:
    """The avatars in the open file that show what a run has learnt."""
    return [obj for obj in bpy.data.objects if obj.headgas.is_avatar and _links_to(obj, run.avatar)]


def _links_to(avatar: bpy.types.Object, path: Path) -> bool:
    try:
        return avatar_path(avatar) == path
    except HeadGaSError:
        return False


def _redraw(known: Runs) -> None:
    """The sidebars and the status bar; viewports too where an avatar was written anew."""
    stamps = {run.record.number: run.avatar_changed for run in known.all()}
    learnt = stamps != _shown
    _shown.clear()
    _shown.update(stamps)
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type != 'VIEW_3D':
                continue
            if learnt:
                area.tag_redraw()
            for region in area.regions:
                if region.type == 'UI':
                    region.tag_redraw()
        if not window.modal_operators:  # whose text there it would take away: nothing else redraws the status bar
            window.workspace.status_text_set(None)


def _draw_status(header: bpy.types.Header, _context: bpy.types.Context) -> None:
    """The trainings in the status bar."""
    for run in _runs.all() if _runs else ():
        if run.ended:
            continue
        status, layout = run.status, header.layout
        left = f", {duration(status.seconds_left)} left" if run.state == "training" else ""
        layout.progress(text="", factor=status.progress, type='RING')
        layout.label(text=f"{run.record.name}: {describe(run.state, status)}{left}")
