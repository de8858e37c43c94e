# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rank-one Adam on CUDA: one Triton kernel for all rows, and nothing that the host must wait for."""

import torch
import triton
import triton.language as tl
from torch import Tensor

from headgas.splatting.gpu_kernels import launch

_VALUES = 512  # of a program: each thread holds four of a kind


@triton.jit(do_not_specialize=["count"])  # Gaussians come and go while training densifies: nothing compiles anew
def _step(
    basis, first, second, coefficients, gradients, active, rates, roots, keeps, rows, count,
    decay1, decay2, rest1, rest2, epsilon,
    FRAMES: tl.constexpr, FEATURES: tl.constexpr, BLOCK: tl.constexpr, F: tl.constexpr,
):  # fmt: skip
    """A block of Gaussians in all rows: as `step_fused`; F = FEATURES padded."""
    n = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    f = tl.arange(0, F)
    there = n < count
    inside = there[:, None] & (f < FEATURES)[None, :]
    at = n.to(tl.int64)[:, None] * FEATURES + f[None, :]
    place, spot = at, n.to(tl.int64)
    for row in range(rows):
        if tl.load(active + row) != 0:
            slope = tl.zeros((BLOCK, F), tl.float32)
            for k in tl.static_range(FRAMES):  # again for each row, but from the first-level cache
                gradient = tl.load(gradients + k * count.to(tl.int64) * FEATURES + at, mask=inside, other=0.0)
                slope += tl.load(coefficients + k * rows + row) * gradient
            square = tl.sum(slope * slope, 1) / FEATURES
            spread = decay2 * tl.load(second + spot, mask=there, other=0.0) + rest2 * square
            tl.store(second + spot, spread, mask=there)
            mean = decay1 * tl.load(first + place, mask=inside, other=0.0) + rest1 * slope
            tl.store(first + place, mean, mask=inside)
            length = tl.load(rates + row) / (tl.sqrt(spread) * tl.load(roots + row) + epsilon)
            value = tl.load(keeps + row) * tl.load(basis + place, mask=inside, other=0.0)
            tl.store(basis + place, value - length[:, None] * mean, mask=inside)
        place += count.to(tl.int64) * FEATURES
        spot += count


def step_fused(
    basis: Tensor, first: Tensor, second: Tensor, coefficients: Tensor, gradients: Tensor, decays: tuple[float, float],
    rates: Tensor, roots: Tensor, keeps: Tensor, active: Tensor, epsilon: float,
) -> None:  # fmt: skip
    """Steps the active rows in place, as `RankOneAdam.step` describes.

    Args:
        basis, first, second: [R,N,f], [R,N,f] and [R,N] float32, contiguous: the basis and its moments.
        coefficients, gradients: [K,R] and [K,N,f] float32.
        decays: of the first and the second moment.
        rates, roots, keeps: [R] float32; active [R] bool; all on the device.
    """
    if not (basis.is_contiguous() and first.is_contiguous() and second.is_contiguous()):
        raise ValueError("basis and moments must be contiguous")
    coefficients, gradients = coefficients.detach().contiguous(), gradients.detach().contiguous()
    (rows, count, features), frames = basis.shape, len(coefficients)
    padded = triton.next_power_of_2(features)
    block = max(1, _VALUES // padded)
    launch(
        _step, triton.cdiv(count, block), basis,
        basis, first, second, coefficients, gradients, active.view(torch.uint8), rates, roots, keeps,
        rows, count, *decays, 1 - decays[0], 1 - decays[1], epsilon, frames, features, block, padded, num_warps=4,
    )  # fmt: skip
