# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an avatar is looked at with: frames of a capture, or views of our own over its expression space."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from headgas.avatars import Avatar, ExpressionSpace
from headgas.avatars.framing import face_camera
from headgas.captures import Frame
from headgas.splatting import Camera

_ACTIVE = 8  # parameters that move at a time, on average: what a talking face shows
_YAW, _PITCH = 25.0, 10.0  # degrees to each side: what every capture shows


@dataclass(frozen=True)
class View:
    """An expression seen by a camera."""

    expression: Tensor  # [B]
    camera: Camera
    frame: Frame | None = None  # the photograph, where there is one


def frame_views(avatar: Avatar, frames: Sequence[Frame]) -> list[View]:
    """The frames of a capture."""
    device = avatar.device
    return [View(torch.from_numpy(f.expression).to(device), f.camera.to(device), f) for f in frames]


def sampled_views(avatar: Avatar, count: int, size: int, seed: int) -> list[View]:
    """Random expressions within the range that training saw, a few parameters at a time, from random sides of the face.

    The first is the resting face from the front.
    """
    generator = np.random.default_rng(seed)
    space = avatar.expression_space
    neutral, extreme = np.array(space.neutral), np.array([extreme_of(space, i)[0] for i in range(len(space))])
    views = [View(avatar.neutral(), face_camera(avatar, size))]
    for _ in range(count - 1):
        strength = generator.random(len(space)) * (generator.random(len(space)) < _ACTIVE / max(1, len(space)))
        expression = torch.tensor(neutral + strength * (extreme - neutral), dtype=torch.float32, device=avatar.device)
        yaw, pitch = generator.uniform(-_YAW, _YAW), generator.uniform(-_PITCH, _PITCH)
        views.append(View(expression, face_camera(avatar, size, yaw, pitch)))
    return views


def extreme_of(space: ExpressionSpace, index: int) -> tuple[float, bool]:
    """The value that shows a parameter, and whether training saw it move.

    One above neutral, or the largest value seen when that is less; for one that only went below neutral, downwards
    likewise. One that never moved is shown one above neutral.
    """
    neutral, low, high = space.neutral[index], space.low[index], space.high[index]
    if high > neutral:
        return min(neutral + 1, high), True
    if low < neutral:
        return max(neutral - 1, low), True
    return neutral + 1, False
