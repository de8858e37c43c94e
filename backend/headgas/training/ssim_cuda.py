# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The structural similarity on CUDA with its gradient: four Triton kernels, one for each direction and pass.

A window is a product of two, so each kernel sums eleven neighbours in one direction. The mirrored borders are never
stored: forward, an index outside the image is reflected; backward, a pixel collects from its mirror images as well.
Arithmetic and notation are those of `headgas.training.ssim`, where the definition and its sources are.
"""

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from headgas.splatting.gpu_kernels import launch

_BLOCK = 256  # values of a program
_RADIUS = tl.constexpr(5)
_C1, _C2 = tl.constexpr(0.01**2), tl.constexpr(0.03**2)


@triton.jit
def _mirrored(i, size):
    """The place in 0..size-1 that an index up to a radius outside stands for."""
    i = tl.abs(i)
    return tl.minimum(i, 2 * (size - 1) - i)


@triton.jit
def _average_columns(image, target, window, averages, height, stride, values, BLOCK: tl.constexpr):
    """averages [5, values]: of x, z, x², z², xz over each column's window. stride = W * C values per image row."""
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = at < values
    row, column = at // stride, at % stride
    x, z, xx = tl.zeros((BLOCK,), tl.float32), tl.zeros((BLOCK,), tl.float32), tl.zeros((BLOCK,), tl.float32)
    zz, xz = tl.zeros((BLOCK,), tl.float32), tl.zeros((BLOCK,), tl.float32)
    for t in tl.static_range(2 * _RADIUS + 1):
        place = _mirrored(row + t - _RADIUS, height) * stride + column
        weight = tl.load(window + t)
        left = tl.load(image + place, mask=inside, other=0.0)
        right = tl.load(target + place, mask=inside, other=0.0)
        x += weight * left
        z += weight * right
        xx += weight * left * left
        zz += weight * right * right
        xz += weight * left * right
    tl.store(averages + at, x, mask=inside)
    tl.store(averages + values + at, z, mask=inside)
    tl.store(averages + 2 * values + at, xx, mask=inside)
    tl.store(averages + 3 * values + at, zz, mask=inside)
    tl.store(averages + 4 * values + at, xz, mask=inside)


@triton.jit
def _compare(
    averages, window, totals, maps, width, channels, values, DERIVE: tl.constexpr, BLOCK: tl.constexpr
):
    """totals [programs]: sums of similarities; maps [3, values]: derivatives by the averages of x, x² and xz."""
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = at < values
    pixel, channel = at // channels, at % channels
    start, column = (pixel // width) * width, pixel % width
    x, z, xx = tl.zeros((BLOCK,), tl.float32), tl.zeros((BLOCK,), tl.float32), tl.zeros((BLOCK,), tl.float32)
    zz, xz = tl.zeros((BLOCK,), tl.float32), tl.zeros((BLOCK,), tl.float32)
    for t in tl.static_range(2 * _RADIUS + 1):
        place = (start + _mirrored(column + t - _RADIUS, width)) * channels + channel
        weight = tl.load(window + t)
        x += weight * tl.load(averages + place, mask=inside, other=0.0)
        z += weight * tl.load(averages + values + place, mask=inside, other=0.0)
        xx += weight * tl.load(averages + 2 * values + place, mask=inside, other=0.0)
        zz += weight * tl.load(averages + 3 * values + place, mask=inside, other=0.0)
        xz += weight * tl.load(averages + 4 * values + place, mask=inside, other=0.0)
    variance, other_variance = tl.maximum(xx - x * x, 0.0), tl.maximum(zz - z * z, 0.0)
    flat = xx - x * x < 0  # rounding: the variance is taken as 0, and has no derivative
    brightness, structure = 2 * x * z + _C1, 2 * (xz - x * z) + _C2
    energy, spread = x * x + z * z + _C1, variance + other_variance + _C2
    scale = 1 / (energy * spread)
    similarity = tl.where(inside, brightness * structure * scale, 0.0)
    tl.store(totals + tl.program_id(0), tl.sum(similarity, 0))
    if DERIVE:
        by_product = 2 * brightness * scale
        by_square = tl.where(flat, 0.0, -similarity / spread)
        by_mean = 2 * (z * structure * scale - x * similarity / energy) - z * by_product - 2 * x * by_square
        tl.store(maps + at, by_mean, mask=inside)
        tl.store(maps + values + at, by_square, mask=inside)
        tl.store(maps + 2 * values + at, by_product, mask=inside)


@triton.jit
def _spread(maps, window, base, step, place, size, values, inside, BLOCK: tl.constexpr):
    """The adjoint of averaging along one direction: what comes to `place` and to its mirror images outside 0..size-1.

    The value at position i lies at base + i * step. Returns the three maps' sums.
    """
    a, b, c = tl.zeros((BLOCK,), tl.float32), tl.zeros((BLOCK,), tl.float32), tl.zeros((BLOCK,), tl.float32)
    for mirror in tl.static_range(3):
        if mirror == 0:
            seen, counts = place, inside
        elif mirror == 1:
            seen, counts = -place, inside & (place > 0) & (place <= _RADIUS)
        else:
            seen = 2 * (size - 1) - place
            counts = inside & (place < size - 1) & (place >= size - 1 - _RADIUS)
        for t in range(2 * _RADIUS + 1):  # unrolled, it would take all registers
            source = seen + t - _RADIUS
            mask = counts & (source >= 0) & (source < size)
            weight = tl.load(window + t)
            at = base + source * step
            a += weight * tl.load(maps + at, mask=mask, other=0.0)
            b += weight * tl.load(maps + values + at, mask=mask, other=0.0)
            c += weight * tl.load(maps + 2 * values + at, mask=mask, other=0.0)
    return a, b, c


@triton.jit
def _spread_columns(maps, window, spreads, height, stride, values, BLOCK: tl.constexpr):
    """spreads [3, values]: the maps, taken back through the columns' windows."""
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = at < values
    a, b, c = _spread(maps, window, at % stride, stride, at // stride, height, values, inside, BLOCK)
    tl.store(spreads + at, a, mask=inside)
    tl.store(spreads + values + at, b, mask=inside)
    tl.store(spreads + 2 * values + at, c, mask=inside)


@triton.jit
def _differentiate(
    spreads, window, image, target, gradient, result, width, channels, values, BLOCK: tl.constexpr
):
    """result [values]: the mean similarity's derivative by the image, times `gradient` []."""
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = at < values
    pixel = at // channels
    base = (pixel // width) * width * channels + at % channels
    a, b, c = _spread(spreads, window, base, channels, pixel % width, width, values, inside, BLOCK)
    left = tl.load(image + at, mask=inside, other=0.0)
    right = tl.load(target + at, mask=inside, other=0.0)
    tl.store(result + at, (a + 2 * left * b + right * c) * (tl.load(gradient) / values), mask=inside)


class Similarity(torch.autograd.Function):
    """The mean similarity [] of image and target [H,W,C] float32; differentiable by the image."""

    @staticmethod
    def forward(ctx: Any, image: Tensor, target: Tensor, window: Tensor) -> Tensor:
        """window [11] float32 on the device of the images."""
        image, target = image.contiguous(), target.contiguous()
        height, width, channels = image.shape
        values = image.numel()
        programs, stride = triton.cdiv(values, _BLOCK), width * channels
        averages, totals = image.new_empty(5, values), image.new_empty(programs)
        derive = ctx.needs_input_grad[0]
        maps = image.new_empty(3, values) if derive else averages
        launch(_average_columns, programs, image, image, target, window, averages, height, stride, values, _BLOCK)
        launch(_compare, programs, image, averages, window, totals, maps, width, channels, values, derive, _BLOCK)
        ctx.save_for_backward(image, target, window, maps)
        return totals.sum() / values

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        image, target, window, maps = ctx.saved_tensors
        height, width, channels = image.shape
        values = image.numel()
        programs, stride = triton.cdiv(values, _BLOCK), width * channels
        spreads, result = torch.empty_like(maps), torch.empty_like(image)
        launch(_spread_columns, programs, image, maps, window, spreads, height, stride, values, _BLOCK)
        arguments = spreads, window, image, target, gradient.contiguous(), result, width, channels, values, _BLOCK
        launch(_differentiate, programs, image, *arguments)
        return result, None, None
