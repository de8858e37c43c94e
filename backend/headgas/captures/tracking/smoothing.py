# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Head motion without the trembling of its landmarks, and without lag: a parabola around each frame."""

from dataclasses import replace

import numpy as np
from scipy.signal import savgol_filter
from scipy.spatial.transform import Rotation

from headgas.captures.tracking.pose import HeadMotion

_WINDOW, _DEGREE = 7, 2  # frames, and the polynomial's degree (Savitzky and Golay 1964)
_GAP = 3  # frames that may be missing within a shot
_CUT = 20.0  # degrees from one frame to the next: another shot
_UNORDERED = 4.0  # degrees that frames typically differ from their neighbours: these pictures are no video


def jitter(motion: HeadMotion, numbers: np.ndarray) -> np.ndarray:
    """[F] degrees between a frame's rotation and the middle of its neighbours'; nan without neighbours."""
    result = np.full(len(numbers), np.nan)
    if len(numbers) < 3:
        return result
    rotations = Rotation.from_matrix(motion.rotations)
    before, here, after = rotations[:-2], rotations[1:-1], rotations[2:]
    middle = before * Rotation.from_rotvec((before.inv() * after).as_rotvec() / 2)
    away = np.degrees((middle.inv() * here).magnitude())
    result[1:-1] = np.where(np.diff(numbers)[:-1] + np.diff(numbers)[1:] == 2, away, np.nan)
    return result


def is_sequence(motion: HeadMotion, numbers: np.ndarray) -> bool:
    """Whether the frames follow each other in time."""
    away = jitter(motion, numbers)
    return bool(np.isfinite(away).any() and np.nanmedian(away) < _UNORDERED)


def smoothed(motion: HeadMotion, numbers: np.ndarray) -> HeadMotion:
    """The motion with every shot smoothed; frames [F] are numbered, and what is missing was dropped."""
    rotations, translations = motion.rotations.copy(), motion.translations.copy()
    for first, last in shots(motion, numbers):
        dense = np.arange(numbers[first], numbers[last - 1] + 1)
        if len(dense) < _WINDOW:
            continue
        here = numbers[first:last]
        values = np.concatenate([_quaternions(rotations[first:last]), translations[first:last]], 1)
        filled = np.stack([np.interp(dense, here, column) for column in values.T], 1)
        smooth = savgol_filter(filled, _WINDOW, _DEGREE, axis=0, mode="interp")[here - here[0]]
        rotations[first:last] = Rotation.from_quat(smooth[:, :4]).as_matrix()
        translations[first:last] = smooth[:, 4:]
    return replace(motion, rotations=rotations, translations=translations)


def shots(motion: HeadMotion, numbers: np.ndarray) -> list[tuple[int, int]]:
    """The places [first, last) of frames between which nothing long is missing and the head does not jump."""
    rotations = Rotation.from_matrix(motion.rotations)
    turned = np.degrees((rotations[:-1].inv() * rotations[1:]).magnitude())
    ends = np.flatnonzero((np.diff(numbers) > _GAP) | (turned > _CUT)) + 1
    borders = [0, *ends.tolist(), len(numbers)]
    return list(zip(borders[:-1], borders[1:], strict=True))


def _quaternions(rotations: np.ndarray) -> np.ndarray:
    """[n,4], each on its neighbours' side of the sphere."""
    values = Rotation.from_matrix(rotations).as_quat()
    flips = np.cumprod(np.where((values[1:] * values[:-1]).sum(1) < 0, -1.0, 1.0))
    values[1:] *= flips[:, None]
    return values
