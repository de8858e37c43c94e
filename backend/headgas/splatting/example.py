# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""A made-up scene the size and density of a head, for tests and benchmarks."""

import math

import torch

from headgas.splatting.camera import Camera
from headgas.splatting.gaussians import Gaussians


def egg(
    count: int,
    width: int,
    height: int,
    *,
    channels: int = 3,
    sigma: tuple[float, float] = (1.5, 3.0),
    yaw: float = 0.0,
    seed: int = 0,
) -> tuple[Gaussians, Camera]:
    """Gaussians, `sigma` pixels large, on an egg that fills 60 % of the frame, seen from 5 m; `yaw` in radians."""
    generator = torch.Generator().manual_seed(seed)
    distance, focal = 5.0, 1.2 * width
    metre = distance / focal  # of one pixel
    radius = math.sqrt(0.6 / (math.pi * 1.25) * width * height) * metre
    directions = torch.randn(count, 3, generator=generator)
    directions = directions / directions.norm(dim=1, keepdim=True)
    shell = torch.tensor([1.0, 1.25, 1.05]) * radius
    gaussians = Gaussians(
        means=directions * shell * (1 + 0.01 * torch.randn(count, 1, generator=generator)),
        quaternions=torch.randn(count, 4, generator=generator),
        scales=(sigma[0] + (sigma[1] - sigma[0]) * torch.rand(count, 3, generator=generator)) * metre,
        opacities=0.5 + 0.4 * torch.rand(count, generator=generator),
        colors=torch.rand(count, channels, generator=generator),
    )
    viewmat = torch.eye(4)
    viewmat[0, 0] = viewmat[2, 2] = math.cos(yaw)
    viewmat[0, 2], viewmat[2, 0] = math.sin(yaw), -math.sin(yaw)
    viewmat[2, 3] = distance
    K = torch.tensor([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])
    return gaussians, Camera(viewmat, K, width, height)
