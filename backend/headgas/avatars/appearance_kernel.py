# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the decoder's outputs to opacities and colours: one Triton kernel for seventy operations.

The polynomials are those of `headgas.avatars.spherical_harmonics.sh_basis`, where their source is.
"""

import math

import torch
import triton
import triton.language as tl
from torch import Tensor

from headgas.splatting.gpu_kernels import launch

_BLOCK = 128  # Gaussians of a program
_C0 = tl.constexpr(0.5 / math.sqrt(math.pi))
_C1 = tl.constexpr(math.sqrt(3 / (4 * math.pi)))
_C2 = tl.constexpr(0.5 * math.sqrt(15 / math.pi))
_C20 = tl.constexpr(0.25 * math.sqrt(5 / math.pi))
_C22 = tl.constexpr(0.25 * math.sqrt(15 / math.pi))
_C30 = tl.constexpr(0.25 * math.sqrt(7 / math.pi))
_C31 = tl.constexpr(0.25 * math.sqrt(21 / (2 * math.pi)))
_C32 = tl.constexpr(0.5 * math.sqrt(105 / math.pi))
_C322 = tl.constexpr(0.25 * math.sqrt(105 / math.pi))
_C33 = tl.constexpr(0.25 * math.sqrt(35 / (2 * math.pi)))


@triton.jit
def _color(harmonics, channel, x, y, z, inside, DEGREE: tl.constexpr):
    """0.5 + Σ coefficients · polynomials of a direction, not below 0; harmonics: where each Gaussian's begin."""
    at = harmonics + channel
    total = 0.5 + _C0 * tl.load(at, mask=inside, other=0.0)
    if DEGREE >= 1:
        total -= _C1 * y * tl.load(at + 3, mask=inside, other=0.0)
        total += _C1 * z * tl.load(at + 6, mask=inside, other=0.0)
        total -= _C1 * x * tl.load(at + 9, mask=inside, other=0.0)
    if DEGREE >= 2:
        total += _C2 * x * y * tl.load(at + 12, mask=inside, other=0.0)
        total -= _C2 * y * z * tl.load(at + 15, mask=inside, other=0.0)
        total += _C20 * (3 * z * z - 1) * tl.load(at + 18, mask=inside, other=0.0)
        total -= _C2 * x * z * tl.load(at + 21, mask=inside, other=0.0)
        total += _C22 * (x * x - y * y) * tl.load(at + 24, mask=inside, other=0.0)
    if DEGREE >= 3:
        total -= _C33 * y * (3 * x * x - y * y) * tl.load(at + 27, mask=inside, other=0.0)
        total += _C32 * x * y * z * tl.load(at + 30, mask=inside, other=0.0)
        total -= _C31 * y * (5 * z * z - 1) * tl.load(at + 33, mask=inside, other=0.0)
        total += _C30 * z * (5 * z * z - 3) * tl.load(at + 36, mask=inside, other=0.0)
        total -= _C31 * x * (5 * z * z - 1) * tl.load(at + 39, mask=inside, other=0.0)
        total += _C322 * z * (x * x - y * y) * tl.load(at + 42, mask=inside, other=0.0)
        total -= _C33 * x * (x * x - 3 * y * y) * tl.load(at + 45, mask=inside, other=0.0)
    return tl.maximum(total, 0.0)


@triton.jit
def _appear(outputs, means, position, opacities, colors, count, width, DEGREE: tl.constexpr, BLOCK: tl.constexpr):
    """outputs [N,width], means [N,3], position [3] to opacities [N] and colors [N,3]."""
    n = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = n < count
    x = tl.load(means + 3 * n, mask=inside, other=1.0) - tl.load(position)
    y = tl.load(means + 3 * n + 1, mask=inside, other=1.0) - tl.load(position + 1)
    z = tl.load(means + 3 * n + 2, mask=inside, other=1.0) - tl.load(position + 2)
    length = tl.maximum(tl.sqrt(x * x + y * y + z * z), 1e-12)
    x, y, z = x / length, y / length, z / length
    harmonics = outputs + n.to(tl.int64) * width
    for channel in tl.static_range(3):
        tl.store(colors + 3 * n + channel, _color(harmonics, channel, x, y, z, inside, DEGREE), mask=inside)
    logit = tl.load(harmonics + width - 1, mask=inside, other=0.0)
    tl.store(opacities + n, 1 / (1 + tl.exp(-logit)), mask=inside)


def appear(outputs: Tensor, means: Tensor, position: Tensor, degree: int) -> tuple[Tensor, Tensor]:
    """Opacities [N] and colours [N,3].

    Args:
        outputs: [N,O] contiguous: harmonics, band by band with three channels each, and last the opacity's logit.
        means: [N,3] contiguous; position: [3], where the camera stands.
        degree: of the harmonics in use, 0 to 3.
    """
    count, width = outputs.shape
    opacities, colors = outputs.new_empty(count), torch.empty_like(means)
    programs = triton.cdiv(count, _BLOCK)
    launch(_appear, programs, outputs, outputs, means, position, opacities, colors, count, width, degree, _BLOCK)
    return opacities, colors
