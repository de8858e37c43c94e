# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The naive rasterizer, every pixel against every Gaussian in plain torch: the truth for testing the fast ones."""

import torch
from torch import Tensor

from headgas.splatting.camera import Camera
from headgas.splatting.gaussians import Gaussians

_SATURATED = 1e-4
_NOWHERE = 1e10
_FAR = 1e10


def _rotations(quaternions: Tensor) -> Tensor:
    """Rotation matrices [N,3,3] of quaternions [N,4] wxyz of any length."""
    w, x, y, z = (quaternions / quaternions.norm(dim=-1, keepdim=True)).unbind(-1)
    rows = (
        1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
        2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
        2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
    )  # fmt: skip
    return torch.stack(rows, -1).reshape(-1, 3, 3)


def _held(slope: Tensor, focal: Tensor, center: Tensor, size: int) -> Tensor:
    """x/z [N] kept within the image and a border of 0.3 of the field of view."""
    border = 0.3 * 0.5 * size / focal
    return torch.minimum((size - center) / focal + border, torch.maximum(-center / focal - border, slope))


def project(gaussians: Gaussians, camera: Camera, eps2d: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Screen means [N,2], inverse covariances (A, B, C) [N,3], antialiasing factors [N], depths [N], of all."""
    viewmat, K = camera.viewmat.to(gaussians.means), camera.K.to(gaussians.means)
    rotation, (fx, fy, cx, cy) = viewmat[:3, :3], (K[0, 0], K[1, 1], K[0, 2], K[1, 2])
    x, y, z = (gaussians.means @ rotation.T + viewmat[:3, 3]).unbind(-1)
    zero = torch.zeros_like(z)
    if camera.orthographic:
        w, slope_x, slope_y = torch.ones_like(z), zero, zero
    else:
        w, slope_x, slope_y = z, _held(x / z, fx, cx, camera.width), _held(y / z, fy, cy, camera.height)
    jacobian = torch.stack([fx / w, zero, -fx * slope_x / w, zero, fy / w, -fy * slope_y / w], -1).reshape(-1, 2, 3)
    root = jacobian @ rotation @ (_rotations(gaussians.quaternions) * gaussians.scales[:, None, :])
    covariance = root @ root.transpose(1, 2)
    a, b, c = covariance[:, 0, 0], covariance[:, 0, 1], covariance[:, 1, 1]
    sharp, determinant = a * c - b * b, (a + eps2d) * (c + eps2d) - b * b
    inverse = torch.stack([c + eps2d, -b, a + eps2d], -1) / determinant[:, None]
    means = torch.stack([fx * x / w + cx, fy * y / w + cy], -1)
    return means, inverse, (sharp / determinant).clamp_min(0).sqrt(), z


def rasterize_reference(
    gaussians: Gaussians, camera: Camera, background: Tensor, with_depth: bool, antialiased: bool, eps2d: float,
    near: float, alpha_threshold: float, alpha_max: float, screen_offsets: Tensor | None,
    depth_limit: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor | None]:  # fmt: skip
    """color [H,W,C], alpha [H,W], depth [H,W] or None; arguments as in `rasterize`, background [C]; any float dtype."""
    means, inverse, compensations, depths = project(gaussians, camera, eps2d)
    if screen_offsets is not None:
        means = means + screen_offsets
    opacities = gaussians.opacities * compensations if antialiased else gaussians.opacities
    values = torch.cat([gaussians.colors, depths[:, None]], 1) if with_depth else gaussians.colors
    like = {"dtype": means.dtype, "device": means.device}
    rows, columns = torch.arange(camera.height, **like) + 0.5, torch.arange(camera.width, **like) + 0.5
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    transmittance, live = torch.ones_like(x), torch.ones_like(x, dtype=torch.bool)
    total = torch.zeros(*x.shape, values.shape[1], **like)
    order = torch.argsort(depths, stable=True)
    for i in order[(depths[order] >= near) & (depths[order] <= _FAR)].tolist():
        dx, dy, (A, B, C) = x - means[i, 0], y - means[i, 1], inverse[i]
        alpha = (opacities[i] * torch.exp(-(A * dx * dx + C * dy * dy) / 2 - B * dx * dy)).clamp_max(alpha_max)
        shown = alpha >= alpha_threshold
        if depth_limit is not None:
            shown = shown & (depths[i] <= depth_limit)
        alpha = torch.where(live & shown, alpha, torch.zeros_like(alpha))
        left = transmittance * (1 - alpha)
        live = live & (left > _SATURATED)
        total = total + torch.where(live, alpha * transmittance, torch.zeros_like(alpha))[..., None] * values[i]
        transmittance = torch.where(live, left, transmittance)
    coverage = 1 - transmittance
    color = total[..., : gaussians.colors.shape[1]] + transmittance[..., None] * background
    if not with_depth:
        return color, coverage, None
    hit = coverage > 0
    depth = torch.where(hit, total[..., -1] / torch.where(hit, coverage, torch.ones_like(coverage)), _NOWHERE)
    return color, coverage, depth
