# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run tells in its folder while it trains, and what it is told there: status.json and control.json.

Files, not signals and sockets: they work alike on every system, and outlive whoever started the run (docs/formats.md).
"""

import json
import logging
import os
import time
from enum import StrEnum
from pathlib import Path
from typing import Any

from headgas.errors import HeadGaSError
from headgas.files import write

log = logging.getLogger(__name__)

STATUS, CONTROL = "status.json", "control.json"
_LOOK_EVERY = 0.5  # seconds between two looks at what the run is told
_LAST_TRIES, _TRY_EVERY = 20, 0.1  # of the last status, which must arrive; seconds


class State(StrEnum):
    """Where a run is."""

    STARTING = "starting"  # reads the capture, compiles kernels
    TRAINING = "training"
    PAUSED = "paused"
    FINISHING = "finishing"  # writes the avatar and its pictures
    FINISHED = "finished"
    STOPPED = "stopped"  # before its time, when it was told to; the avatar is kept
    FAILED = "failed"  # `message` says why


ENDED = (State.FINISHED, State.STOPPED, State.FAILED)


class Wish(StrEnum):
    """What a run can be told."""

    TRAIN = "train"
    PAUSE = "pause"
    STOP = "stop"


class Status:
    """The file that says how a run is."""

    def __init__(self, folder: Path, **facts: Any) -> None:
        """facts: JSON that stays the same."""
        self._path = folder / STATUS
        self._told: dict[str, Any] = facts | {"pid": os.getpid(), "started": time.time()}

    def tell(self, state: State, **facts: Any) -> None:
        """Adds facts to what was told before, and writes all of it.

        A status that cannot be written is told the next time: whoever reads the file may hold it open, which Windows
        minds, and no training shall end for that. The last one is tried for two seconds.
        """
        self._told |= facts | {"state": state, "updated": time.time()}
        for _ in range(_LAST_TRIES if state in ENDED else 1):
            try:
                write(self._path, json.dumps(self._told))
                return
            except HeadGaSError as error:
                problem = error
            if state in ENDED:
                time.sleep(_TRY_EVERY)
        log.debug("%s", problem)


class Control:
    """What a run is told: `{"wish": "pause"}` in control.json. The file is looked at twice a second."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / CONTROL
        self._looked = 0.0
        self._wish = Wish.TRAIN

    def wish(self) -> Wish:
        """What is wished now; what is in the file and is no wish changes nothing."""
        now = time.monotonic()
        if now - self._looked >= _LOOK_EVERY:
            self._looked = now
            self._wish = _wish_in(self._path) or self._wish
        return self._wish

    def forget(self) -> None:
        """Takes away what an earlier run in the folder was told."""
        self._path.unlink(missing_ok=True)


def _wish_in(path: Path) -> Wish | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return Wish(content["wish"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
