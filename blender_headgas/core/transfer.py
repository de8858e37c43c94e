# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Expression transfer: what one avatar's channels say becomes what another avatar's channels of the same names say.

Names that differ in spelling only (eyeBlinkLeft, EyeBlink_L) are the same, as core/names.py matches them.
The same person: values as they are. Another person: how far a channel is from neutral, as a share of the range that
training saw on that side, is the same for both:

    y = neutral_b + (x - neutral_a) · span_b / span_a,   span = high - neutral above neutral, neutral - low below
"""

from dataclasses import dataclass

import numpy as np

from .controls import Channels
from .names import same

_NO_SPAN = 1e-6  # a channel that training did not move further to that side


@dataclass(frozen=True)
class Transfer:
    """From C channels to as many of the same meaning; all arrays are [C] float64."""

    names: tuple[str, ...]  # in the target
    sources: tuple[str, ...]  # in the source
    source_neutral: np.ndarray
    target_neutral: np.ndarray
    above: np.ndarray  # gain where the source is above its neutral
    below: np.ndarray

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """The target's values [...,C] for the source's [...,C]."""
        away = values - self.source_neutral
        return self.target_neutral + np.maximum(away, 0) * self.above + np.minimum(away, 0) * self.below

    def expression(self, name: str, variable: str) -> str:
        """The same for one channel as Blender writes it: simple enough that no script needs permission."""
        i = self.names.index(name)
        zero, one, above, below = (
            f"{number:.9g}" for number in (self.source_neutral[i], self.target_neutral[i], self.above[i], self.below[i])
        )
        if (zero, one, above, below) == ("0", "0", "1", "1"):
            return variable
        away = f"{variable} - ({zero})"
        return f"({one}) + max({away}, 0) * {above} + min({away}, 0) * {below}"


def same_person(source: Channels, target: Channels) -> Transfer:
    """Values as they are."""
    names, sources = _common(source, target)
    zeros, ones = np.zeros(len(names)), np.ones(len(names))
    return Transfer(names, sources, zeros, zeros, ones, ones)


def across_people(source: Channels, target: Channels) -> Transfer:
    """Relative to each one's neutral, scaled by the range that each one's training saw.

    A side of the source that training never saw has no scale: its gain is 1. A side of the target that training never
    saw stays at neutral if the source's has a scale.
    """
    names, sources = _common(source, target)
    (zero_a, below_a, above_a), (zero_b, below_b, above_b) = _spans(source, sources), _spans(target, names)
    return Transfer(names, sources, zero_a, zero_b, _gains(above_a, above_b), _gains(below_a, below_b))


def _common(source: Channels, target: Channels) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The target's channels that the source has too, in the target's order, and what the source calls them."""
    found = same(source.names, target.names)
    names = tuple(name for name in target.names if name in found)
    return names, tuple(found[name] for name in names)


def _spans(space: Channels, names: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Neutral, and how far training went below and above it, each [C]."""
    places = [space.names.index(name) for name in names]
    neutral, low, high = (np.asarray(part, np.float64)[places] for part in (space.neutral, space.low, space.high))
    return neutral, np.maximum(neutral - low, 0), np.maximum(high - neutral, 0)


def _gains(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    has_scale = source > _NO_SPAN
    return np.where(has_scale, target / np.where(has_scale, source, 1.0), 1.0)
