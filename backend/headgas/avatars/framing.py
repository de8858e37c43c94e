# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cameras that hold an avatar in their frame, for an avatar that comes without any."""

import math
from dataclasses import replace

import torch
from torch import Tensor

from headgas.avatars.avatar import Avatar
from headgas.splatting import Camera

_FIELD_OF_VIEW = math.radians(25)
_MARGIN = 0.05  # of the bounds, on each side
_ROOM = 1.1  # of the larger side of the face: what perspective adds in front
_MOST = 1_000_000  # Gaussians that are looked at
_TRIMMED = 0.005  # of the Gaussians on each side: stray ones must not stretch the bounds


def visible_points(avatar: Avatar) -> Tensor:
    """Where Gaussians are that are visible at rest [n,3], metres, without the stray ones that lie apart from them."""
    means = _visible_means(avatar)
    low, high = _limits(means)
    return means[((means >= low) & (means <= high)).all(1)]


def visible_bounds(avatar: Avatar) -> tuple[Tensor, Tensor]:
    """Two corners [3] of the box around the Gaussians that are visible at rest, metres."""
    low, high = _limits(_visible_means(avatar))
    margin = (high - low) * _MARGIN
    return low - margin, high + margin


def _visible_means(avatar: Avatar) -> Tensor:
    far = torch.eye(4, device=avatar.device)
    far[2, 3] = 1.0
    gaussians = avatar.gaussians(avatar.neutral(), Camera(far, torch.eye(3, device=avatar.device), 1, 1))
    means = gaussians.means[gaussians.opacities > 0.1]
    if not len(means):
        means = gaussians.means
    return means[:: -(-len(means) // _MOST)]  # quantiles of more cannot be had


def _limits(means: Tensor) -> Tensor:
    """The corners [2,3] of the box around points [n,3]."""
    return torch.quantile(means, torch.tensor([_TRIMMED, 1 - _TRIMMED], device=means.device), dim=0)


def parallel(camera: Camera, bounds: tuple[Tensor, Tensor]) -> Camera:
    """The orthographic camera that shows the middle of `bounds`, two corners [3], as large as `camera` does."""
    middle = (bounds[0] + bounds[1]).detach().to(camera.viewmat) / 2
    K = camera.K.clone()
    K[:2, :2] /= camera.viewmat[2, :3] @ middle + camera.viewmat[2, 3]
    return replace(camera, K=K, orthographic=True)


def camera_around(center: Tensor, diameter: float, yaw: float, pitch: float, size: int) -> Camera:
    """A camera of size² pixels that holds a ball in its frame.

    Args:
        center: [3] of the ball, metres.
        diameter: of the ball, metres.
        yaw: degrees to the subject's left; 0 looks into the face.
        pitch: degrees upward.
    """
    yaw, pitch = math.radians(yaw), math.radians(pitch)
    away = torch.tensor([math.sin(yaw) * math.cos(pitch), -math.cos(yaw) * math.cos(pitch), math.sin(pitch)])
    right = torch.tensor([math.cos(yaw), math.sin(yaw), 0.0])
    down = torch.linalg.cross(-away, right)
    viewmat = torch.eye(4)
    viewmat[:3, :3] = torch.stack([right, down, -away])
    position = center.cpu() + away * diameter / (2 * math.sin(_FIELD_OF_VIEW / 2))
    viewmat[:3, 3] = -viewmat[:3, :3] @ position
    focal = 0.5 * size / math.tan(_FIELD_OF_VIEW / 2)
    K = torch.tensor([[focal, 0, size / 2], [0, focal, size / 2], [0, 0, 1]])
    return Camera(viewmat, K, size, size).to(center.device)


@torch.no_grad()
def face_camera(avatar: Avatar, size: int, yaw: float = 0.0, pitch: float = 0.0) -> Camera:
    """A camera of size² pixels before the face; yaw and pitch in degrees."""
    low, high = visible_bounds(avatar)
    side = float((high - low)[[0, 2]].max())
    return camera_around((low + high) / 2, _ROOM * side, yaw, pitch, size)


@torch.no_grad()
def orbit(avatar: Avatar, count: int, degrees: float, width: int, height: int) -> list[Camera]:
    """Cameras that go around the head, beginning before the face, for `count` pictures that can be shown in a loop.

    Args:
        degrees: 360 goes around once; less swings to one side and to the other, so wide in all.
        width, height: pixels.
    """
    (low, high), size = visible_bounds(avatar), min(width, height)
    diameter = _ROOM * float((high - low)[[0, 2]].max())
    cameras = []
    for number in range(count):
        turn = 360 * number / count
        yaw = turn if degrees >= 360 else degrees / 2 * math.sin(math.radians(turn))
        camera = camera_around((low + high) / 2, diameter, yaw, 0.0, size)
        camera.K[:2, 2] = camera.K.new_tensor([width / 2, height / 2])
        cameras.append(replace(camera, width=width, height=height))
    return cameras
