# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Timecodes HH:MM:SS:FF.sub, as Live Link Face writes them: `sub` are thousandths of a frame."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .checks import wrong

_CODE = re.compile(r"\s*(\d+):(\d{1,2}):(\d{1,2})[:;](\d{1,3}(?:\.\d+)?)\s*")
_DAY = 24 * 3600
RATE = 60  # frames per second of Live Link Face's timecode, whatever rate it records at


def parse_times(path: Path, texts: Sequence[str], lines: Sequence[int], column: int) -> np.ndarray:
    """Seconds [T] of timecodes, or of plain seconds; `lines` and `column` say where they stand.

    Raises:
        HeadGaSError: one of them is neither.
    """
    seconds, frames = np.empty(len(texts)), np.zeros(len(texts))
    for i, text in enumerate(texts):
        match = _CODE.fullmatch(text)
        try:
            if match:
                hours, minutes, whole, frames[i] = (float(part) for part in match.groups())
                seconds[i] = hours * 3600 + minutes * 60 + whole
            else:
                seconds[i] = float(text)
        except ValueError:
            seconds[i] = np.nan
        if not np.isfinite(seconds[i]):
            raise wrong(path, f"line {lines[i]}, column {column}: '{text:.40}' is neither a timecode nor seconds")
    seconds = seconds + _DAY * np.concatenate([[0], np.cumsum(np.diff(seconds) < -_DAY / 2)])  # past midnight
    return seconds + frames / frame_rate(seconds, frames)


def timecode(seconds: float) -> str:
    """`seconds` as HH:MM:SS:FF.sub."""
    thousandths = round(seconds * RATE * 1000)
    whole, sub = divmod(thousandths, 1000)
    minutes, second = divmod(whole // RATE, 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours:02}:{minute:02}:{second:02}:{whole % RATE:02}.{sub:03}"


def frame_rate(seconds: np.ndarray, frames: np.ndarray) -> float:
    """Frames per second of timecodes, from their whole `seconds` [T] and their `frames` [T] within each second.

    Where a second begins, the frames start again: rate = last frame + step - first frame. A recording may skip frames
    and may be shorter than a second, so the estimate only chooses between the usual rates.
    """
    steps = np.diff(frames)
    within, next_second = np.diff(seconds) == 0, np.diff(seconds) == 1
    estimate = float(RATE)
    if within.any() and next_second.any():
        estimate = float(np.median(steps[within]) - np.median(steps[next_second]))
    possible = [rate for rate in (24, 25, 30, 48, 50, 60, 90, 100, 120, 240) if rate > frames.max(initial=0)]
    return min(possible or [float(np.floor(frames.max())) + 1], key=lambda rate: abs(rate - estimate))
