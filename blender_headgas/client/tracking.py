# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The backend makes a capture from a video, beside Blender; what it says tells how far it is."""

import re
import time
from collections.abc import Sequence

from ..core.errors import HeadGaSError
from .detached import Command
from .tasks import Task
from .waiting import Cancelled

_PROGRESS = re.compile(r"\s*(\d+)%  (.+)")
_LOOK = 0.1  # seconds between two looks at what it says


def follow_tracking(command: Sequence[str], task: Task) -> str:
    """Runs `headgas track` to its end, as a task. Returns what it found.

    Raises:
        HeadGaSError: the video cannot be used.
        Cancelled: the user does not want the capture any more.
    """
    task.stage = "Starting the backend"
    child = Command(command)
    while not child.ended:
        if task.cancelled:
            child.close()
            raise Cancelled("tracking")
        if match := _PROGRESS.fullmatch(child.last_line):
            task.progress, task.stage = int(match[1]) / 100, match[2]
        time.sleep(_LOOK)
    status, output, log = child.result()
    if status:
        said = [line for line in log.splitlines()[1:] if not _PROGRESS.fullmatch(line)]
        raise HeadGaSError("\n".join(said).removeprefix("headgas: ") or f"Tracking ended with {status}")
    return output
