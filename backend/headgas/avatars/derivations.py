# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""GaussianHead's derivations: each Gaussian looks up its factors at K places, its own turned by K learnt rotations."""

import torch
from torch import Tensor

from headgas.avatars.blocks import in_blocks


def derived(positions: Tensor, quaternions: Tensor, released: bool) -> Tensor:
    """Positions [N,3] turned about the origin by quaternions [N,K,4] wxyz of any length: [N,K,3].

    x + 2/|q|² (w u×x + u×(u×x)), with u the last three of q. The published code divides by |q| (its `as_matrix`), so
    quaternions of other lengths than one do not only turn there: `released` does the same.
    """
    return in_blocks(_derived_as_released if released else _derived, [positions, quaternions], [])


def _derived(positions: Tensor, quaternions: Tensor) -> Tensor:
    return _turned(positions, quaternions, quaternions.square().sum(-1, keepdim=True))


def _derived_as_released(positions: Tensor, quaternions: Tensor) -> Tensor:
    return _turned(positions, quaternions, quaternions.norm(dim=-1, keepdim=True))


def _turned(positions: Tensor, quaternions: Tensor, divisor: Tensor) -> Tensor:
    w, u = quaternions[..., :1], quaternions[..., 1:]
    x = positions[:, None].expand_as(u)
    cross = torch.linalg.cross(u, x)
    return x + 2 / divisor * (w * cross + torch.linalg.cross(u, cross))


def starting_derivations(derivations: int) -> Tensor:
    """Unit quaternions [K,4], uniformly random (Marsaglia 1972): the same for all Gaussians, as in the paper."""
    return torch.nn.functional.normalize(torch.randn(derivations, 4), dim=1)
