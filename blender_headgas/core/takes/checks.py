# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What readers of takes check alike, and how they say what is wrong: which file, which frame, which field."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..arkit import canonical
from ..errors import HeadGaSError

_HINT = "The manual's part 'Takes' lists the formats; record or export the take again"

_LARGEST = 1e30  # a number beyond it is none that was recorded, and float32 soon ends


@dataclass(frozen=True)
class ReadingOptions:
    """What a recording may not say itself."""

    frame_rate: float = 30.0  # moments per second, where the file has neither times nor a rate
    landscape: bool = False  # Live Link Face: the phone lay on its side


def wrong(path: Path, what: str, hint: str = _HINT) -> HeadGaSError:
    """The error that a file is damaged."""
    return HeadGaSError(f"{path}: {what}", hint)


def channel_names(path: Path, names: Any, field: str) -> tuple[str, ...]:
    """Channels' names, each once; ARKit's in ARKit's own spelling."""
    if not isinstance(names, list) or not names:
        raise wrong(path, f"needs a list of names in '{field}'")
    found: list[str] = []
    for place, name in enumerate(names):
        if not isinstance(name, str) or not name:
            raise wrong(path, f"{field}[{place}] is no name")
        if canonical(name) in found:
            raise wrong(path, f"{field}[{place}]: '{name}' is there twice")
        found.append(canonical(name))
    return tuple(found)


def table(path: Path, rows: Any, count: int, field: str, numbers: Sequence[int] | None = None) -> np.ndarray:
    """Rows of `count` finite numbers each, [T,count] float64; `numbers` are the rows' own numbers, where not 0, 1, ….

    Raises:
        HeadGaSError: one of them is something else; the message names the first.
    """
    try:
        values = np.array(rows, np.float64)
        if values.ndim == 2 and values.shape[1] == count and usable(values).all():
            return values
    except (ValueError, TypeError, OverflowError):
        pass  # what is wrong is looked for below
    if not isinstance(rows, list | tuple) or not rows:
        raise wrong(path, f"needs a list of at least one frame in '{field}'")
    for number, row in zip(range(len(rows)) if numbers is None else numbers, rows, strict=True):
        if not isinstance(row, list | tuple) or len(row) != count:
            found = f"{len(row)}" if isinstance(row, list | tuple) else f"{row!r:.40}"
            raise wrong(path, f"frame {number}, '{field}': expected {count} numbers, found {found}")
        for place, value in enumerate(row):
            if not is_number(value):
                raise wrong(path, f"frame {number}, '{field}[{place}]': {value!r:.40} is no finite number")
    raise wrong(path, f"'{field}' is no table of numbers")


def number(path: Path, value: Any, where: str) -> float:
    """One finite number; `where` says which."""
    if not is_number(value):
        raise wrong(path, f"{where}: {value!r:.40} is no finite number")
    return float(value)


def is_number(value: Any) -> bool:
    """Whether it is a finite number and no truth value."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _LARGEST


def usable(values: np.ndarray) -> np.ndarray:
    """Which of `values` [...] are finite numbers: [...] bool."""
    return np.abs(values) < _LARGEST


def rising(path: Path, times: np.ndarray, numbers: Sequence[int] | None = None) -> np.ndarray:
    """Seconds [T] from the first on; each must be later than the one before."""
    late = np.flatnonzero(np.diff(times) <= 0)
    if len(late):
        place = int(late[0]) + 1
        label = place if numbers is None else numbers[place]
        raise wrong(path, f"frame {label} is at {times[place]:.3f} s, not later than the frame before it")
    return times - times[0]


def checked_rate(path: Path, value: Any, field: str) -> float:
    """A frame rate, above zero."""
    if not is_number(value) or value <= 0:
        raise wrong(path, f"'{field}' is {value!r:.40}; expected frames per second")
    return float(value)
