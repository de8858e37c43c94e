# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be done to a take. Each function returns a new one."""

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..arkit import canonical
from ..arkit import mirrored as mirrored_name
from ..errors import HeadGaSError
from ..rotations import continuous, inverse, multiplied, normalised, slerped
from .take import Take

# Components of FLAME's rotation vectors that change their sign in a mirror; the X axis points through both ears.
_TURNED = re.compile(r"(neck|jaw|left_eye|right_eye|head)_[yz]")
_WINDOW = 3.0  # sigmas, beyond which a Gaussian's weight is below 1 %
_LAST_FRAME = 1_048_574  # Blender's MAXFRAME
_SHORTEST = 1e-6  # seconds: rounding, no time
_CUT_OFF = 9e-4  # seconds: what times lose in whole milliseconds


def resampled(take: Take, times: np.ndarray) -> Take:
    """The take at other moments `times` [N] (seconds, rising): linear between its own, turns along great circles.

    Before the first moment and after the last it stands still.
    """
    place = np.clip(np.searchsorted(take.times, times, side="right") - 1, 0, max(len(take.times) - 2, 0))
    after = np.minimum(place + 1, len(take.times) - 1)
    span = np.maximum(take.times[after] - take.times[place], _SHORTEST)
    weights = np.clip((times - take.times[place]) / span, 0, 1).astype(np.float32)
    rotations = take.rotations
    if rotations is not None:
        rotations = slerped(rotations[place], rotations[after], weights)
    positions = take.positions
    if positions is not None:
        positions = _between(positions, place, after, weights)
    values = _between(take.values, place, after, weights)
    return Take(take.names, np.asarray(times, np.float64), values, rotations, positions)


def at_rate(take: Take, frames_per_second: float) -> Take:
    """The take at every frame of a scene, from its first moment on; what is left after the last frame is dropped.

    Raises:
        HeadGaSError: it has more frames than Blender.
    """
    count = int((take.duration + _CUT_OFF) * frames_per_second) + 1
    if count > _LAST_FRAME:
        raise HeadGaSError(
            f"The take lasts {take.duration:,.0f} s, which is {count:,} frames: more than Blender has",
            "Choose a range of it; or its times are wrong",
        )
    return resampled(take, np.arange(count) / frames_per_second)


def cut(take: Take, start: float, end: float) -> Take:
    """From `start` to `end`, both in seconds; times count from `start` then.

    Raises:
        HeadGaSError: the take has nothing there.
    """
    end = min(end, take.duration)
    if start < 0 or start > end:
        raise HeadGaSError(
            f"The take lasts {take.duration:.2f} s: it has nothing from {start:.2f} s to {end:.2f} s",
            "Choose another range",
        )
    inner = take.times[(take.times > start + _SHORTEST) & (take.times < end - _SHORTEST)]
    times = np.concatenate([[start], inner, [end] if end > start + _SHORTEST else []])
    return replace(resampled(take, times), times=times - start)


def smoothed(take: Take, sigma: float) -> Take:
    """Smoothed with a Gaussian of `sigma` seconds, which delays nothing.

    Each moment becomes the value there of a line, fitted to its neighbours with a Gaussian's weights: within evenly
    recorded moments that is the plain Gaussian mean; at both ends, and where moments are missing, trends stay as they
    are. (Local linear regression: Cleveland, "Robust locally weighted regression", 1979.)
    """
    if sigma <= 0:
        return take
    rotations = take.rotations
    if rotations is not None:
        rotations = normalised(_smoothed(take.times, continuous(rotations), sigma))
    positions = None if take.positions is None else _smoothed(take.times, take.positions, sigma)
    return replace(take, values=_smoothed(take.times, take.values, sigma), rotations=rotations, positions=positions)


def zeroed(take: Take) -> Take:
    """Relative to its first moment: values, and the head's pose."""
    rotations = take.rotations
    if rotations is not None:
        rotations = multiplied(inverse(rotations[0]), rotations).astype(np.float32)
    positions = take.positions
    if positions is not None:
        moves = positions - positions[0]
        if take.rotations is not None:
            moves = _turned(inverse(take.rotations[0]), moves)
        positions = moves.astype(np.float32)
    return replace(take, values=take.values - take.values[0], rotations=rotations, positions=positions)


def gained(take: Take, gain: float) -> Take:
    """With values `gain` times as large; the head's pose stays."""
    return replace(take, values=take.values * np.float32(gain))


def mirrored(take: Take) -> Take:
    """As in a mirror: what the left side did, the right side does, and the head's turns and moves alike."""
    names = tuple(mirrored_name(name) for name in take.names)
    signs = np.array([-1 if _TURNED.fullmatch(name) else 1 for name in names], np.float32)
    rotations = None if take.rotations is None else take.rotations * np.array([1, 1, -1, -1], np.float32)
    positions = None if take.positions is None else take.positions * np.array([-1, 1, 1], np.float32)
    return replace(take, names=names, values=take.values * signs, rotations=rotations, positions=positions)


def renamed(take: Take, channels: Sequence[str]) -> tuple[Take, list[str]]:
    """The take with those of its channels that are among `channels`, by their names there, and the names of the others.

    Names that differ in spelling only (EyeBlinkLeft, eyeBlink_L) are one. The head's pose stays.
    """
    by_spelling = {canonical(channel): channel for channel in reversed(channels)}
    targets: dict[str, int] = {}
    left = []
    for column, name in enumerate(take.names):
        target = name if name in channels else by_spelling.get(canonical(name))
        if target is None or target in targets:
            left.append(name)
        else:
            targets[target] = column
    return replace(take, names=tuple(targets), values=take.values[:, list(targets.values())]), left


def moving(take: Take, names: Sequence[str]) -> list[str]:
    """Those of the channels `names` that are ever anything but zero."""
    return [name for name in names if take.values[:, take.names.index(name)].any()]


def _between(values: np.ndarray, place: np.ndarray, after: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Rows of `values` [T,K] at `place` [N] and `after` [N], blended: [N,K] float32."""
    weights = weights[:, None]
    return (values[place] * (1 - weights) + values[after] * weights).astype(np.float32)


def _smoothed(times: np.ndarray, values: np.ndarray, sigma: float) -> np.ndarray:
    """`values` [T,K] at `times` [T], each replaced by a weighted line's value: [T,K] float32."""
    count, reach = len(times), _WINDOW * sigma
    widest = int((np.searchsorted(times, times + reach, side="right") - np.arange(count)).max()) - 1
    moments = np.zeros((3, count))  # Σ w, Σ w d, Σ w d²
    sums, slopes = np.zeros(values.shape), np.zeros(values.shape)  # Σ w v, Σ w d v
    for offset in range(-widest, widest + 1):
        here = slice(max(-offset, 0), count - max(offset, 0))
        there = slice(max(offset, 0), count + min(offset, 0))
        distances = times[there] - times[here]
        weights = np.exp(-0.5 * (distances / sigma) ** 2) * (np.abs(distances) <= reach)
        moments[:, here] += np.stack([weights, weights * distances, weights * distances**2])
        sums[here] += weights[:, None] * values[there]
        slopes[here] += (weights * distances)[:, None] * values[there]
    zeroth, first, second = moments
    determinant = zeroth * second - first**2
    alone = determinant < 1e-9 * sigma**2  # no neighbour: nothing to fit a line to
    means = sums / zeroth[:, None]
    lines = (second[:, None] * sums - first[:, None] * slopes) / np.where(alone, 1, determinant)[:, None]
    return np.where(alone[:, None], means, lines).astype(np.float32)


def _turned(quaternion: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Vectors [T,3] turned by one quaternion [4]."""
    pure = np.concatenate([np.zeros((len(vectors), 1), vectors.dtype), vectors], 1)
    return multiplied(multiplied(quaternion, pure), inverse(quaternion))[:, 1:]
