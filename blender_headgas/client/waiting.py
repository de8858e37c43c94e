# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting for another program without ever being stuck: a pulse, a deadline and the user's Esc end it."""

import queue
import threading
import time
from collections.abc import Callable
from typing import TypeVar

POLL_SECONDS = 0.02
_Result = TypeVar("_Result")


class Cancelled(Exception):
    """The user does not want the result any more."""


def never() -> bool:
    """The `cancelled` of a request that nobody can cancel."""
    return False


class Patience:
    """Decides after each look at the other program whether to go on waiting."""

    def __init__(
        self, what: str, deadline: float, cancelled: Callable[[], bool], check_alive: Callable[[], None]
    ) -> None:
        """`deadline` is in seconds from now; `check_alive` raises when the other program has died."""
        self._what = what
        self._seconds = deadline
        self._end = time.monotonic() + deadline
        self._cancelled = cancelled
        self._check_alive = check_alive

    def spend(self) -> None:
        """Raises when waiting has become pointless."""
        self._check_alive()
        if self._cancelled():
            raise Cancelled(self._what)
        if time.monotonic() > self._end:
            raise TimeoutError(f"{self._what} took longer than {self._seconds:g} seconds")


def in_thread(function: Callable[[], _Result], patience: Patience) -> _Result:
    """The result of a function that may block for ever; when patience ends, its thread is left to its fate."""
    answers: queue.SimpleQueue = queue.SimpleQueue()

    def work() -> None:
        try:
            answers.put((function(), None))
        except Exception as error:  # raised again by the thread that waits
            answers.put((None, error))

    threading.Thread(target=work, daemon=True).start()
    while True:
        try:
            result, error = answers.get(timeout=POLL_SECONDS)
        except queue.Empty:
            patience.spend()
            continue
        try:
            if error is not None:
                raise error
            return result
        finally:
            del error  # it would hold itself by its traceback, and whoever waits
