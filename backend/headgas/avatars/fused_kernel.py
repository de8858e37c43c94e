# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Blending and MLP as one Triton kernel: features stay in registers on their way from the basis to the outputs.

A program takes a few Gaussians in all frames. It reads only the rows of the basis that some frame's expression uses,
each once, and multiplies by the MLP's weights, which every program finds in the second-level cache.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from headgas.splatting.gpu_kernels import launch

_ROWS = 32  # Gaussians times frames of a program: with more, the three products need more registers than there are
_SMALLEST = 16  # of a matrix product's sides
_LARGEST, _LARGEST_BEFORE_AMPERE = 128, 64  # padded features, units or outputs: more exceed the shared memory
MOST_FRAMES = 8  # of one launch; more would leave a program less than four Gaussians, and reading would be in crumbs


@triton.jit(do_not_specialize=["gaussians"])  # their number changes while training densifies: nothing compiles anew
def _blend_and_decode(
    basis, scales, coefficients, folded, wf, w2, b2, w3, b3, features, first, second, outputs,
    gaussians, rows, row_length,
    FRAMES: tl.constexpr, FEATURES: tl.constexpr, HIDDEN: tl.constexpr, OUTPUTS: tl.constexpr,
    BLOCK: tl.constexpr, LINES: tl.constexpr, F: tl.constexpr, H: tl.constexpr, O: tl.constexpr,
    SCALED: tl.constexpr, KEEP: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """basis [rows,N,f], its rows `row_length` values apart; scales [rows,f] count if SCALED; coefficients [K,rows]; the
    rest as in `write_outputs`. LINES = BLOCK times the padded frames; F, H and O are padded sizes. KEEP: write
    features, first and second."""
    line = tl.arange(0, LINES)
    frame = line // BLOCK
    n = tl.program_id(0) * BLOCK + line % BLOCK
    f, h, o = tl.arange(0, F), tl.arange(0, H), tl.arange(0, O)
    there = (n < gaussians) & (frame < FRAMES)
    is_feature, is_unit, is_output = f < FEATURES, h < HIDDEN, o < OUTPUTS

    at = n[:, None].to(tl.int64) * FEATURES + f[None, :]
    inside = there[:, None] & is_feature[None, :]
    x = tl.zeros((LINES, F), tl.float32)
    start = tl.zeros((), tl.int64)
    for row in range(rows):
        used = tl.load(coefficients + row) != 0
        for k in tl.static_range(1, FRAMES):
            used = used | (tl.load(coefficients + k * rows + row) != 0)
        if used:
            weight = tl.load(coefficients + frame * rows + row, mask=frame < FRAMES, other=0.0)
            values = tl.load(basis + start + at, mask=inside, other=0).to(tl.float32)
            if SCALED:
                values *= tl.load(scales + row * FEATURES + f, mask=is_feature, other=0.0)[None, :]
            x += weight[:, None] * values
        start += row_length

    place = (frame.to(tl.int64) * gaussians + n)[:, None]
    units = there[:, None] & is_unit[None, :]
    if KEEP:
        tl.store(features + place * FEATURES + f[None, :], x, mask=inside)
    weights = tl.load(
        wf + h[None, :] * FEATURES + f[:, None], mask=is_unit[None, :] & is_feature[:, None], other=0.0
    )
    y = tl.load(folded + n[:, None].to(tl.int64) * HIDDEN + h[None, :], mask=units, other=0.0)
    y = tl.maximum(y + tl.dot(x, weights, input_precision=PRECISION), 0.0)
    if KEEP:
        tl.store(first + place * HIDDEN + h[None, :], y, mask=units)
    weights = tl.load(w2 + h[None, :] * HIDDEN + h[:, None], mask=is_unit[None, :] & is_unit[:, None], other=0.0)
    bias = tl.load(b2 + h, mask=is_unit, other=0.0)
    z = tl.maximum(tl.dot(y, weights, input_precision=PRECISION) + bias[None, :], 0.0)
    if KEEP:
        tl.store(second + place * HIDDEN + h[None, :], z, mask=units)
    weights = tl.load(w3 + o[None, :] * HIDDEN + h[:, None], mask=is_output[None, :] & is_unit[:, None], other=0.0)
    bias = tl.load(b3 + o, mask=is_output, other=0.0)
    result = tl.dot(z, weights, input_precision=PRECISION) + bias[None, :]
    tl.store(outputs + place * OUTPUTS + o[None, :], result, mask=there[:, None] & is_output[None, :])


def fits(sizes: tuple[int, ...], device: torch.device) -> bool:
    """Whether an MLP with so many features, hidden units and outputs fits into a program."""
    largest = _LARGEST if _has_float32_tensor_cores(device) else _LARGEST_BEFORE_AMPERE
    return max(sizes) <= largest


def _padded(size: int) -> int:
    return max(_SMALLEST, triton.next_power_of_2(size))


def _has_float32_tensor_cores(device: torch.device) -> bool:
    """Whether the card is an Ampere or newer; Triton's interpreter stands for one."""
    return device.type != "cuda" or torch.cuda.get_device_capability(device)[0] >= 8


def _precision(device: torch.device) -> str:
    """float32 as three products of tensor cores, which is as exact as ordinary units; older cards have only these.

    With ordinary units each thread would hold whole rows and columns: more registers than there are, at half the speed.
    """
    return "tf32x3" if _has_float32_tensor_cores(device) else "ieee"


def write_outputs(
    basis: Tensor, coefficients: Tensor, folded: Tensor, weights: tuple[Tensor, ...], outputs: Tensor,
    scales: Tensor | None = None, kept: tuple[Tensor, Tensor, Tensor] | None = None,
) -> None:  # fmt: skip
    """Writes `outputs` [K,N,O] and, for training, `kept`: features [K,N,f], first and second hidden layer [K,N,H].

    Args:
        basis: [R,N,f] float32, float16, bfloat16 or int8; each row is contiguous.
        coefficients: [K,R] float32.
        folded: [N,H], the first layer's part that is the same in all frames.
        weights: of features [H,f], of the second layer [H,H] and [H], of the outputs [O,H] and [O].
        scales: [R,f] float32, what the basis is multiplied by; nothing when left out.
    """
    everything = (basis[:1], scales, coefficients, folded, *weights, outputs, *(kept or ()))
    if not all(tensor is None or tensor.is_contiguous() for tensor in everything):
        raise ValueError("the fused kernel takes contiguous tensors")
    (rows, gaussians, features), (hidden, count) = basis.shape, (folded.shape[1], outputs.shape[2])
    for start in range(0, len(coefficients), MOST_FRAMES):
        some = slice(start, start + MOST_FRAMES)
        frames = len(coefficients[some])
        block = _ROWS // triton.next_power_of_2(frames)
        targets = [tensor[some] for tensor in kept] if kept else [outputs] * 3  # not touched without `kept`
        launch(
            _blend_and_decode, triton.cdiv(gaussians, block), basis,
            basis, coefficients if scales is None else scales, coefficients[some], folded, *weights,
            *targets, outputs[some], gaussians, rows, basis.stride(0), frames, features, hidden, count,
            block, _ROWS, _padded(features), _padded(hidden), _padded(count),
            scales is not None, kept is not None, _precision(basis.device), num_warps=4,
        )  # fmt: skip
