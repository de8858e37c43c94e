# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""A capture under way: a Blender of its own in the background, and the files in its folder that tell how it is.

It works on a copy of the .blend file that lies in the folder until the capture is done, so that the user can go on
working, and so that a capture that was ended goes on with what it began with. It outlives the Blender that started it.
"""

import json
import os
import signal
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import bpy

from ..client.births import birth_of
from ..client.detached import reap, start_detached
from ..client.process import end_of_log
from ..core.errors import HeadGaSError
from ..core.files import write_text
from .order import EEVEE, Order, read_order, same_pictures
from .writer import DEPTHS, IMAGES, MANIFEST, POINTS, make_folders

PLAN, SOURCE, STATUS, LOG = "capture.plan.json", "capture.blend", "capture.status.json", "capture.log"
_NO_GRAPHICS = "EEVEE needs a graphics card and its driver: where there is none, choose Cycles."
IDLE, STARTING, RENDERING, STOPPED, FAILED, FINISHED = "idle", "starting", "rendering", "stopped", "failed", "finished"
_PACKAGE = Path(__file__).resolve().parents[1]
# The extension as a package of another name: it need not be enabled where it works.
_PROGRAM = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("headgas_capture", {init!r}, submodule_search_locations=[{folder!r}])
module = importlib.util.module_from_spec(spec)
sys.modules[spec.name] = module
spec.loader.exec_module(module)
from headgas_capture.capture.worker import main
main({target!r})
"""
_started: dict[Path, tuple[int, str]] = {}  # by folder: a process that has not told anything yet, and its birth


@dataclass(frozen=True)
class JobStatus:
    """How a capture is, as its process tells it."""

    state: str = IDLE
    message: str = ""  # why it failed
    done: int = 0  # frames
    total: int = 0
    rendered: int = 0  # frames that `seconds` were needed for
    seconds: float = 0.0
    pid: int = 0
    birth: str = ""

    @property
    def is_running(self) -> bool:
        return self.state in (STARTING, RENDERING)

    @property
    def seconds_per_frame(self) -> float:
        """0 until it is known."""
        return self.seconds / self.rendered if self.rendered else 0.0

    @property
    def seconds_left(self) -> float:
        return (self.total - self.done) * self.seconds_per_frame


def start(folder: Path, order: Order, start_over: bool = False) -> None:
    """Starts a capture, or goes on with one that was ended: with the scene as it was when that began. What is captured
    already is left alone.

    Raises:
        HeadGaSError: one is under way there, the folder holds something else, or it cannot be written.
    """
    if status_of(folder).is_running:
        raise HeadGaSError(f"{folder} is being captured already.", "Wait for it, or stop it.")
    make_folders(folder)
    before = plan_of(folder)
    pictures = [*(folder / IMAGES).glob("*.png")]
    if (folder / MANIFEST).exists():
        if before is not None and same_pictures(before, order) and not start_over:
            return
        raise HeadGaSError(f"{folder} already holds another capture.", "Choose an empty folder, or delete it first.")
    if pictures and before is None:
        raise HeadGaSError(f"{folder / IMAGES} already holds pictures.", "Choose an empty folder.")
    goes_on = before is not None and (folder / SOURCE).is_file() and same_pictures(before, order)
    if pictures and not goes_on and not start_over:
        raise HeadGaSError(
            f"{len(pictures)} frames in {folder} were captured with other settings.",
            "Start Over throws them away; or set the settings back, or choose another folder.",
        )
    if start_over or not goes_on:
        _clear(folder)
        _save_copy(folder / SOURCE)
        write_text(folder / PLAN, order.to_json())
        (folder / STATUS).unlink(missing_ok=True)
    _begin(folder)


def start_preview(folder: Path, order: Order) -> None:
    """Starts a preview in a folder that is our own: what an earlier one left there goes."""
    if status_of(folder).is_running:
        stop(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        if old.is_file():
            old.unlink()
    _save_copy(folder / SOURCE)
    write_text(folder / PLAN, replace(order, preview=True).to_json())
    _begin(folder)


def status_of(folder: Path) -> JobStatus:
    """How the capture in a folder is; quick enough for a panel."""
    told = _told(folder)
    begun = _started.get(folder)
    if begun is not None and told.pid != begun[0]:
        if birth_of(begun[0]) == begun[1]:
            return replace(told, state=STARTING, message="")
        told = _told(folder)  # it may have spoken just now
        if told.pid != begun[0]:
            return replace(told, state=FAILED, message=f"The capture could not be started{end_of_log(folder / LOG)}")
    if told.is_running and birth_of(told.pid) != told.birth:
        return replace(told, state=FAILED, message=f"The capture was ended{end_of_log(folder / LOG)}{_hint(folder)}")
    return told


def stop(folder: Path) -> None:
    """Ends a capture that is under way; its frames stay, and it can go on."""
    status = status_of(folder)
    pid, birth = (status.pid, status.birth) if status.state == RENDERING else _started.get(folder, (0, ""))
    if pid and birth_of(pid) == birth:
        os.kill(pid, signal.SIGTERM)
    _started.pop(folder, None)
    tell(folder, replace(status, state=STOPPED, message="", pid=pid, birth=birth))


def tell(folder: Path, status: JobStatus) -> None:
    """Writes how it is."""
    write_text(folder / STATUS, json.dumps(asdict(status)))


def plan_of(folder: Path) -> Order | None:
    """What is captured in a folder, if it can be told."""
    try:
        return read_order((folder / PLAN).read_text(encoding="utf-8"), folder / PLAN)
    except (OSError, HeadGaSError):
        return None


def _hint(folder: Path) -> str:
    """What may have ended it: Blender itself ends where EEVEE cannot draw."""
    plan = plan_of(folder)
    return f"\n{_NO_GRAPHICS}" if plan is not None and plan.engine == EEVEE else ""


def _begin(folder: Path) -> None:
    program = _PROGRAM.format(init=str(_PACKAGE / "__init__.py"), folder=str(_PACKAGE), target=str(folder))
    if bpy.app.binary_path:
        command = [bpy.app.binary_path, "--background", "--python-exit-code", "1", "--python-expr", program]
    else:  # Blender as a Python module
        command = [sys.executable, "-c", program]
    reap()
    _started[folder] = start_detached(command, folder / LOG)


def _save_copy(path: Path) -> None:
    """The open file as it is now, changes that were never saved included; its paths are made to fit the new place."""
    try:
        bpy.ops.wm.save_as_mainfile(filepath=str(path), copy=True, check_existing=False)
    except RuntimeError as error:
        raise HeadGaSError(f"{path} cannot be written: {error}", "Choose another folder.") from None


def _clear(folder: Path) -> None:
    """Takes away what an earlier capture left in its own folders."""
    for name in (IMAGES, DEPTHS):
        for picture in (folder / name).glob("*.png"):
            picture.unlink()
    (folder / POINTS).unlink(missing_ok=True)


def _told(folder: Path) -> JobStatus:
    try:
        told = json.loads((folder / STATUS).read_text(encoding="utf-8"))
        return JobStatus(**told)
    except (OSError, ValueError, TypeError):  # nothing yet, or of another version
        return JobStatus(FINISHED) if (folder / MANIFEST).is_file() else JobStatus()
