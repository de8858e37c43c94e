# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one backend of this Blender: started by the first request, shared by all, gone when Blender ends."""

import atexit
from collections.abc import Callable

from .backend import Backend
from .process import LaunchSettings
from .waiting import never

_GRACE = 2.0  # seconds; a new start takes longer
_running: Backend | None = None


def backend(settings: LaunchSettings, cancelled: Callable[[], bool] = never) -> Backend:
    """The running backend; or a new one when it is of no use: dead, differently set, or busy with cancelled work."""
    global _running  # noqa: PLW0603 - the one registry of the process
    if _running is not None and not (_running.alive and _running.settings == settings and _running.settle(_GRACE)):
        stop()
    if _running is None:
        _running = Backend(settings, cancelled)
        atexit.register(stop)
    return _running


def running() -> Backend | None:
    """The backend if one is alive; never starts one."""
    return _running if _running is not None and _running.alive else None


def stop() -> None:
    """Ends the backend, if there is one."""
    global _running  # noqa: PLW0603
    atexit.unregister(stop)
    if _running is not None:
        gone, _running = _running, None
        gone.close()
