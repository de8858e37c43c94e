# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""From blended Gaussians to the picture that leaves the program, on the CPU: every pixel read and written once."""

import numpy as np
import torch
from torch import Tensor

from headgas.splatting.compiling import announced, compiled
from headgas.splatting.simd import (
    CONSTANTS,
    LANES,
    any_positive,
    broadcast,
    exp2,
    fetch_add,
    load,
    select,
    splat,
    store,
)
from headgas.splatting.simd_math import load_interleaved, log2, store_interleaved
from headgas.splatting.threads import run

_BLOCK = 4096  # pixels
_COMPILE_SECONDS = 2
_CURVE = (0,) * len(CONSTANTS)
f32 = np.float32
_BEND, _SLOPE, _OFFSET, _SCALE, _EXPONENT = f32(0.04045), f32(1 / 12.92), f32(0.055), f32(1 / 1.055), f32(2.4)


@compiled
def _linear(color, constants):
    """IEC 61966-2-1 in vectors, values above 1 continue the curve, negative ones become 0."""
    color = select(color > f32(0), color, splat(f32(0)))
    power = exp2(log2((color + _OFFSET) * _SCALE) * _EXPONENT, constants)
    return select(color > _BEND, power, color * _SLOPE)


@compiled
def _finish(work, blocks, color, alpha, depth, least, scale, nowhere, table, rgba, distance):
    """color [P*3], alpha [P], depth [P]; rgba [P*4], distance [P]; P is at least LANES."""
    count = alpha.shape[0]
    constants = broadcast(table, _CURVE)
    zero, far = splat(f32(0)), splat(nowhere)
    while True:
        block = fetch_add(work, 0)
        if block >= blocks:
            return
        for start in range(block * _BLOCK, min(count, (block + 1) * _BLOCK), LANES):
            p = min(start, count - LANES)  # the last pixels may be written twice
            a = load(alpha, p)
            if not any_positive(a):
                store_interleaved(rgba, 4 * p, (zero, zero, zero, zero))
                store(distance, p, far)
                continue
            visible = a > least
            share = f32(1) / select(visible, a, splat(least))
            red, green, blue = load_interleaved(color, 3 * p, 3)
            red, green, blue = red * share, green * share, blue * share
            red, green, blue = _linear(red, constants), _linear(green, constants), _linear(blue, constants)
            store_interleaved(rgba, 4 * p, (red * a, green * a, blue * a, a))
            store(distance, p, select(visible, load(depth, p) * scale, far))
        fetch_add(work, 8)


def finish(
    color: Tensor, alpha: Tensor, depth: Tensor, scale: float, least: float, nowhere: float
) -> tuple[Tensor, Tensor]:
    """srgb_to_linear(C / A) · A with A behind it [H,W,4], and depth · scale [H,W].

    Args:
        color: [H,W,3] display-referred sRGB, premultiplied.
        alpha, depth: [H,W]; at least LANES pixels.
        least: an alpha up to here has no depth: it becomes `nowhere`.
    """
    rgba, distance = torch.empty(*alpha.shape, 4), torch.empty_like(alpha)
    with announced("linear light", _COMPILE_SECONDS):
        run(
            _finish, -(-alpha.numel() // _BLOCK), color.numpy().reshape(-1), alpha.numpy().reshape(-1),
            depth.numpy().reshape(-1), f32(least), f32(scale), f32(nowhere), CONSTANTS, rgba.numpy().reshape(-1),
            distance.numpy().reshape(-1),
        )  # fmt: skip
    return rgba, distance
