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
from ..core.errors import HeadGaSError
from ..core.files import write_text
from ..core.frames import is_whole
from .native_panels import CYCLES_ENGINE, ENGINE
from .second_scene import is_set_up

_log = logging.getLogger(__name__)


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
def begin(scene: bpy.types.Scene, *_: object) -> None:
    """Before a render that skips what is there: removes what is no frame, and nobody on this machine is making."""
    if not _concerns(scene):
        return
    for told, frames in _left_behind():
        for files in frames:
            broken = [path for path in files if path.is_file() and not is_whole(path)]
            for path in broken:
                path.unlink()
                _log.warning("removed %s, which a Blender that was killed had not finished", path)
            if broken:
                break  # it had not come to the next frame, which others may be making
        told.unlink(missing_ok=True)
    _write(scene, scene.frame_start - scene.frame_step, [])


@persistent
def note(scene: bpy.types.Scene, *_: object) -> None:
    """Before a frame is made."""
    if _concerns(scene):
        now = [path for path in files_of(scene, scene.frame_current) if not path.exists() or _is_empty(path)]
        _write(scene, scene.frame_current, [now])


def _write(scene: bpy.types.Scene, frame: int, making: list[list[Path]]) -> None:
    """Notes the files that are being made, and those of the next frame: Blender makes its placeholder unseen."""
    for number in range(frame + scene.frame_step, scene.frame_end + 1, scene.frame_step):
        if missing := [path for path in files_of(scene, number) if not path.exists()]:
            making = [*making, missing]
            break
    files = [[str(path) for path in paths] for paths in making if paths]
    text = json.dumps({"pid": os.getpid(), "birth": birth_of(os.getpid()), "frames": files})
    try:
        _notes().mkdir(parents=True, exist_ok=True)
        write_text(_own_note(), text)
    except (OSError, HeadGaSError) as error:  # a farm's machine may have no home to write to
        _log.warning("if this Blender is killed, Remove Broken Frames before you go on (%s)", error)


@persistent
def forget(*_: object) -> None:
    _own_note().unlink(missing_ok=True)


def _left_behind() -> Iterator[tuple[Path, list[list[Path]]]]:
    """The notes of this machine's Blenders that do not run any more: the files of the frames that they were making."""
    for path in _notes().glob(f"{socket.gethostname()}-*.json"):
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
            ended = told["birth"] is not None and birth_of(int(told["pid"])) != told["birth"]
            frames = [[Path(path) for path in files] for files in told["frames"]]
        except (OSError, ValueError, KeyError, TypeError):  # another has just removed it, or it is none of ours
            continue
        if ended:
            yield path, frames


def _is_empty(path: Path) -> bool:
    return path.stat().st_size == 0
