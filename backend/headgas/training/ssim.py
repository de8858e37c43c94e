# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The structural similarity of two images, with its gradient (Wang et al. 2004), as torchmetrics defines it."""

import functools
import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from headgas.splatting.compiling import announced, compiled
from headgas.splatting.gpu_kernels import kernels_work
from headgas.splatting.simd import LANES, fetch_add, load, select, splat, store
from headgas.splatting.threads import run

_RADIUS = 5
_TAPS = 2 * _RADIUS + 1
_SIGMA = 1.5  # pixels
_C1, _C2 = 0.01**2, 0.03**2  # for values in 0..1

f32 = np.float32
_WEIGHTS = [math.exp(-0.5 * ((i - _RADIUS) / _SIGMA) ** 2) for i in range(_TAPS)]
_WINDOW = tuple(f32(weight / sum(_WEIGHTS)) for weight in _WEIGHTS)
_ROWS = 8  # image rows taken by a thread at a time
_COMPILE_SECONDS = 5


@compiled
def _compare(work, blocks, image, target, inside, channels, values, totals, maps):
    """Write the similarity of each image row, and each pixel's derivatives by its windowed averages.

    image, target [H+2R, S]: rows of interleaved channels, mirrored at the borders; values = W * channels of them count,
    inside [S] is 1 for those and 0 behind; totals [H]: the similarities' sums; maps [3, H+4R, S], zero around the
    image: the derivatives by the average of the image, of its square and of its product with the target.
    """
    height = totals.shape[0]
    stride = image.shape[1]
    plane = maps.shape[1] * stride
    images, targets, derivatives = image.reshape(-1), target.reshape(-1), maps.reshape(-1)
    nothing, one, two, c1, c2 = splat(f32(0)), splat(f32(1)), splat(f32(2)), splat(f32(_C1)), splat(f32(_C2))
    averages = np.zeros(6 * stride, np.float32)
    lanes = np.empty(LANES, np.float32)
    while True:
        block = fetch_add(work, 0)
        if block >= blocks:
            return
        for y in range(block * _ROWS, min(height, (block + 1) * _ROWS)):
            for i in range(0, stride, LANES):
                x, z, xx, zz, xz = nothing, nothing, nothing, nothing, nothing
                for t in range(_TAPS):
                    at = (y + t) * stride + i
                    left, right = load(images, at), load(targets, at)
                    weighted_left, weighted_right = left * _WINDOW[t], right * _WINDOW[t]
                    x, z = x + weighted_left, z + weighted_right
                    xx, zz, xz = weighted_left * left + xx, weighted_right * right + zz, weighted_left * right + xz
                store(averages, i, x)
                store(averages, stride + i, z)
                store(averages, 2 * stride + i, xx)
                store(averages, 3 * stride + i, zz)
                store(averages, 4 * stride + i, xz)
            total = nothing
            out = ((y + 2 * _RADIUS) * stride) + 2 * _RADIUS * channels
            for i in range(0, values, LANES):
                x, z, xx, zz, xz = nothing, nothing, nothing, nothing, nothing
                for t in range(_TAPS):
                    at = i + t * channels
                    x = load(averages, at) * _WINDOW[t] + x
                    z = load(averages, stride + at) * _WINDOW[t] + z
                    xx = load(averages, 2 * stride + at) * _WINDOW[t] + xx
                    zz = load(averages, 3 * stride + at) * _WINDOW[t] + zz
                    xz = load(averages, 4 * stride + at) * _WINDOW[t] + xz
                variance = xx - x * x
                flat = nothing > variance  # rounding: the variance is taken as 0, and has no derivative
                variance = select(flat, nothing, variance)
                other_variance = zz - z * z
                other_variance = select(nothing > other_variance, nothing, other_variance)
                brightness, structure = two * x * z + c1, two * (xz - x * z) + c2
                energy, spread = x * x + z * z + c1, variance + other_variance + c2
                scale = load(inside, i) * one / (energy * spread)
                similarity = brightness * structure * scale
                by_product = two * brightness * scale
                by_square = select(flat, nothing, nothing - similarity * energy / (energy * spread))
                by_mean = two * (z * structure * scale - x * similarity / energy) - z * by_product - two * x * by_square
                store(derivatives, out + i, by_mean)
                store(derivatives, plane + out + i, by_square)
                store(derivatives, 2 * plane + out + i, by_product)
                total = total + similarity
            store(lanes, 0, total)
            totals[y] = lanes.sum()
        fetch_add(work, 8)


@compiled
def _differentiate(work, blocks, image, target, channels, values, maps, scale, gradient):
    """Spread `_compare`'s derivatives over the windows: gradient [H+2R, S] by the mirrored image, times `scale`."""
    height = image.shape[0]
    stride = image.shape[1]
    plane = maps.shape[1] * stride
    images, targets = image.reshape(-1), target.reshape(-1)
    derivatives, gradients = maps.reshape(-1), gradient.reshape(-1)
    nothing, two = splat(f32(0)), splat(f32(2))
    columns = np.zeros(4 * stride, np.float32)
    while True:
        block = fetch_add(work, 0)
        if block >= blocks:
            return
        for y in range(block * _ROWS, min(height, (block + 1) * _ROWS)):
            for i in range(0, stride, LANES):
                by_mean, by_square, by_product = nothing, nothing, nothing
                for t in range(_TAPS):
                    at = (y + t) * stride + i
                    by_mean = load(derivatives, at) * _WINDOW[t] + by_mean
                    by_square = load(derivatives, plane + at) * _WINDOW[t] + by_square
                    by_product = load(derivatives, 2 * plane + at) * _WINDOW[t] + by_product
                store(columns, i, by_mean)
                store(columns, stride + i, by_square)
                store(columns, 2 * stride + i, by_product)
            for i in range(0, values + 2 * _RADIUS * channels, LANES):
                by_mean, by_square, by_product = nothing, nothing, nothing
                for t in range(_TAPS):
                    at = i + t * channels
                    by_mean = load(columns, at) * _WINDOW[t] + by_mean
                    by_square = load(columns, stride + at) * _WINDOW[t] + by_square
                    by_product = load(columns, 2 * stride + at) * _WINDOW[t] + by_product
                at = y * stride + i
                sum_of_both = by_mean + two * load(images, at) * by_square + load(targets, at) * by_product
                store(gradients, at, sum_of_both * scale)
        fetch_add(work, 8)


def _mirrored(image: np.ndarray) -> np.ndarray:
    """The image [H,W,C] with R mirrored pixels around it and room for whole vectors, [H+2R, S/C, C]."""
    height, width, channels = image.shape
    room = -(-(width + 4 * _RADIUS + LANES) // LANES) * LANES
    padded = np.zeros((height + 2 * _RADIUS, room, channels), f32)
    inner = padded[_RADIUS : _RADIUS + height]
    inner[:, _RADIUS : _RADIUS + width] = image
    inner[:, :_RADIUS] = image[:, _RADIUS:0:-1]
    inner[:, _RADIUS + width : 2 * _RADIUS + width] = image[:, -2 : -2 - _RADIUS : -1]
    padded[:_RADIUS] = inner[_RADIUS:0:-1]
    padded[_RADIUS + height :] = inner[-2 : -2 - _RADIUS : -1]
    return padded


def _folded(gradient: np.ndarray, width: int) -> np.ndarray:
    """The adjoint of `_mirrored`."""
    gradient = gradient[:, : width + 2 * _RADIUS]
    rows = gradient[_RADIUS:-_RADIUS].copy()
    rows[1 : 1 + _RADIUS] += gradient[_RADIUS - 1 :: -1]
    rows[-1 - _RADIUS : -1] += gradient[: -1 - _RADIUS : -1]
    image = rows[:, _RADIUS : _RADIUS + width].copy()
    image[:, 1 : 1 + _RADIUS] += rows[:, _RADIUS - 1 :: -1]
    image[:, -1 - _RADIUS : -1] += rows[:, : _RADIUS + width - 1 : -1]
    return image


class _Similarity(torch.autograd.Function):
    @staticmethod
    def forward(ctx, image: Tensor, target: Tensor) -> Tensor:
        (height, width, channels), values = image.shape, image.shape[1] * image.shape[2]
        left, right = (_mirrored(tensor.detach().numpy()) for tensor in (image, target))
        stride = left.shape[1] * channels
        flat_left, flat_right = left.reshape(-1, stride), right.reshape(-1, stride)
        inside = np.zeros(stride, f32)
        inside[:values] = 1
        totals, maps = np.empty(height, np.float64), np.zeros((3, height + 4 * _RADIUS, stride), f32)
        blocks = -(-height // _ROWS)
        with announced("the similarity of images", _COMPILE_SECONDS):
            run(_compare, blocks, flat_left, flat_right, inside, channels, values, totals, maps)
            if ctx.needs_input_grad[0]:
                blocks, gradient = -(-len(left) // _ROWS), np.empty_like(left)
                arrays = flat_left, flat_right, channels, values, maps, f32(1 / (height * values))
                run(_differentiate, blocks, *arrays, gradient.reshape(-1, stride))
                ctx.save_for_backward(torch.from_numpy(_folded(gradient, width)))
        return torch.tensor(totals.sum() / (height * values), dtype=torch.float32)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:
        return torch.from_numpy(ctx.saved_tensors[0].numpy() * f32(gradient)), None


def ssim_torch(image: Tensor, target: Tensor) -> Tensor:
    """The same in plain torch, on any device and in any dtype: the twin of both kernels."""
    channels = image.shape[2]
    window = torch.tensor(_WEIGHTS, dtype=image.dtype, device=image.device)
    window = (window / window.sum()).repeat(5 * channels, 1, 1, 1)  # [5C,1,1,11]
    left, right = (F.pad(tensor.permute(2, 0, 1)[None], [_RADIUS] * 4, mode="reflect") for tensor in (image, target))
    products = torch.cat([left, right, left * left, right * right, left * right], 1)
    rows = F.conv2d(products, window, groups=5 * channels)
    x, z, xx, zz, xz = F.conv2d(rows, window.transpose(2, 3), groups=5 * channels).split(channels, 1)
    variance, other_variance = (xx - x * x).clamp_min(0), (zz - z * z).clamp_min(0)
    alike = (2 * x * z + _C1) * (2 * (xz - x * z) + _C2)
    return (alike / ((x * x + z * z + _C1) * (variance + other_variance + _C2))).mean()


def ssim(image: Tensor, target: Tensor) -> Tensor:
    """The mean structural similarity of two images [H,W,C] with values in 0..1; differentiable by the first.

    An 11 x 11 Gaussian window of sigma 1.5, mirrored borders, the mean over all pixels and channels: torchmetrics'
    structural_similarity_index_measure with data_range=1.
    """
    if image.shape != target.shape or image.ndim != 3 or min(image.shape[:2]) <= _RADIUS:
        shapes = f"{tuple(image.shape)} and {tuple(target.shape)}"
        raise ValueError(f"two images [H,W,C] of more than {_RADIUS} pixels are needed, got {shapes}")
    if image.device.type == "cpu" and image.dtype == target.dtype == torch.float32:
        return _Similarity.apply(image, target)
    if image.dtype == target.dtype == torch.float32 and kernels_work(image):
        return ssim_on_cuda(image, target)
    return ssim_torch(image, target)


def ssim_on_cuda(image: Tensor, target: Tensor) -> Tensor:
    """The same by Triton kernels, for float32 on a CUDA device."""
    from headgas.training.ssim_cuda import Similarity

    return Similarity.apply(image, target, _window(image.device))


@functools.cache
def _window(device: torch.device) -> Tensor:
    """The window's weights [11], brought to the device once."""
    with torch.inference_mode(False):  # training must be able to use it, whoever came first
        return torch.tensor(_WINDOW, dtype=torch.float32, device=device)
