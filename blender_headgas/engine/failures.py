# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes a failed frame visible: to the user, and as an exit status to whoever started Blender without a window."""

import atexit
import logging
import os
import sys
from functools import partial
from types import TracebackType

import bpy
from bpy.app.handlers import persistent

from .. import client
from ..core.errors import HeadGaSError
from ..core.messages import reportable
from .spoilt import spoil

_log = logging.getLogger(__name__)
_failed = False


class reported:
    """Ends a render whose frame cannot be made: no image is written. What the user cancelled is no failure.

    No generator: its frame would keep the error, and by the error's traceback the engine, until the garbage is
    collected. By then Blender has freed what the engine stands for, and Cycles its session no more.
    """

    def __init__(self, engine: bpy.types.RenderEngine, scene: bpy.types.Scene, frame: int) -> None:
        self._engine, self._scene, self._frame = engine, scene, frame

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        fail = partial(_fail, self._engine, self._scene, self._frame)
        if isinstance(error, client.Cancelled):
            if not self._engine.test_break():  # Blender would go on, and write the frame without a picture
                fail("The backend was stopped while it rendered")
        elif isinstance(error, HeadGaSError):
            fail(reportable(error))
        elif isinstance(error, Exception):
            fail(f"HeadGaS has a bug, please report it with the console's text: {error}")
        return isinstance(error, client.Cancelled | HeadGaSError)


def _fail(engine: bpy.types.RenderEngine, scene: bpy.types.Scene, frame: int, message: str) -> None:
    # An ERROR report stops Blender before it writes an image. error_set alone would let it write a black one.
    engine.report({'ERROR'}, f"Frame {frame}: {message}")
    engine.error_set(message)
    if spoil(scene):
        _log.error("Frame %s: %s", frame, message)
    remember_failure()


def remember_failure() -> None:
    """Blender ends with status 0 whatever a render engine reports; from now on this process ends with 1.

    In the bpy module the render operator raises an exception, and the script that called it decides.
    """
    global _failed  # noqa: PLW0603 - what the process will end with
    if bpy.app.background and not _is_module():
        _failed = True
        atexit.unregister(_exit_with_failure)
        atexit.register(_exit_with_failure)


@persistent
def end_job(*_: object) -> None:
    """After a failed frame: of `-f 1..9` Blender would go on with the next. A script that renders decides by itself."""
    if _failed and sys._getframe().f_back is None:  # no Python has called the render: the command line has
        _exit_with_failure()


def _is_module() -> bool:
    return getattr(bpy.app, "module", not bpy.app.binary_path)


def _exit_with_failure() -> None:
    client.stop()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1)
