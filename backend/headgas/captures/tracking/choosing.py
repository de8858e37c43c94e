# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which frames of a video an avatar may learn from, and why not the others."""

import numpy as np

from headgas.captures.tracking.observing import Observations

NO_FACE = "no face was found"
OUTSIDE = "the face leaves the picture"
BLURRED = "the face is blurred"
COVERED = "the landmarks do not fit the head: something covers the face, or the tracking slipped"
JUMPED = "the tracking jumps"
_BLURRED = 0.3  # of the video's median sharpness
_MISFIT = 2.5  # times the median error of the stable landmarks,
_SLACK = 1.0  # and so many pixels at the distance that the face has 100 pixels between the eyes
_JUMP = 5.0  # degrees from the middle of the neighbours


def seen_well(observed: Observations) -> list[str]:
    """What is wrong with each frame before its pose is known; empty where nothing is."""
    found = observed.found
    sharp = _BLURRED * np.median(observed.sharpness[found]) if found.any() else 0.0
    inside = np.zeros(len(found), bool)
    pixels = observed.landmarks[found][..., :2]
    inside[found] = ((pixels >= 0) & (pixels <= (observed.width, observed.height))).all((1, 2))
    return [
        NO_FACE if not found[f] else OUTSIDE if not inside[f] else BLURRED if observed.sharpness[f] < sharp else ""
        for f in range(len(found))
    ]


def fits(errors: np.ndarray, away: np.ndarray, eyes_apart: float, in_order: bool) -> list[str]:
    """What is wrong with each frame that has a pose.

    Args:
        errors: [F] pixels of the stable landmarks.
        away: [F] degrees from the neighbours' middle; nan without neighbours.
        eyes_apart: pixels between the eyes.
        in_order: the frames follow each other.
    """
    limit = _MISFIT * float(np.median(errors)) + _SLACK * eyes_apart / 100
    return [
        COVERED if error > limit else JUMPED if in_order and jump > _JUMP else ""
        for error, jump in zip(errors, away, strict=True)
    ]


def held_out(count: int, share: float) -> np.ndarray:
    """[F] bool, which of so many frames train; the last ones are held out, which shows what is new to the avatar."""
    test = round(share * count)
    return np.arange(count) < count - test
