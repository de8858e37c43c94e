# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gaussians of quaternions that are not normalised, as rotations and scales that give the same covariance.

GaussianHead's published code leaves the rasterizer's normalisation out. The rotation formula of a quaternion q with
|q|² = n is (1 - n) I + n R, with R the rotation of q/|q|: it stretches, too.
"""

from typing import Any

import torch
from torch import Tensor

from headgas.splatting.rotations import matrices_of, quaternions_of


def unstretched(quaternions: Tensor, scales: Tensor) -> tuple[Tensor, Tensor]:
    """Unit quaternions [N,4] and scales [N,3], not negative, of the covariances M S² Mᵀ.

    M is the rotation formula of `quaternions` [N,4] as they are; S has the `scales` [N,3] of any sign.
    """
    factor = matrices_of(quaternions.double()) * scales.double()[:, None]
    variances, axes = _Eigen.apply(factor @ factor.transpose(1, 2))
    mirrored = torch.linalg.det(axes.detach()).sign()[:, None, None]
    turned = quaternions_of(axes * mirrored)  # -1 times a mirrored rotation is one
    return turned.to(quaternions.dtype), variances.clamp_min(1e-24).sqrt().to(scales.dtype)


class _Eigen(torch.autograd.Function):
    """torch.linalg.eigh, whose gradient is finite where values are equal: a ball has no axes to turn."""

    @staticmethod
    def forward(ctx: Any, matrices: Tensor) -> tuple[Tensor, Tensor]:
        values, vectors = torch.linalg.eigh(matrices)
        ctx.save_for_backward(values, vectors)
        return values, vectors

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, by_values: Tensor, by_vectors: Tensor) -> Tensor:
        values, vectors = ctx.saved_tensors
        gap = values[:, None, :] - values[:, :, None]
        apart = gap.abs() > 1e-9 * values[:, -1:, None].abs()
        inverse = torch.where(apart, 1 / torch.where(apart, gap, 1), 0)
        inner = torch.diag_embed(by_values) + inverse * (vectors.mT @ by_vectors)
        gradient = vectors @ inner @ vectors.mT
        return (gradient + gradient.mT) / 2
