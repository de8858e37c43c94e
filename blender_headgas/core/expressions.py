# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The expression space of an avatar: its ordered parameters, and vectors in it."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class ExpressionSpace:
    """The parameters of one avatar. All arrays are [B] float32, in the unit of each parameter."""

    kind: str  # ARKit, FLAME, FaceWarehouse or custom
    names: tuple[str, ...]
    neutral: np.ndarray
    low: np.ndarray  # the smallest value that training saw
    high: np.ndarray  # the largest


def slider_range(low: float, high: float, neutral: float, headroom: float = 0.25) -> tuple[float, float]:
    """The limits of one slider: the range that training saw, and some more to exaggerate.

    `headroom` is the share of the range that is added at either end. A parameter that never moved gets a range too.
    """
    low, high = min(low, neutral), max(high, neutral)
    margin = headroom * (high - low) or 1.0
    return low - margin, high + margin


def beyond_seen(space: ExpressionSpace, expression: np.ndarray) -> list[str]:
    """The parameters that an expression [B] takes beyond what training saw of them, by more than rounding."""
    low, high = np.minimum(space.low, space.neutral), np.maximum(space.high, space.neutral)
    tolerance = 1e-3 * (high - low) + 1e-6
    beyond = (expression < low - tolerance) | (expression > high + tolerance)
    return [space.names[number] for number in np.flatnonzero(beyond)]
