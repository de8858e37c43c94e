# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes of the backend beside its service: trainings that outlive Blender, and short commands in the background."""

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..core.errors import HeadGaSError
from .births import birth_of
from .discovery import clean_environment
from .process import end_of_log

_REPAIR = "Run 'headgas doctor' with that Python"
_LINE = 1000  # bytes that hold a line
_NEW_GROUP = 0x200  # Windows: CREATE_NEW_PROCESS_GROUP, so that Ctrl-C in Blender's console is not the training's
_children: list[subprocess.Popen] = []  # kept, so that the system is told when they have ended


def start_detached(command: Sequence[str], log: Path) -> tuple[int, str]:
    """Starts a process that goes on when Blender ends, and writes what it says into `log`.

    Returns:
        Its number, and its birth as `birth_of` has it.

    Raises:
        HeadGaSError: it cannot be started.
    """
    try:
        with log.open("wb") as file:
            child = _start(command, file, file, start_new_session=True, flags=_NEW_GROUP)
    except OSError as error:
        raise HeadGaSError(f"{command[0]} could not be started: {error}", _REPAIR) from None
    _children.append(child)
    return child.pid, birth_of(child.pid) or "gone"


def reap() -> None:
    """Forgets the children that have ended; until then the system keeps their numbers."""
    _children[:] = [child for child in _children if child.poll() is None]


class Command:
    """A command of the backend that ends by itself, and with Blender at the latest."""

    def __init__(self, command: Sequence[str]) -> None:
        """Starts it.

        Raises:
            HeadGaSError: it cannot be started.
        """
        self._folder = tempfile.TemporaryDirectory(prefix="headgas-")
        self._output, self._log = (Path(self._folder.name, name) for name in ("output", "log"))
        try:
            with self._output.open("wb") as output, self._log.open("wb") as log:
                self._child = _start(command, output, log)
        except OSError as error:
            self._folder.cleanup()
            raise HeadGaSError(f"{command[0]} could not be started: {error}", _REPAIR) from None

    @property
    def ended(self) -> bool:
        """Whether `result` has one."""
        return self._child.poll() is not None

    @property
    def last_line(self) -> str:
        """What it wrote last on standard error; empty before it did."""
        with self._log.open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - _LINE))
            lines = log.read().decode("utf-8", errors="replace").splitlines()
        return lines[-1] if lines else ""

    def result(self) -> tuple[int, str, str]:
        """Exit status, standard output, the end of standard error; gives the files back."""
        output = self._output.read_text("utf-8", errors="replace")
        found = self._child.wait(), output, end_of_log(self._log)
        self._folder.cleanup()
        return found

    def close(self) -> None:
        """Ends it, whatever it does."""
        self._child.kill()
        self._child.wait()
        with contextlib.suppress(OSError):
            self._folder.cleanup()


def _start(command: Sequence[str], output: Any, log: Any, flags: int = 0, **options: Any) -> subprocess.Popen:
    if os.name == "nt":  # no console window
        options["creationflags"] = flags | getattr(subprocess, "CREATE_NO_WINDOW", 0)
    environment = clean_environment(os.environ) | {"PYTHONUTF8": "1"}
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=output, stderr=log, env=environment, close_fds=True, **options
    )
