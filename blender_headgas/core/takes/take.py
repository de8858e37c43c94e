# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""One take."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Take:
    """T recorded moments of C channels, and of the head's pose, in head space, where the recording has it."""

    names: tuple[str, ...]  # [C], unique
    times: np.ndarray  # [T] float64, seconds from the first moment on, rising
    values: np.ndarray  # [T,C] float32, in the unit of each channel
    rotations: np.ndarray | None = None  # [T,4] float32, unit quaternions wxyz: turns of the head
    positions: np.ndarray | None = None  # [T,3] float32, metres: moves of the head from where it rests

    @property
    def duration(self) -> float:
        """Seconds from the first moment to the last."""
        return float(self.times[-1])
