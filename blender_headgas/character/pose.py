# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an expression is made of: lids, gaze, jaw, and places where skin slides or swells."""

from dataclasses import dataclass, field, replace

SIDES = {"Left": 1.0, "Right": -1.0}


@dataclass(frozen=True)
class Slide:
    """Skin that slides over the form around a centre; all angles in degrees."""

    azimuth: float
    elevation: float
    width: float  # standard deviations of the Gaussian that fades it out
    height: float
    move_azimuth: float = 0.0
    move_elevation: float = 0.0
    squeeze: float = 0.0  # share of the horizontal distance to the centre that is lost
    lip: int = 0  # 1 moves the skin above the mouth only, -1 below it only
    swell: float = 0.0  # centimetres outwards


@dataclass(frozen=True)
class Eye:
    """How far the lid edges stand above and below the slit (cm), and where the eyeball looks (degrees)."""

    upper: float = 0.81
    lower: float = 0.84
    up: float = 0.0
    left: float = 0.0  # towards the subject's left


@dataclass(frozen=True)
class Pose:
    """One state of the whole face; the default is the neutral face."""

    eyes: dict[str, Eye] = field(default_factory=lambda: {name: Eye() for name in SIDES})
    slides: tuple[Slide, ...] = ()
    jaw_open: float = 0.0  # degrees
    jaw_left: float = 0.0  # centimetres
    jaw_forward: float = 0.0  # centimetres
    tongue_out: float = 0.0  # 0 to 1
    lips_held: float = 0.0  # 1 keeps the lower lip where it was while the jaw drops


NEUTRAL = Pose()


def with_eye(name: str, **changes: float) -> Pose:
    """The neutral pose with one changed eye."""
    return replace(NEUTRAL, eyes={**NEUTRAL.eyes, name: replace(NEUTRAL.eyes[name], **changes)})
