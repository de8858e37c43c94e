# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a sequence's frames lack: which are missing or broken, and what a Blender that was killed left behind.

Blender with Overwrite switched off skips whatever has a frame's name: also an empty placeholder, or a file that was
half written, of a Blender that was killed. So each Blender notes the frame that it is making; the next one that
renders removes what those of this machine left that do not run any more. Other machines' placeholders stay.
"""

import json
import logging
import os
import socket
from collections.abc import Iterable, Iterator
from pathlib import Path

import bpy
from bpy.app.handlers import persistent

from ..client.births import birth_of
from ..client.launch import user_folder
from ..core.frames import is_whole
from .native_panels import CYCLES_ENGINE, ENGINE
from .second_scene import is_set_up

_log = logging.getLogger(__name__)


def register() -> None:
    """Starts to watch sequences."""
    handlers = bpy.app.handlers
    handlers.render_init.append(_remove_left_behind)
    handlers.render_pre.append(_note)
    for finished in (handlers.render_write, handlers.render_complete, handlers.render_cancel):
        finished.append(_forget)


def unregister() -> None:
    """Stops it."""
    handlers = bpy.app.handlers
    for finished in (handlers.render_write, handlers.render_complete, handlers.render_cancel):
        finished.remove(_forget)
    handlers.render_pre.remove(_note)
    handlers.render_init.remove(_remove_left_behind)


def files_of(scene: bpy.types.Scene, frame: int) -> list[Path]:
    """The files of one frame: one, or one for each view."""
    render = scene.render
    if render.use_multiview and render.image_settings.views_format == 'INDIVIDUAL':
        views = [view.name for view in render.views if view.use]
        return [_absolute(render.frame_path(frame=frame, view=view)) for view in views]
    return [_absolute(render.frame_path(frame=frame))]


def broken_files(scene: bpy.types.Scene, frames: Iterable[int]) -> list[Path]:
    """Files of frames that are there, and empty or cut off."""
    return [path for frame in frames for path in files_of(scene, frame) if path.is_file() and not is_whole(path)]


def missing_frames(scene: bpy.types.Scene, frames: Iterable[int]) -> list[int]:
    """The frames of which a file is missing, empty or cut off."""
    return [
        frame for frame in frames if not all(path.is_file() and is_whole(path) for path in files_of(scene, frame))
    ]


def _absolute(path: str) -> Path:
    return Path(os.path.abspath(bpy.path.abspath(path)))


def _notes() -> Path:
    """The folder with one note of each Blender that is making a frame."""
    return user_folder() / "rendering"


def _own_note() -> Path:
    return _notes() / f"{socket.gethostname()}-{os.getpid()}.json"


def _concerns(scene: bpy.types.Scene) -> bool:
    return shows_avatars(scene) and not scene.render.use_overwrite and not scene.render.is_movie_format


def shows_avatars(scene: bpy.types.Scene) -> bool:
    """Whether a scene's render has to do with us."""
    return scene.render.engine in (ENGINE, CYCLES_ENGINE) or is_set_up(scene)


@persistent
def _note(scene: bpy.types.Scene, *_: object) -> None:
    """Before a frame is made: its files, but for those that are there already, which this render cannot be making."""
    if not _concerns(scene):
        return
    files = [str(path) for path in files_of(scene, scene.frame_current) if not path.exists() or _is_empty(path)]
    if files:
        _notes().mkdir(parents=True, exist_ok=True)
        text = json.dumps({"pid": os.getpid(), "birth": birth_of(os.getpid()), "files": files})
        _own_note().write_text(text, encoding="utf-8")


@persistent
def _forget(*_: object) -> None:
    _own_note().unlink(missing_ok=True)


@persistent
def _remove_left_behind(scene: bpy.types.Scene, *_: object) -> None:
    """Before a render that skips what is there: what is no frame, and nobody on this machine is making."""
    if not _concerns(scene):
        return
    for note, files in _left_behind():
        for path in files:
            if path.is_file() and not is_whole(path):
                path.unlink()
                _log.warning("removed %s, which a Blender that was killed had not finished", path)
        note.unlink(missing_ok=True)


def _left_behind() -> Iterator[tuple[Path, list[Path]]]:
    """The notes of this machine's Blenders that do not run any more."""
    for note in _notes().glob(f"{socket.gethostname()}-*.json"):
        try:
            told = json.loads(note.read_text(encoding="utf-8"))
            ended = told["birth"] is not None and birth_of(int(told["pid"])) != told["birth"]
            files = [Path(path) for path in told["files"]]
        except (OSError, ValueError, KeyError, TypeError):  # it is being written
            continue
        if ended:
            yield note, files


def _is_empty(path: Path) -> bool:
    return path.stat().st_size == 0
