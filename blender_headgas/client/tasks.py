# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs beside Blender, which stays responsive: one task of each name at a time."""

import atexit
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from ..core.errors import HeadGaSError
from .waiting import Cancelled

_LINES = 8  # of its log that a task shows
_PATIENCE = 8.0  # seconds that a cancelled task has to tidy up
_tasks: dict[str, "Task"] = {}


class Task:
    """A function in a thread of its own, and what it says meanwhile."""

    def __init__(self, function: Callable[["Task"], Any]) -> None:
        self.result: Any = None
        self.error: Exception | None = None
        self.stage = ""  # what it does, for the user
        self.progress = 0.0  # 0..1
        self.lines: deque[str] = deque(maxlen=_LINES)  # the last of its log
        self._cancelled = threading.Event()
        self._function = function
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    @property
    def done(self) -> bool:
        """Whether there is a result or an error."""
        return not self._thread.is_alive()

    @property
    def cancelled(self) -> bool:
        """Whether the user does not want its result any more."""
        return self._cancelled.is_set()

    def cancel(self) -> None:
        """Asks it to end soon."""
        self._cancelled.set()

    def wait(self, seconds: float | None = None) -> None:
        """Waits for its end."""
        self._thread.join(seconds)

    def outcome(self) -> Any:
        """The result of a task that is done. Raises what it raised."""
        if self.error is not None:
            raise self.error
        return self.result

    def _work(self) -> None:
        try:
            self.result = self._function(self)
        except Cancelled:
            self.error = HeadGaSError("Cancelled")
        except Exception as error:  # shown, or raised again, by whoever asks for the outcome
            self.error = error


def start(name: str, function: Callable[[Task], Any]) -> Task:
    """Starts a task. Raises HeadGaSError while the last one of its name is at work."""
    if (last := _tasks.get(name)) and not last.done:
        raise HeadGaSError(f"HeadGaS is already at it: {last.stage or name}", "Wait for it, or cancel it")
    atexit.register(cancel_all)
    _tasks[name] = Task(function)
    return _tasks[name]


def task(name: str) -> Task | None:
    """The last task of a name."""
    return _tasks.get(name)


def cancel_all() -> None:
    """Ends all tasks and forgets them; waits for them a short while."""
    atexit.unregister(cancel_all)
    for ended in _tasks.values():
        ended.cancel()
    for ended in _tasks.values():
        ended.wait(_PATIENCE)
    _tasks.clear()
