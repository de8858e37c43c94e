# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pose in which an avatar fits a photograph best: what a tracker's error costs can then be told from the avatar's.

Six numbers by Levenberg and Marquardt's method, first on coarse pictures; the derivatives are differences, so any
avatar serves, on any device. The expression stays as it was tracked.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from headgas.avatars import Avatar
from headgas.captures import Frame
from headgas.splatting import Camera
from headgas.training.refinement import moved_camera

_EXTENT = 0.1  # metres that a translation is counted in: on a head's surface it then shows as much as a turn
_STEP = 2e-3  # radians, or extents: what differences are taken over, about a fifth of a pixel
_COARSE = (4, 1)  # pixels that are averaged
_ROUNDS = 6  # at each of them
_DAMPING, _LEAST_DAMPING, _MOST_DAMPING = 1e-3, 1e-7, 1e2
_ENOUGH = 1e-3  # of the error: a round that gains less is the last


def refined(avatar: Avatar, frame: Frame, target: Tensor) -> Tensor:
    """The avatar [H,W,3] over white, its head moved to where it fits the photograph `target` [H,W,3] best."""
    return _render(avatar, _expression(avatar, frame), refined_camera(avatar, frame, target))


def refined_camera(avatar: Avatar, frame: Frame, target: Tensor) -> Camera:
    """The frame's camera, before which the head was moved to where it fits the photograph [H,W,3] over white best."""
    camera, expression = frame.camera.to(avatar.device), _expression(avatar, frame)
    center = avatar.gaussians(expression, camera).means.mean(0)

    def errors(pose: Tensor, coarse: int) -> Tensor:
        image = _render(avatar, expression, moved_camera(camera, pose, center, _EXTENT))
        difference = (image - target).permute(2, 0, 1)
        return torch.nn.functional.avg_pool2d(difference, min(coarse, *difference.shape[1:])).flatten()

    pose = torch.zeros(6, device=avatar.device)
    for coarse in _COARSE:
        pose = _fitted(pose, partial(errors, coarse=coarse))
    return moved_camera(camera, pose, center, _EXTENT)


def _fitted(pose: Tensor, errors: Callable[[Tensor], Tensor]) -> Tensor:
    """The pose [6] near the given one with the least sum of squared errors."""
    damping, here = _DAMPING, errors(pose)
    for _ in range(_ROUNDS):
        sides = torch.eye(6, device=pose.device) * _STEP
        slopes = torch.stack([errors(pose + side) - here for side in sides]) / _STEP  # [6,n]
        normal, pull = slopes @ slopes.T, slopes @ here
        before = here.square().sum()
        while damping <= _MOST_DAMPING:
            weights = normal.diagonal() * damping + 1e-12
            tried = pose - torch.linalg.solve(normal + weights.diag(), pull)
            there = errors(tried)
            if there.square().sum() < before:
                break
            damping *= 10
        else:
            return pose
        pose, here, damping = tried, there, max(damping / 10, _LEAST_DAMPING)
        if here.square().sum() > (1 - _ENOUGH) * before:
            break
    return pose


def _expression(avatar: Avatar, frame: Frame) -> Tensor:
    return torch.from_numpy(frame.expression).to(avatar.device)


def _render(avatar: Avatar, expression: Tensor, camera: Camera) -> Tensor:
    """[H,W,3] over white, in 0..1."""
    return avatar.render(expression, camera, torch.ones(3, device=avatar.device)).color.clamp(0, 1)
