# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""GaussianHead's derivations: each Gaussian looks up its factors at K places, its own turned by K learnt rotations."""

import torch
from torch import Tensor

from headgas.avatars.blocks import in_blocks


def derived(positions: Tensor, quaternions: Tensor, released: bool) -> Tensor:
    """Positions [N,3] turned about the origin by quaternions [N,K,4] wxyz of any length but zero: [N,K,3].

    x + 2/|q|² (w u×x + u×(u×x)), with u the last three of q. `released`: by what the published code makes of them.
    """
    if released:
        return positions[:, None] * _released_stretch(quaternions)
    return in_blocks(_derived, [positions, quaternions], [])


def _derived(positions: Tensor, quaternions: Tensor) -> Tensor:
    w, u = quaternions[..., :1], quaternions[..., 1:]
    x = positions[:, None].expand_as(u)
    cross = torch.linalg.cross(u, x)
    return x + 2 / quaternions.square().sum(-1, keepdim=True) * (w * cross + torch.linalg.cross(u, cross))


def _released_stretch(quaternions: Tensor) -> Tensor:
    """What the published code stretches the axes by [N,K,3], instead of turning them; its weights were trained with it.

    Its `as_matrix` divides by |q| where |q|² makes a rotation, and puts the first entries of all Gaussians' matrices in
    a row, then all second ones and so on (torch.cat, not torch.stack), which it cuts into matrices: nine entries are
    mostly the same one of nine Gaussians, in the order of the file. `So3.forward` sums over their rows: "nTij,nj->Tnj".
    """
    w, x, y, z = (quaternions * (2 / quaternions.norm(dim=-1, keepdim=True)).sqrt()).unbind(-1)
    entries = [1 - y * y - z * z, x * y - z * w, x * z + y * w,
               x * y + z * w, 1 - x * x - z * z, y * z - x * w,
               x * z - y * w, y * z + x * w, 1 - x * x - y * y]  # fmt: skip
    count, derivations = w.shape
    matrices = torch.stack(entries).permute(2, 0, 1).reshape(derivations, count, 3, 3)
    return matrices.sum(2).transpose(0, 1)


def starting_derivations(derivations: int) -> Tensor:
    """Unit quaternions [K,4], uniformly random (Marsaglia 1972): the same for all Gaussians, as in the paper."""
    return torch.nn.functional.normalize(torch.randn(derivations, 4), dim=1)
