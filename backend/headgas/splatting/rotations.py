# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rotations as unit quaternions wxyz, as matrices and as vectors."""

import torch
from torch import Tensor

REFINEMENTS = 3  # of a blend of joints' matrices: seldom far from a rotation


def matrices_of(quaternions: Tensor) -> Tensor:
    """Rotation matrices [N,3,3] of unit quaternions [N,4] wxyz."""
    w, x, y, z = quaternions.unbind(-1)
    rows = [
        1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
        2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
        2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
    ]  # fmt: skip
    return torch.stack(rows, -1).view(-1, 3, 3)


def quaternions_of(matrices: Tensor) -> Tensor:
    """Unit quaternions [N,4] wxyz of rotations [N,3,3]: the largest of four columns, each proportional to it."""
    m = matrices
    xx, yy, zz = m[:, 0, 0], m[:, 1, 1], m[:, 2, 2]
    a, b, c = m[:, 2, 1] - m[:, 1, 2], m[:, 0, 2] - m[:, 2, 0], m[:, 1, 0] - m[:, 0, 1]
    d, e, f = m[:, 0, 1] + m[:, 1, 0], m[:, 0, 2] + m[:, 2, 0], m[:, 1, 2] + m[:, 2, 1]
    candidates = torch.stack(
        [
            torch.stack([1 + xx + yy + zz, a, b, c], -1),
            torch.stack([a, 1 + xx - yy - zz, d, e], -1),
            torch.stack([b, d, 1 - xx + yy - zz, f], -1),
            torch.stack([c, e, f, 1 - xx - yy + zz], -1),
        ],
        1,
    )  # [N,4,4]
    best = candidates.norm(dim=2).argmax(1)
    return torch.nn.functional.normalize(candidates[torch.arange(len(best)), best], dim=1)


def quaternion_of(rotation: Tensor) -> Tensor:
    """The unit quaternion [4] wxyz of a rotation [3,3]."""
    return quaternions_of(rotation[None])[0]


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
    """The quaternions left · right [n,4]: what turns by `right`, then by `left`; one of each, or one [4] for all."""
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
