# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rotations as unit quaternions wxyz and as matrices."""

import torch
from torch import Tensor


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


def multiplied(p: Tensor, q: Tensor) -> Tensor:
    """Hamilton product of p [4] with each of q [N,4]."""
    w, u = p[0], p[1:].expand(len(q), 3)
    real = w * q[:, 0] - (u * q[:, 1:]).sum(1)
    imaginary = w * q[:, 1:] + q[:, :1] * u + torch.linalg.cross(u, q[:, 1:])
    return torch.cat([real[:, None], imaginary], 1)
