# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a capture's cameras look, and from how far."""

from dataclasses import dataclass

import numpy as np

from .character import Surface
from .order import Order

_MARGIN = 1.04
_FACE_TO_HEAD = 2.2  # a head's radius over the radius of what its channels move


@dataclass(frozen=True)
class Framing:
    """Head space, metres."""

    target: np.ndarray  # [3] where the cameras look
    distance: float
    farthest: float  # of the character from the target


def framing(neutral: Surface, hair: np.ndarray, face: np.ndarray, order: Order) -> Framing:
    """The whole character if it is a head; the surroundings of its face, the vertices `face` [V], if it has a body.

    hair: points [n,3] that belong to it, metres.
    """
    everything = np.concatenate([neutral.vertices, hair])
    target = (everything.min(axis=0) + everything.max(axis=0)) / 2
    radius = float(np.linalg.norm(everything - target, axis=1).max())
    if face.any():
        moved = neutral.vertices[face]
        middle = (moved.min(axis=0) + moved.max(axis=0)) / 2
        head_radius = _FACE_TO_HEAD * float(np.linalg.norm(moved - middle, axis=1).max())
        above = everything[everything[:, 2] > middle[2]]  # hair and hats belong to a head, shoulders do not
        head_radius = max(head_radius, float(np.linalg.norm(above - middle, axis=1).max(initial=0.0)))
        if head_radius < radius:
            target, radius = middle, head_radius
    farthest = float(np.linalg.norm(everything - target, axis=1).max())
    fitting = _MARGIN * radius / float(np.sin(np.deg2rad(order.field_of_view) / 2))
    return Framing(target, order.distance or fitting, farthest)
