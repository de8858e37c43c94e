# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a photograph lies over a camera's view: under the avatar, beside it, or over a part of it."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Rectangle:
    """In pixels of a viewport; the origin is its lower left corner."""

    left: float
    bottom: float
    width: float
    height: float


@dataclass(frozen=True)
class Piece:
    """A part of a photograph, and where it is drawn."""

    place: Rectangle
    right: float  # how much of the photograph's width is shown, from its left edge, in 0..1


def frame_rectangle(corners: np.ndarray) -> Rectangle:
    """The rectangle around the corners [4,2] of a camera's frame as a viewport shows them."""
    low, high = np.min(corners, 0), np.max(corners, 0)
    return Rectangle(float(low[0]), float(low[1]), float(high[0] - low[0]), float(high[1] - low[1]))


def photograph_rectangle(frame: Rectangle, width: int, height: int, pixel_height: float = 1.0) -> Rectangle:
    """Where a photograph of `width` × `height` pixels lies that fills the frame's width and shares its centre.

    The frame may be lower or higher than the photograph: the cameras of photographs are fitted by their width.
    `pixel_height` is the pixel aspect y / x.
    """
    tall = frame.width * height / width * pixel_height
    return Rectangle(frame.left, frame.bottom + (frame.height - tall) / 2, frame.width, tall)


def shown(mode: str, photograph: Rectangle, position: float) -> Piece | None:
    """The piece to draw over the view. UNDER: none, it lies behind. BESIDE: all of it, to the right. WIPE: what is left
    of `position` (0..1)."""
    if mode == 'BESIDE':
        right = photograph.left + photograph.width
        return Piece(Rectangle(right, photograph.bottom, photograph.width, photograph.height), 1.0)
    if mode == 'WIPE' and position > 0:
        part = min(position, 1.0)
        place = Rectangle(photograph.left, photograph.bottom, photograph.width * part, photograph.height)
        return Piece(place, part)
    return None
