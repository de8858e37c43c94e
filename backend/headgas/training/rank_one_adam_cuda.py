# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rank-one Adam on CUDA: one Triton kernel for all rows, and nothing that the host must wait for."""

import torch
import triton
import triton.language as tl
from torch import Tensor

_COLUMNS = 512  # of a program: each thread holds four


@triton.jit
def _step(
    values, first, second, coefficients, gradients, active, rates, roots, keeps, rows, columns,
    decay1, decay2, rest1, rest2, epsilon, FRAMES: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """values, first, second [R,M]; coefficients [K,R]; gradients [K,M]; active, rates, roots, keeps [R]."""
    at = tl.program_id(0).to(tl.int64) * COLUMNS + tl.arange(0, COLUMNS)
    inside = at < columns
    place = at
    for row in range(rows):
        if tl.load(active + row) != 0:
            slope = tl.zeros((COLUMNS,), tl.float32)
            for k in tl.static_range(FRAMES):  # again for each row, but from the first-level cache
                gradient = tl.load(gradients + k * columns + at, mask=inside, other=0.0)
                slope += tl.load(coefficients + k * rows + row) * gradient
            mean = decay1 * tl.load(first + place, mask=inside, other=0.0) + rest1 * slope
            square = decay2 * tl.load(second + place, mask=inside, other=0.0) + rest2 * slope * slope
            tl.store(first + place, mean, mask=inside)
            tl.store(second + place, square, mask=inside)
            value = tl.load(keeps + row) * tl.load(values + place, mask=inside, other=0.0)
            spread = tl.sqrt(square) * tl.load(roots + row) + epsilon
            tl.store(values + place, value - tl.load(rates + row) * mean / spread, mask=inside)
        place += columns


def step_fused(
    rows: Tensor, first: Tensor, second: Tensor, coefficients: Tensor, gradients: Tensor,
    decay1: float, decay2: float, rates: Tensor, roots: Tensor, keeps: Tensor, active: Tensor, epsilon: float,
) -> None:  # fmt: skip
    """Steps the active rows in place; the gradient of row r is Σ_k coefficients[k,r] · gradients[k].

    Args:
        rows, first, second: [R,M] float32, contiguous: the basis and its moments.
        coefficients, gradients: [K,R] and [K,M] float32.
        rates, roots, keeps: [R] float32, see `row_factors`.
        active: [R] bool.
        epsilon: added to the root of the second moment.
    """
    coefficients, gradients = coefficients.detach().contiguous(), gradients.detach().contiguous()
    if not (rows.is_contiguous() and first.is_contiguous() and second.is_contiguous()):
        raise ValueError("basis and moments must be contiguous")
    with torch.cuda.device_of(rows):
        _step[(triton.cdiv(rows.shape[1], _COLUMNS),)](
            rows, first, second, coefficients, gradients, active.view(torch.uint8), rates, roots, keeps, *rows.shape,
            decay1, decay2, 1 - decay1, 1 - decay2, epsilon, len(coefficients), _COLUMNS, num_warps=4,
        )  # fmt: skip


def row_factors(
    steps: Tensor, coefficients: Tensor, betas: tuple[float, float], learning_rate: float, weight_decay: Tensor | None
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """rates, roots, keeps and active [R], all computed on the device; counts the step in `steps` [R] int64.

    Args:
        coefficients: [K,R].
        weight_decay: [R] on the device; none when left out.
    """
    active = (coefficients.detach() != 0).any(0)
    steps += active
    count = steps.clamp_min(1).double()
    rates = (learning_rate / (1 - betas[0] ** count)).float()
    roots = (1 - betas[1] ** count).rsqrt().float()
    keeps = torch.ones_like(rates) if weight_decay is None else 1 - learning_rate * weight_decay
    return rates, roots, keeps, active
