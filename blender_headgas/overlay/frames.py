# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames made in a thread of their own: one in the making, one waiting for each viewport, the newest wins."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

_Request = TypeVar("_Request")
_Frame = TypeVar("_Frame")


class AsyncFrames(Generic[_Request, _Frame]):
    """Asking and collecting never wait, so both may be done while a viewport is drawn."""

    def __init__(self, make: Callable[[_Request], _Frame]) -> None:
        """make: runs in the thread; what it raises becomes the answer, too."""
        self._make = make
        self._changed = threading.Condition()
        self._waiting: dict[int, _Request] = {}  # by viewport, the longest waiting first
        self._done: dict[int, tuple[_Request, _Frame | Exception]] = {}
        self._busy = self._closed = False
        self._thread = threading.Thread(target=self._work, name="headgas-overlay", daemon=True)
        self._thread.start()

    @property
    def busy(self) -> bool:
        """Whether there is something to be collected, now or later."""
        with self._changed:
            return self._busy or bool(self._waiting) or bool(self._done)

    def ask(self, viewport: int, request: _Request) -> None:
        """Wants a frame. What the viewport was waiting for so far is forgotten; its turn is kept."""
        with self._changed:
            self._waiting[viewport] = request
            self._changed.notify()

    def forget(self) -> None:
        """Takes back all requests that wait."""
        with self._changed:
            self._waiting.clear()

    def collect(self) -> dict[int, tuple[_Request, _Frame | Exception]]:
        """The newest answer of each viewport since the last call, with what was asked."""
        with self._changed:
            done, self._done = self._done, {}
            return done

    def close(self, seconds: float) -> None:
        """Ends the thread, after the frame in the making; waits for that at most `seconds`."""
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._changed.notify()
        self._thread.join(seconds)

    def _work(self) -> None:
        while True:
            with self._changed:
                self._busy = False
                while not self._waiting and not self._closed:
                    self._changed.wait()
                if self._closed:
                    return
                viewport = next(iter(self._waiting))
                request = self._waiting.pop(viewport)
                self._busy = True
            try:
                answer = self._make(request)
            except Exception as error:  # told to whoever asked
                answer = error
            with self._changed:
                self._done[viewport] = request, answer
