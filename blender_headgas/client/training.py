# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The trainings of this user: started, watched, told what to do, and found again by the next Blender."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from ..core.errors import HeadGaSError
from ..core.files import write_text
from ..core.runs import (
    AVATAR,
    CONTROL,
    ENDED,
    FILES,
    LOG,
    RESUME,
    STATUS,
    Curve,
    RunRecord,
    RunStatus,
    read_records,
    read_status,
    write_records,
)
from .births import birth_of
from .detached import reap, start_detached
from .process import end_of_log

_PULSE_EVERY = 2.0  # seconds between two looks whether the process still runs
_SILENCE = 60.0  # seconds after which a process that is not ours is taken for dead


class Run:
    """A training and what is known of it now."""

    def __init__(self, record: RunRecord) -> None:
        self.record = record
        self.status = RunStatus()
        self.curve = Curve(record.path)
        self.state = "starting"  # as its status has it, or "failed" where its process has died
        self.reason = ""  # why it failed
        self.avatar_changed = 0  # nanoseconds, of the avatar's file; 0 while there is none
        self._told = 0
        self._felt = 0.0

    @property
    def ended(self) -> bool:
        return self.state in ENDED

    @property
    def avatar(self) -> Path:
        return self.record.path / AVATAR

    @property
    def resumable(self) -> bool:
        """Whether its process is gone, but has left what is needed to go on."""
        return self.state == "failed" and (self.record.path / RESUME).is_file()

    def poll(self) -> bool:
        """Looks at its files and, now and then, at its process; whether anything is new."""
        changed = self._read()
        if not self.ended and time.monotonic() - self._felt > _PULSE_EVERY:
            self._felt = time.monotonic()
            if not self._lives():
                self._told = 0
                self._read()  # it may have ended well since it was looked at
                if not self.ended:
                    self.state, self.reason = "failed", self._cause()
                changed = True
        return self.curve.read_on() or changed

    def tell(self, wish: str) -> None:
        """Tells the process to "pause", to "train" again or to "stop" and keep what it has learnt.

        Raises:
            HeadGaSError: the file cannot be written.
        """
        write_text(self.record.path / CONTROL, json.dumps({"wish": wish}))

    def _read(self) -> bool:
        told, avatar = (_changed(self.record.path / name) for name in (STATUS, AVATAR))
        if (told, avatar) == (self._told, self.avatar_changed):
            return False
        status = read_status(self.record.path) if told else None
        if status is not None:
            self.status, self._told = status, told
            self.state, self.reason = status.state, status.message
        self.avatar_changed = avatar
        return True

    def _lives(self) -> bool:
        """Whether its process runs, or another one that somebody else started in its folder has just spoken."""
        if birth_of(self.record.pid) == self.record.birth:
            return True
        return self.status.pid != self.record.pid and time.time() - self.status.updated < _SILENCE

    def _cause(self) -> str:
        if not self.record.path.is_dir():
            return f"The folder {self.record.path} is gone"
        log = end_of_log(self.record.path / LOG)
        if "No module named headgas" in log:
            return "The Python that was to train has no HeadGaS backend: choose another in the preferences"
        return f"The training stopped unexpectedly{log}"


class Runs:
    """The list of runs, newest first. Several Blenders may have it open: each change is made to the file as it is."""

    def __init__(self, path: Path) -> None:
        """path: of the list.

        Raises:
            HeadGaSError: it is damaged.
        """
        self._path = path
        self._runs: dict[int, Run] = {}
        self._turn = 0
        self._changed = -1
        self.reload()

    def reload(self) -> bool:
        """Reads the list again where another Blender has changed it; whether it has."""
        changed = _changed(self._path)
        if changed == self._changed:
            return False
        records, self._changed = read_records(self._path), changed
        known, self._runs = self._runs, {}
        for record in sorted(records, key=lambda record: -record.number):
            run = known.get(record.number)
            if run is None or (run.record.pid, run.record.birth) != (record.pid, record.birth):
                run = Run(record)
            run.record = record
            self._runs[record.number] = run
        return True

    def all(self) -> list[Run]:
        """Every run, newest first."""
        return list(self._runs.values())

    def get(self, number: int) -> Run:
        """The run of that number.

        Raises:
            HeadGaSError: there is none.
        """
        if number not in self._runs:
            raise HeadGaSError("This training run is not in the list any more")
        return self._runs[number]

    def poll(self) -> bool:
        """Looks at the runs that go on, and at one of the others; whether anything is new."""
        reap()
        changed = self.reload()
        going = [run for run in self.all() if not run.ended]
        ended = [run for run in self.all() if run.ended]
        self._turn += 1
        for run in going + ended[self._turn % len(ended) :][:1] if ended else going:
            changed |= run.poll()
        return changed

    def start(self, program: Sequence[str], arguments: Sequence[str], record: RunRecord) -> Run:
        """Starts a training, or goes on with one whose process is gone; returns it.

        Args:
            program: the backend's command line up to its command.
            arguments: of `train`.
            record: what to remember; number, process and birth are filled in. Number 0 makes a new run.

        Raises:
            HeadGaSError: the folder cannot be written, or the process cannot be started.
        """
        folder = record.path
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for name in (STATUS, CONTROL):  # of an earlier process
                (folder / name).unlink(missing_ok=True)
        except OSError as error:
            raise HeadGaSError(
                f"{folder} cannot be written: {error.strerror or error}", "Choose another folder"
            ) from None
        pid, birth = start_detached((*program, "train", *arguments), folder / LOG)
        started = replace(record, pid=pid, birth=birth, closed=False)

        def add(records: list[RunRecord]) -> list[RunRecord]:
            nonlocal started
            if not started.number:
                started = replace(started, number=1 + max((known.number for known in records), default=0))
            return [known for known in records if known.number != started.number] + [started]

        self._change(add)
        return self.get(started.number)

    def close(self, run: Run) -> None:
        """Remembers that a run's end was seen to."""
        closed = replace(run.record, closed=True)
        self._change(lambda records: [closed if known.number == closed.number else known for known in records])

    def forget(self, run: Run, delete: bool) -> None:
        """Takes a run off the list; with `delete` what training wrote goes too, and nothing else in the folder.

        Raises:
            HeadGaSError: it still trains, or a file cannot be deleted.
        """
        if not run.ended:
            raise HeadGaSError(f"'{run.record.name}' still trains", "Stop it first")
        if delete:
            try:
                for name in FILES:
                    for path in (run.record.path / name, run.record.path / f"{name}.part"):
                        path.unlink(missing_ok=True)
                if run.record.path.is_dir() and not any(run.record.path.iterdir()):
                    run.record.path.rmdir()
            except OSError as error:
                raise HeadGaSError(f"{error.filename} cannot be deleted: {error.strerror or error}") from None
        number = run.record.number
        self._change(lambda records: [known for known in records if known.number != number])

    def _change(self, change: Callable[[list[RunRecord]], list[RunRecord]]) -> None:
        write_records(self._path, change(read_records(self._path)))
        self._changed = -1  # two changes may be too near to each other for a file's time
        self.reload()


def _changed(path: Path) -> int:
    """When a file was changed, nanoseconds; 0 where there is none."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
