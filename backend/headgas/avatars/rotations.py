# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rotations of joints, and of many Gaussians at once; quaternions are wxyz."""

import torch
from torch import Tensor

REFINEMENTS = 3  # of a blend of joints' matrices: seldom far from a rotation


def rotation_matrices(vectors: Tensor) -> Tensor:
    """[n,3,3] of rotation vectors [n,3]: axis times angle in radians (Rodrigues' formula)."""
    angles = vectors.norm(dim=1).clamp_min(1e-12)[:, None, None]
    x, y, z = vectors.unbind(1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], 1).view(-1, 3, 3) / angles
    one = torch.eye(3, device=vectors.device)
    return one + angles.sin() * cross + (1 - angles.cos()) * (cross @ cross)


def nearest_rotations(matrices: Tensor) -> Tensor:
    """The rotations nearest to matrices [n,3,3] with positive determinants.

    Newton's iteration for the polar decomposition, M ← (M + M⁻ᵀ) / 2: Higham, "Computing the Polar Decomposition",
    SIAM J. Sci. Stat. Comput. 7(4), 1986.
    """
    for _ in range(REFINEMENTS):
        a, b, c = matrices.unbind(1)
        cofactors = torch.stack([_cross(b, c), _cross(c, a), _cross(a, b)], 1)
        matrices = (matrices + cofactors / (a * cofactors[:, 0]).sum(1)[:, None, None]) / 2
    return matrices


def products(left: Tensor, right: Tensor) -> Tensor:
    """The quaternions left · right [n,4]: what turns by `right`, then by `left`; one of each."""
    a, b, c, d = left.unbind(-1)
    w, x, y, z = right.unbind(-1)
    return torch.stack([
        a * w - b * x - c * y - d * z, a * x + b * w + c * z - d * y,
        a * y - b * z + c * w + d * x, a * z + b * y - c * x + d * w,
    ], -1)  # fmt: skip


def _cross(a: Tensor, b: Tensor) -> Tensor:
    """a × b, [n,3]; torch's own is several times slower for many short vectors."""
    (x, y, z), (u, v, w) = a.unbind(1), b.unbind(1)
    return torch.stack([y * w - z * v, z * u - x * w, x * v - y * u], 1)
