# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs in a Blender in the background: opens the copy of the user's file, captures, and tells how far it is."""

import os
import sys
from dataclasses import replace
from pathlib import Path

import bpy

from ..client.births import birth_of
from ..core.errors import HeadGaSError
from .capture import render_capture, render_preview
from .job import FAILED, FINISHED, PLAN, RENDERING, SOURCE, JobStatus, status_of, tell
from .order import read_order

_POLITENESS = 5  # of 19: who works beside it goes first


def main(target: str) -> None:
    """Captures what the plan in the folder `target` says, and ends this Blender."""
    folder = Path(target)
    if hasattr(os, "nice"):
        os.nice(_POLITENESS)
    before = status_of(folder)  # of an earlier process, whose time counts
    status = JobStatus(
        RENDERING, rendered=before.rendered, seconds=before.seconds, pid=os.getpid(), birth=birth_of(os.getpid()) or ""
    )
    tell(folder, status)

    def progress(done: int, total: int, seconds: float) -> None:
        nonlocal status
        measured = seconds > 0
        status = replace(
            status, done=done, total=total, rendered=status.rendered + measured, seconds=status.seconds + seconds
        )
        tell(folder, status)

    code = 0
    try:
        order = read_order((folder / PLAN).read_text(encoding="utf-8"), folder / PLAN)
        _quieten()
        bpy.ops.wm.open_mainfile(filepath=str(folder / SOURCE), load_ui=False, use_scripts=order.scripts)
        (render_preview if order.preview else render_capture)(order, folder, progress)
        (folder / SOURCE).unlink()
        tell(folder, replace(status, state=FINISHED))
    except HeadGaSError as error:
        tell(folder, replace(status, state=FAILED, message=str(error)))
        code = 1
    sys.stderr.flush()
    os._exit(code)  # some versions of the Python module hang in their own exit handlers


def _quieten() -> None:
    """Blender tells of every sample on standard output: its log would be large, and errors hard to find."""
    sys.stdout.flush()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
