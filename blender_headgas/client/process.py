# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The backend's process: starts it, reads where it listens, notices its death, ends it."""

import contextlib
import json
import os
import secrets
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from ..core.errors import HeadGaSError
from .connection import ConnectionLost
from .discovery import clean_environment
from .protocol import KEY_VARIABLE, PROTOCOL, START_DEADLINE, VERSION
from .waiting import Patience, in_thread, never

_REPAIR = "Run 'headgas doctor' with that Python, and look at the log"
_LOG_LINES = 12
Call = Callable[..., dict[str, Any]]  # of a request: Backend.call
_LINE_LIMIT = 65536  # bytes; the announcement has about a hundred


class BackendDied(HeadGaSError):
    """A backend that worked is gone; another may do better."""


@dataclass(frozen=True)
class LaunchSettings:
    """How to start the backend."""

    command: tuple[str, ...]  # the program and its arguments
    log: Path  # receives what the backend writes on standard error

    def open(self) -> "BackendProcess":
        """Starts it."""
        return BackendProcess(self)


@dataclass(frozen=True)
class Announcement:
    """The backend's first line: where it listens."""

    version: str
    protocol: int
    host: str
    port: int


class BackendProcess:
    """A child that ends with us: it watches its standard input, which closes when Blender is gone."""

    shares_memory = True
    encoding = "raw"  # of pixels for which the system has no shared memory

    def __init__(self, settings: LaunchSettings) -> None:
        self.settings = settings
        self._ended = False  # by us
        self.key = secrets.token_bytes(32)
        environment = clean_environment(os.environ) | {KEY_VARIABLE: self.key.hex(), "PYTHONUTF8": "1"}
        try:
            with settings.log.open("ab") as log:  # after what the one before said: why it died
                self._log_start = log.tell()
                self._child = subprocess.Popen(
                    settings.command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    env=environment,
                    creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),  # no console window on Windows
                )
        except OSError as error:
            raise HeadGaSError(f"{settings.command[0]} could not be started: {error}", _REPAIR) from None
        self._input, self._output = cast(IO[bytes], self._child.stdin), cast(IO[bytes], self._child.stdout)

    @property
    def alive(self) -> bool:
        """Whether the child still runs."""
        return self._child.poll() is None

    @property
    def pid(self) -> int:
        """The child's process number."""
        return self._child.pid

    def death(self) -> BackendDied | None:
        """What to say, with the end of its log, of a child that has died by itself."""
        if self.alive or self._ended:
            return None
        return BackendDied(f"The backend stopped unexpectedly ({self._cause()}){self.log_tail()}", _REPAIR)

    def check_alive(self) -> None:
        """Raises, with the end of its log, when the child has died."""
        death = self.death()
        try:
            if death is not None:
                raise death
        finally:
            del death  # it would hold itself by its traceback, and the engine that waits, which Blender frees

    def lost(self, error: ConnectionLost) -> HeadGaSError:
        """What a broken connection means: mostly the child's death, which it comes a moment before."""
        self._reap(2.0)
        death = self.death()
        message = f"The connection to the backend broke: {error}{self.log_tail()}"
        return death or HeadGaSError(message, "Try again: it starts anew")

    def place(self, avatar: Path, _call: Call) -> str:
        """The path of an avatar's file for the backend."""
        return str(avatar)

    def wait_for_announcement(
        self, cancelled: Callable[[], bool] = never, deadline: float = START_DEADLINE
    ) -> Announcement:
        """Reads the one line that the child writes when it accepts connections; `deadline` in seconds."""
        patience = Patience("Starting the backend", deadline, cancelled, lambda: None)
        try:
            line = in_thread(lambda: self._output.readline(_LINE_LIMIT), patience)
        except TimeoutError as error:
            raise HeadGaSError(f"{error}{self.log_tail()}", _REPAIR) from None
        if not line:
            self._reap(2.0)
            self._check_installed()
            self.check_alive()
        return _announcement(line, self.log_tail())

    def log_tail(self) -> str:
        """The last lines of the child's standard error, ready to be appended to a message."""
        return end_of_log(self.settings.log, self._log_start)

    def stop(self) -> None:
        """Ends the child: asks by closing its standard input, then insists."""
        self._ended = True
        with contextlib.suppress(OSError):
            self._input.close()
        for insist in (lambda: None, self._child.terminate, self._child.kill):
            insist()
            if self._reap(2.0):
                break
        self._output.close()

    def kill(self) -> None:
        """Ends a child that does not answer any more."""
        self._ended = True
        self._child.kill()
        self.stop()

    def _check_installed(self) -> None:
        if "No module named headgas" in self.log_tail():
            python = self.settings.command[0]
            raise HeadGaSError(
                f"{python} has no HeadGaS backend",
                f"Install it there ({python} -m pip install headgas), or choose another Python in the preferences",
            )

    def _reap(self, seconds: float) -> bool:
        try:
            self._child.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _cause(self) -> str:
        code = self._child.returncode
        if code >= 0:
            return f"exit status {code}"
        try:
            return f"signal {signal.Signals(-code).name}"
        except ValueError:
            return f"signal {-code}"


def end_of_log(path: Path, start: int = 0) -> str:
    """The last lines of a process's log from byte `start` on, ready to be appended to a message; maybe none."""
    try:
        with path.open("rb") as log:
            log.seek(start)
            lines = log.read().decode("utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    shown = [line for line in lines if line.strip()][-_LOG_LINES:]
    return "\n".join(["; the end of its log:", *shown]) if shown else ""


def _announcement(line: bytes, log_tail: str) -> Announcement:
    try:
        said = json.loads(line)
        announcement = Announcement(str(said["headgas"]), int(said["protocol"]), str(said["host"]), int(said["port"]))
    except (ValueError, KeyError, TypeError):
        shown = line[:200].decode("utf-8", errors="replace").strip()
        raise HeadGaSError(f"The backend did not say where it listens, but {shown!r}{log_tail}", _REPAIR) from None
    if announcement.protocol != PROTOCOL:
        raise HeadGaSError(
            f"The extension is version {VERSION} (protocol {PROTOCOL}), "
            f"the backend is version {announcement.version} (protocol {announcement.protocol}): they do not fit",
            f"Install the same version of both: pip install headgas=={VERSION}",
        )
    return announcement
