# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Training runs as files tell of them: the list that is remembered, a run's status, its curve (docs/formats.md)."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .errors import HeadGaSError
from .files import write_text

STATUS, CONTROL, METRICS, LOG = "status.json", "control.json", "metrics.jsonl", "train.log"
AVATAR, SHEET, THUMBNAIL, RESUME = "avatar.safetensors", "preview.png", "thumbnail.png", "resume.safetensors"
# all that training writes, and what it leaves behind when it is killed
FILES = (STATUS, CONTROL, METRICS, LOG, AVATAR, SHEET, THUMBNAIL, RESUME)
ENDED = ("finished", "stopped", "failed")
_READ_AT_ONCE = 1 << 16  # bytes of a curve


@dataclass(frozen=True)
class RunRecord:
    """What is remembered of a run."""

    number: int  # its name among the runs of this user
    folder: str
    capture: str
    preset: str
    arguments: tuple[str, ...]  # of `headgas train`
    pid: int
    birth: str  # when the process with this number began, see client/births.py
    imports: bool  # whether the avatar is imported when it ends
    shows: bool  # whether the sheet is shown when it ends
    closed: bool = False  # whether its end was seen to

    @property
    def path(self) -> Path:
        return Path(self.folder)

    @property
    def name(self) -> str:
        return self.path.name


@dataclass(frozen=True)
class RunStatus:
    """What a run tells of itself; numbers are 0 until it knows them."""

    state: str = "starting"
    message: str = ""  # why it failed
    pid: int = 0
    updated: float = 0.0  # seconds since 1970
    iteration: int = 0
    elapsed: float = 0.0  # seconds of training
    progress: float = 0.0  # 0..1
    iterations_per_second: float = 0.0
    psnr: float = 0.0  # dB
    gaussians: int = 0
    seconds_left: float = 0.0


def read_records(path: Path) -> list[RunRecord]:
    """The runs in a list; none where there is no list.

    Raises:
        HeadGaSError: the file is something else.
    """
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        return [RunRecord(**entry | {"arguments": tuple(entry["arguments"])}) for entry in entries]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise HeadGaSError(f"{path} cannot be read: {error.strerror or error}") from None
    except (ValueError, TypeError, KeyError) as error:
        raise HeadGaSError(
            f"{path} is no list of training runs ({error})", "Delete it: the runs themselves stay in their folders"
        ) from None


def write_records(path: Path, records: Sequence[RunRecord]) -> None:
    """Writes the list, whole or not at all.

    Raises:
        HeadGaSError: it cannot be written.
    """
    write_text(path, json.dumps([asdict(record) for record in records], indent=1))


def read_status(folder: Path) -> RunStatus | None:
    """What a run tells; None where it tells nothing yet, or the file is being replaced."""
    try:
        told = json.loads((folder / STATUS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(told, dict):
        return None
    defaults = vars(RunStatus())
    return RunStatus(**{name: _like(default, told.get(name)) for name, default in defaults.items()})


def _like(default: Any, value: Any) -> Any:
    """A value of the same kind as the default, which stands in for any other."""
    if isinstance(default, str):
        return value if isinstance(value, str) else default
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return default
    return type(default)(value)


class Curve:
    """The PSNR of a run over its training, read as it grows."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / METRICS
        self._place = 0  # bytes read
        self.seconds: list[float] = []
        self.psnr: list[float] = []  # dB

    def read_on(self) -> bool:
        """Reads what was added, a part of it at a time; whether there was anything."""
        try:
            if self._path.stat().st_size < self._place:  # another run began in the folder
                self._place, self.seconds, self.psnr = 0, [], []
            with self._path.open("rb") as file:
                file.seek(self._place)
                added = file.read(_READ_AT_ONCE)
        except OSError:
            return False
        whole = added[: added.rfind(b"\n") + 1]
        self._place += len(whole)
        for line in whole.splitlines():
            try:
                told = json.loads(line)
                seconds, psnr = float(told["elapsed"]), float(told["psnr"])
            except (ValueError, KeyError, TypeError):
                continue  # a line that was cut by a kill
            self.seconds.append(seconds)
            self.psnr.append(psnr)
        return bool(whole)


def duration(seconds: float) -> str:
    """Minutes and seconds, and hours where there are any."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def describe(state: str, status: RunStatus) -> str:
    """A run in one line."""
    if not status.iteration:
        return {"starting": "Starting: reads the capture", "failed": "Failed"}.get(state, state.capitalize())
    figures = f"step {status.iteration:,}, {status.psnr:.1f} dB"
    if state == "training":
        return f"{figures}, {status.iterations_per_second:.1f} it/s"
    return f"{state.capitalize()}: {figures}"
