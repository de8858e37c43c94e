# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the rasterizer's sRGB picture to the linear one that leaves the backend, in one Triton kernel."""

import torch
import triton
import triton.language as tl
from torch import Tensor

from headgas.splatting.gpu_kernels import launch

_PIXELS = 256  # of a program


@triton.jit
def _finish(color, stride, alpha, depth, rgba, metres, pixels, scale, visible, nothing_hit, PIXELS: tl.constexpr):
    """color [P,3], its pixels `stride` values apart, alpha and depth [P] to rgba [P,4] and metres [P]."""
    at = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)
    inside = at < pixels
    a = tl.load(alpha + at, mask=inside, other=0.0)
    z = tl.load(depth + at, mask=inside, other=0.0) * scale
    tl.store(metres + at, tl.where(a > visible, z, nothing_hit), mask=inside)
    for channel in tl.static_range(3):
        straight = tl.load(color + at * stride + channel, mask=inside, other=0.0) / tl.maximum(a, visible)
        straight = tl.maximum(straight, 0.0)
        curve = tl.exp2(2.4 * tl.log2((straight + 0.055) / 1.055))
        tl.store(rgba + at * 4 + channel, tl.where(straight <= 0.04045, straight / 12.92, curve) * a, mask=inside)
    tl.store(rgba + at * 4 + 3, a, mask=inside)


def finish(
    color: Tensor, alpha: Tensor, depth: Tensor, scale: float, visible: float, nothing_hit: float
) -> tuple[Tensor, Tensor]:
    """rgba [H,W,4] and depth [H,W] as `headgas.avatars.rendering.finished` describes them.

    Args:
        color, alpha, depth: [H,W,3], [H,W] and [H,W] float32.
        scale: of the depth; visible: alpha below is no colour; nothing_hit: the depth there.
    """
    alpha, depth = alpha.contiguous(), depth.contiguous()
    if color.stride() != (alpha.shape[1] * color.stride(1), color.stride(1), 1):  # a depth may lie between its pixels
        color = color.contiguous()
    rgba, metres = alpha.new_empty(*alpha.shape, 4), torch.empty_like(alpha)
    pixels = alpha.numel()
    arguments = color, color.stride(1), alpha, depth, rgba, metres, pixels, scale, visible, nothing_hit, _PIXELS
    launch(_finish, triton.cdiv(pixels, _PIXELS), alpha, *arguments)
    return rgba, metres
