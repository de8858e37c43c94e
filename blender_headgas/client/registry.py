# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one backend of this Blender: started by the first request, shared by all, gone when Blender ends."""

import atexit
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from .backend import Backend
from .process import BackendDied, LaunchSettings
from .remote import RemoteSettings
from .waiting import POLL_SECONDS, Cancelled, never

_GRACE = 2.0  # seconds; a new start takes longer
_SOON = 60.0  # seconds; a backend that dies again within them is not started by itself
_Result = TypeVar("_Result")

_running: Backend | None = None
_last_death: float | None = None  # of time.monotonic()
_lock = threading.RLock()  # one thread at a time starts or stops it
_stopping = threading.Event()  # whoever is starting it lets go


def backend(settings: LaunchSettings | RemoteSettings, cancelled: Callable[[], bool] = never) -> Backend:
    """The running backend; or a new one when it is of no use: dead, differently set, or busy with cancelled work."""
    global _running  # noqa: PLW0603 - the one registry of the process
    with _turn(cancelled):
        if _running is not None and not (
            _running.alive and _running.settings == settings and _running.settle(_GRACE, cancelled)
        ):
            _close()
        if _running is None:
            _running = Backend(settings, lambda: cancelled() or _stopping.is_set())
            atexit.register(stop)
        return _running


def ask(
    settings: LaunchSettings | RemoteSettings,
    request: Callable[[Backend], _Result],
    cancelled: Callable[[], bool] = never,
    notify: Callable[[str], object] = lambda notice: None,
) -> _Result:
    """What `request` returns for the backend. One that dies is started again, and asked again; `notify` is told why.

    Raises:
        BackendDied: it died twice, in this request or (on this machine) within a minute; the next request starts it.
    """
    soon = 0.0 if isinstance(settings, RemoteSettings) else _SOON  # only a connection may have broken over there
    if _running is not None and (death := _running.death()):
        _started_again(death, soon, notify)
    current = backend(settings, cancelled)
    try:
        return request(current)
    except BackendDied as death:
        _started_again(death, soon, notify)
    current = backend(settings, cancelled)
    try:
        return request(current)
    except BackendDied as death:
        raise _given_up(death) from None


def running() -> Backend | None:
    """The backend if one is alive; never starts one."""
    current = _running
    return current if current is not None and current.alive else None


def starting() -> bool:
    """Whether another thread is starting the backend."""
    if _lock.acquire(blocking=False):
        _lock.release()
        return False
    return running() is None


def stop() -> None:
    """Ends the backend, if there is one, or if one is being started; what it died of is forgotten."""
    global _last_death  # noqa: PLW0603
    _stopping.set()
    with _lock:
        _close()
        _last_death = None
        _stopping.clear()


def _started_again(death: BackendDied, soon: float, notify: Callable[[str], object]) -> None:
    """Notes a death and tells of it. Raises when it is the second within so many seconds."""
    global _last_death  # noqa: PLW0603
    before, _last_death = _last_death, time.monotonic()
    if before is not None and _last_death - before < soon:
        with _turn(never):
            _close()
        raise _given_up(death)
    notify(f"{death.message.splitlines()[0].partition(';')[0]}. It is started again")


def _given_up(death: BackendDied) -> BackendDied:
    return BackendDied(f"The backend died twice. {death.message}", death.hint)


def _close() -> None:
    global _running  # noqa: PLW0603
    atexit.unregister(stop)
    if _running is not None:
        gone, _running = _running, None
        gone.close()


@contextmanager
def _turn(cancelled: Callable[[], bool]) -> Iterator[None]:
    """Waits until no other thread starts or stops it, which has a limit of its own."""
    while not _lock.acquire(timeout=POLL_SECONDS):
        if cancelled():
            raise Cancelled("the backend")
    try:
        yield
    finally:
        _lock.release()
