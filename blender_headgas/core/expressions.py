# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The expression space of an avatar: its ordered parameters, and vectors in it."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .errors import HeadGaSError
from .messages import listed


@dataclass(frozen=True)
class ExpressionSpace:
    """The parameters of one avatar. All arrays are [B] float32, in the unit of each parameter."""

    kind: str  # ARKit, FLAME, FaceWarehouse or custom
    names: tuple[str, ...]
    neutral: np.ndarray
    low: np.ndarray  # the smallest value that training saw
    high: np.ndarray  # the largest

    def expression(self, values: Mapping[str, float], muted: frozenset[str] = frozenset()) -> np.ndarray:
        """The vector [B] float32 of `values` by channel name; a muted channel rests at its neutral value."""
        missing = [name for name in self.names if name not in values]
        if missing:
            raise HeadGaSError(
                f"The control mesh has no shape key {listed(missing)}: renamed or deleted",
                "Give the shape keys their names back, or import the avatar again",
            )
        vector = np.array([values[name] for name in self.names], np.float32)
        rests = np.array([name in muted for name in self.names], bool)
        return np.where(rests, self.neutral, vector)


def slider_range(low: float, high: float, neutral: float, headroom: float = 0.25) -> tuple[float, float]:
    """The limits of one slider: the range that training saw, and some more to exaggerate.

    `headroom` is the share of the range that is added at either end. A parameter that never moved gets a range too.
    """
    low, high = min(low, neutral), max(high, neutral)
    margin = headroom * (high - low) or 1.0
    return low - margin, high + margin
