# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Installs the backend into an environment of its own: streamed, cancellable, and able to go on where it stopped."""

import hashlib
import json
import os
import queue
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from ..core.errors import HeadGaSError
from ..core.files import write_text
from .discovery import UNFINISHED, clean_environment, on_path, python_of
from .tasks import Task
from .waiting import Cancelled

INSTALLED = "headgas-installed"  # written last
_TORCH_INDEX = "https://download.pytorch.org/whl/"
_CUDA_BUILDS = ((580, "cu130"), (560, "cu126"))  # of torch, and the oldest driver for each (NVIDIA's release notes)
_SPACE = {"cpu": 3e9, "cuda": 12e9}  # bytes, with the downloads
_SILENCE = 900.0  # seconds without a word: unpacking torch on a slow disk takes minutes
_PROGRESS = re.compile(r"Progress (\d+) of (\d+)")
_RAW_PROGRESS: tuple[int, ...] = (24, 1)  # the pip that tells how far a download is
_TAIL = 12  # lines of a failure


@dataclass(frozen=True)
class Wanted:
    """What is to be installed."""

    folder: Path  # of the environment
    python: Path  # makes it
    wheel: Path  # the backend
    requirements: Path  # its pinned versions
    source: str  # a folder of wheels or the address of an index; empty for the usual ones
    torch: str  # "cpu", or a build for CUDA, such as "cu130"
    log: Path

    @property
    def stamp(self) -> str:
        """What an environment that has all of this says of itself."""
        digest = hashlib.sha256(self.wheel.read_bytes() + self.requirements.read_bytes()).hexdigest()
        return json.dumps({"torch": self.torch, "content": digest})


@dataclass(frozen=True)
class _Step:
    title: str
    command: tuple[str, ...]
    share: float  # of the whole time, 0..1


def torch_build(environment: Mapping[str, str]) -> str:
    """The build of torch for this machine: "cpu", or the newest for CUDA that its NVIDIA driver runs."""
    for program in on_path(["nvidia-smi"], environment):
        query = [str(program), "--query-gpu=driver_version", "--format=csv,noheader"]
        hidden = getattr(subprocess, "CREATE_NO_WINDOW", 0)
        try:
            told = subprocess.run(query, capture_output=True, text=True, timeout=10, check=True, creationflags=hidden)
        except (OSError, subprocess.SubprocessError):  # a driver that does not work
            continue
        match = re.match(r"\d+", told.stdout.strip())
        driver = int(match[0]) if match else 0
        return next((build for oldest, build in _CUDA_BUILDS if driver >= oldest), "cpu")
    return "cpu"


def is_installed(wanted: Wanted) -> bool:
    """Whether the environment is complete and up to date."""
    stamp = wanted.folder / INSTALLED
    complete = stamp.is_file() and not (wanted.folder / UNFINISHED).exists()
    return complete and python_of(wanted.folder).is_file() and stamp.read_text("utf-8") == wanted.stamp


def install(wanted: Wanted, task: Task) -> str:
    """Does what is left to do. Returns what to tell the user; an environment that is complete is left alone.

    Raises:
        HeadGaSError: it did not work; the next call goes on.
        Cancelled: the next call goes on.
    """
    if is_installed(wanted):
        return f"The backend is already installed in {wanted.folder}"
    began = time.monotonic()
    _check_space(wanted)
    with wanted.log.open("w", encoding="utf-8") as log:
        environment = _Environment(wanted, task, log)
        environment.prepare()
        for step in environment.steps():
            environment.run(step)
        write_text(wanted.folder / INSTALLED, wanted.stamp)
        (wanted.folder / UNFINISHED).unlink()
    task.progress = 1.0
    return f"The backend was installed into {wanted.folder} in {time.monotonic() - began:.0f} seconds"


class _Environment:
    """One attempt."""

    def __init__(self, wanted: Wanted, task: Task, log: IO[str]) -> None:
        self._wanted, self._task, self._log = wanted, task, log
        self._python = str(python_of(wanted.folder))
        self._done = 0.0  # share of the steps behind us

    def prepare(self) -> None:
        """Makes the environment, or readies what an earlier attempt left."""
        folder = self._wanted.folder
        pip = self._pip_version()
        if pip is None or _recorded_torch(folder) not in (None, self._wanted.torch):
            folder.mkdir(parents=True, exist_ok=True)
            (folder / INSTALLED).unlink(missing_ok=True)
            write_text(folder / UNFINISHED, self._wanted.stamp)
            command = (str(self._wanted.python), "-I", "-m", "venv", str(folder))
            _clear(folder)
            self.run(_Step("Making an environment", command, 0.05))
        write_text(folder / UNFINISHED, self._wanted.stamp)
        (folder / INSTALLED).unlink(missing_ok=True)
        for record in folder.glob("**/site-packages/*.dist-info"):
            if not (record / "RECORD").is_file():  # an installation that was cut off: pip would take it for a whole one
                shutil.rmtree(record)
        if not self._tells_progress():
            try:
                self.run(_Step("Updating pip", self._pip("--upgrade", "pip", *self._from("")), 0.02))
            except HeadGaSError:  # a folder of wheels may lack it; then downloads do not tell how far they are
                self._say("pip stays as it is")

    def steps(self) -> list[_Step]:
        """What comes after the environment itself."""
        wanted = self._wanted
        torch = next(line for line in wanted.requirements.read_text("utf-8").splitlines() if line.startswith("torch="))
        torch_index = "" if sys.platform == "darwin" else _TORCH_INDEX + wanted.torch
        backend = str(wanted.wheel)
        steps = [
            _Step("Installing torch", self._pip(torch, *self._from(torch_index)), 0.5),
            _Step("Installing numba and others", self._pip("-r", str(wanted.requirements), *self._from("")), 0.3),
            _Step("Installing the backend", self._pip("--force-reinstall", "--no-deps", "--no-index", backend), 0.02),
        ]
        if wanted.torch != "cpu":
            steps.append(_Step("Installing gsplat", self._pip(f"{backend}[cuda]", *self._from("")), 0.03))
        compiling = (self._python, "-I", "-m", "headgas", "compile")
        return [*steps, _Step("Compiling kernels for this machine", compiling, 0.1)]

    def run(self, step: _Step) -> None:
        """Runs a program to its end; its output goes into the log and to the user."""
        self._task.stage = step.title
        self._say(f"== {step.title}")
        child = subprocess.Popen(
            step.command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=clean_environment(os.environ) | {"PYTHONUTF8": "1", "PYTHONUNBUFFERED": "1"},
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
        try:
            last = self._follow(child, step)
        finally:
            _end(child)
        if child.returncode:
            raise HeadGaSError(
                "\n".join([f"{step.title} failed; the end of its log:", *last]),
                "Press 'Install' again: it goes on. The preferences open the whole log",
            )
        self._done += step.share
        self._task.progress = self._done

    def _follow(self, child: subprocess.Popen, step: _Step) -> list[str]:
        """Reads what the child says until it ends. Returns the last lines."""
        said: queue.SimpleQueue[str | None] = queue.SimpleQueue()

        def read() -> None:
            with cast(IO[bytes], child.stdout) as output:
                for line in output:
                    said.put(line.decode("utf-8", errors="replace").rstrip())
            said.put(None)

        threading.Thread(target=read, daemon=True).start()
        last: list[str] = []
        heard = time.monotonic()
        while True:
            if self._task.cancelled:
                self._say("cancelled")
                raise Cancelled(step.title)
            try:
                line = said.get(timeout=0.1)
            except queue.Empty:
                if time.monotonic() - heard > _SILENCE:
                    silent = f"{step.title}: nothing was heard for {_SILENCE:g} seconds"
                    raise HeadGaSError(silent, "Press 'Install' again: it goes on") from None
                continue
            heard = time.monotonic()
            if line is None:
                child.wait(60)
                return last
            if match := _PROGRESS.fullmatch(line):
                self._show_download(step, int(match[1]), int(match[2]))
            elif line:
                self._say(line)
                last = [*last, line][-_TAIL:]

    def _show_download(self, step: _Step, received: int, size: int) -> None:
        self._task.stage = f"{step.title}: {received / 1e6:.0f} of {size / 1e6:.0f} MB"
        if size > 2e7:  # small files of the same step would move the bar to its end and back
            reached = self._done + step.share * 0.9 * received / size
            self._task.progress = max(self._task.progress, reached)

    def _say(self, line: str) -> None:
        self._log.write(line + "\n")
        self._log.flush()
        self._task.lines.append(line)

    def _pip(self, *arguments: str) -> tuple[str, ...]:
        # wheels alone: nothing is built, and no setup script runs
        progress = "raw" if self._tells_progress() else "off"
        options = ("--no-input", "--disable-pip-version-check", "--no-user", "--only-binary", ":all:")
        return (self._python, "-I", "-m", "pip", "install", *options, "--progress-bar", progress, *arguments)

    def _from(self, index: str) -> list[str]:
        """Where pip looks: the user's source, else `index`, else what pip is set to."""
        if Path(self._wanted.source).is_dir() and self._wanted.source:
            return ["--no-index", "--find-links", self._wanted.source]
        chosen = self._wanted.source or index
        return ["--index-url", chosen] if chosen else []

    def _tells_progress(self) -> bool:
        """Whether the environment's pip can say how far a download is."""
        version = self._pip_version()
        return version is not None and version >= _RAW_PROGRESS

    def _pip_version(self) -> tuple[int, ...] | None:
        """Of the environment's pip; None when the environment does not work."""
        command = [self._python, "-I", "-c", "import pip; print(pip.__version__)"]
        hidden = getattr(subprocess, "CREATE_NO_WINDOW", 0)
        try:
            told = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True, creationflags=hidden)
            return tuple(int(part) for part in told.stdout.split(".")[:2])
        except (OSError, ValueError, subprocess.SubprocessError):
            return None


def _recorded_torch(folder: Path) -> str | None:
    """The build of torch that the environment was made for; None when it does not say."""
    for name in (UNFINISHED, INSTALLED):
        try:
            return json.loads((folder / name).read_text("utf-8"))["torch"]
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return None


def _clear(folder: Path) -> None:
    """Empties the folder but for the mark that it is ours and not finished."""
    for path in folder.iterdir():
        if path.name == UNFINISHED:
            continue
        try:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        except OSError as error:
            raise HeadGaSError(
                f"{path} cannot be removed: {error.strerror or error}", "Restart Blender, and try again"
            ) from None


def _check_space(wanted: Wanted) -> None:
    needed = _SPACE["cpu" if wanted.torch == "cpu" else "cuda"]
    place = wanted.folder.parent
    free = shutil.disk_usage(place).free
    if free < needed:
        message = f"The backend needs about {needed / 1e9:.0f} GB in {place}, where {free / 1e9:.1f} GB are free"
        raise HeadGaSError(message, "Make room there")


def _end(child: subprocess.Popen) -> None:
    """Ends a child that still runs: asks, then insists."""
    for insist in (child.terminate, child.kill):
        if child.poll() is not None:
            break
        insist()
        try:
            child.wait(5.0)
        except subprocess.TimeoutExpired:
            continue
