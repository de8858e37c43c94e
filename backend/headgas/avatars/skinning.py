# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Linear blend skinning of many points, with how far each is turned, in one pass of the CPU's threads.

torch would write dozens of small arrays one after the other, and wait for OpenMP's slowest thread after each.
"""

import math

import numpy as np
import torch
from torch import Tensor

from headgas.splatting.compiling import announced, compiled
from headgas.splatting.rotations import REFINEMENTS, nearest_rotations, products, quaternions_of
from headgas.splatting.simd import fetch_add
from headgas.splatting.threads import run

_BLOCK = 512  # points taken by a thread at a time
_COMPILE_SECONDS = 3

f32 = np.float32


@compiled
def _skin(work, blocks, weights, transforms, points, refinements, out, turns):
    """weights [V,J], transforms [J,12]: a matrix row by row, then a shift. out [V,3], turns [V,9]."""
    m, c = np.empty(12, f32), np.empty(9, f32)
    half = f32(0.5)
    while True:
        block = fetch_add(work, 0)
        if block >= blocks:
            return
        for i in range(block * _BLOCK, min(points.shape[0], (block + 1) * _BLOCK)):
            m[:] = f32(0)
            for j in range(weights.shape[1]):
                weight = weights[i, j]
                if weight != f32(0):
                    for k in range(12):
                        m[k] += weight * transforms[j, k]
            x, y, z = points[i, 0], points[i, 1], points[i, 2]
            for k in range(3):
                out[i, k] = m[3 * k] * x + m[3 * k + 1] * y + m[3 * k + 2] * z + m[9 + k]
            for _ in range(refinements):
                c[0], c[1], c[2] = m[4] * m[8] - m[5] * m[7], m[5] * m[6] - m[3] * m[8], m[3] * m[7] - m[4] * m[6]
                c[3], c[4], c[5] = m[7] * m[2] - m[8] * m[1], m[8] * m[0] - m[6] * m[2], m[6] * m[1] - m[7] * m[0]
                c[6], c[7], c[8] = m[1] * m[5] - m[2] * m[4], m[2] * m[3] - m[0] * m[5], m[0] * m[4] - m[1] * m[3]
                inverse = f32(1) / (m[0] * c[0] + m[1] * c[1] + m[2] * c[2])
                for k in range(9):
                    m[k] = half * (m[k] + c[k] * inverse)
            for k in range(9):
                turns[i, k] = m[k]
        fetch_add(work, 8)


@compiled
def _turn(work, blocks, turns, quaternions, out):
    """turns [V,9] row by row; quaternions [V,4]; out [V,4]."""
    one = f32(1)
    while True:
        block = fetch_add(work, 0)
        if block >= blocks:
            return
        for i in range(block * _BLOCK, min(quaternions.shape[0], (block + 1) * _BLOCK)):
            r = turns[i]
            xx, yy, zz = r[0], r[4], r[8]
            a, b, c, d = one + xx + yy + zz, r[7] - r[5], r[2] - r[6], r[3] - r[1]
            if xx > max(yy, zz, xx + yy + zz):
                a, b, c, d = b, one + xx - yy - zz, r[1] + r[3], r[2] + r[6]
            elif yy > max(zz, xx + yy + zz):
                a, b, c, d = c, r[1] + r[3], one - xx + yy - zz, r[5] + r[7]
            elif zz > xx + yy + zz:
                a, b, c, d = d, r[2] + r[6], r[5] + r[7], one - xx - yy + zz
            w, x, y, z = quaternions[i, 0], quaternions[i, 1], quaternions[i, 2], quaternions[i, 3]
            scale = one / math.sqrt((a * a + b * b + c * c + d * d) * (w * w + x * x + y * y + z * z))
            out[i, 0] = scale * (a * w - b * x - c * y - d * z)
            out[i, 1] = scale * (a * x + b * w + c * z - d * y)
            out[i, 2] = scale * (a * y - b * z + c * w + d * x)
            out[i, 3] = scale * (a * z + b * y - c * x + d * w)
        fetch_add(work, 8)


def skin(weights: Tensor, transforms: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
    """Skinned points [V,3], and the rotations nearest to what they are skinned by [V,3,3]; without gradients.

    Args:
        weights: [V,J], each row's sum is 1.
        transforms: [J,12], each joint's matrix row by row, then its shift in metres.
        points: [V,3] metres.
    """
    if points.is_cuda:
        return skin_plainly(weights, transforms, points)
    out, turns = torch.empty(len(points), 3), torch.empty(len(points), 9)
    given = [tensor.detach().contiguous().numpy() for tensor in (weights, transforms, points)]
    with announced("the skinning of points", _COMPILE_SECONDS):
        run(_skin, -(-len(points) // _BLOCK), *given, REFINEMENTS, out.numpy(), turns.numpy())
    return out, turns.view(-1, 3, 3)


def skin_plainly(weights: Tensor, transforms: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
    """The same in plain torch: the kernel's twin."""
    blended = weights @ transforms
    linear = blended[:, :9].view(-1, 3, 3)
    return torch.einsum("vij,vj->vi", linear, points) + blended[:, 9:], nearest_rotations(linear)


def turned_quaternions(turns: Tensor, quaternions: Tensor) -> Tensor:
    """Unit quaternions [V,4] of what turns by `quaternions` [V,4], any length but zero, and then by `turns` [V,3,3]."""
    if quaternions.is_cuda:
        return turned_plainly(turns, quaternions)
    out = torch.empty(len(quaternions), 4)
    given = [tensor.detach().contiguous().numpy() for tensor in (turns.flatten(1), quaternions)]
    with announced("the turning of Gaussians", _COMPILE_SECONDS):
        run(_turn, -(-len(quaternions) // _BLOCK), *given, out.numpy())
    return out


def turned_plainly(turns: Tensor, quaternions: Tensor) -> Tensor:
    """The same in plain torch: the kernel's twin."""
    return products(quaternions_of(turns), torch.nn.functional.normalize(quaternions, dim=1))
