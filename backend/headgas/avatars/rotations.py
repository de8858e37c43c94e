# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rotations as vectors, matrices and quaternions (wxyz)."""

import torch
from torch import Tensor

_REFINEMENTS = 3  # of a blend of joints' matrices: seldom far from a rotation


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
    for _ in range(_REFINEMENTS):
        a, b, c = matrices.unbind(1)
        cofactors = torch.stack([_cross(b, c), _cross(c, a), _cross(a, b)], 1)
        matrices = (matrices + cofactors / (a * cofactors[:, 0]).sum(1)[:, None, None]) / 2
    return matrices


def quaternions_of(matrices: Tensor) -> Tensor:
    """Unit quaternions [n,4] of rotations [n,3,3], by Shepperd's method: the largest of four is divided by."""
    m = matrices
    trace = m[:, 0, 0] + m[:, 1, 1] + m[:, 2, 2]
    squares = torch.stack([trace, m[:, 0, 0], m[:, 1, 1], m[:, 2, 2]], 1)  # 4w²-1 = trace, 4x²-1 = 2 m00 - trace, …
    sums = {(i, j): m[:, i, j] + m[:, j, i] for i, j in ((0, 1), (0, 2), (1, 2))}
    wx, wy, wz = m[:, 2, 1] - m[:, 1, 2], m[:, 0, 2] - m[:, 2, 0], m[:, 1, 0] - m[:, 0, 1]
    x, y, z = (1 - trace + 2 * m[:, i, i] for i in range(3))
    candidates = torch.stack([
        torch.stack([1 + trace, wx, wy, wz], 1), torch.stack([wx, x, sums[0, 1], sums[0, 2]], 1),
        torch.stack([wy, sums[0, 1], y, sums[1, 2]], 1), torch.stack([wz, sums[0, 2], sums[1, 2], z], 1),
    ], 1)  # fmt: skip
    best = candidates[torch.arange(len(m), device=m.device), squares.argmax(1)]
    return torch.nn.functional.normalize(best, dim=1)


def multiplied(left: Tensor, right: Tensor) -> Tensor:
    """The quaternions left · right [n,4]: what turns by `right`, then by `left`; both [n,4] or one [4]."""
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
