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


def wiped(photograph: Rectangle, position: float) -> Piece | None:
    """The piece left of `position` (0..1) of a photograph over the avatar."""
    part = min(position, 1.0)
    if part <= 0:
        return None
    return Piece(Rectangle(photograph.left, photograph.bottom, photograph.width * part, photograph.height), part)


def beside(photograph: Rectangle, frame: Rectangle, low: float, high: float) -> Piece | None:
    """All of a photograph beside the camera's `frame`, between the columns `low` and `high` that nothing covers.

    To the right, or where only the left has room for it, or more of it, to the left; smaller where neither has.
    """
    right, left = high - (frame.left + frame.width), frame.left - low
    to_right = right > min(photograph.width, left) - 1  # frames lie between pixels
    share = min(max(right if to_right else left, 0.0) / photograph.width, 1.0)
    if share <= 0:
        return None
    width, height = photograph.width * share, photograph.height * share
    edge = frame.left + frame.width if to_right else frame.left - width
    return Piece(Rectangle(edge, photograph.bottom + (photograph.height - height) / 2, width, height), 1.0)
