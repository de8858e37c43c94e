# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""From what the decoder says to opacities and colours, with the gradient, in one pass of the CPU's threads.

torch would write a dozen arrays of the outputs' size, forward and backward: as much time as rasterizing.
"""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from headgas.avatars.spherical_harmonics import sh_to_color, write_harmonics
from headgas.splatting.compiling import announced, compiled
from headgas.splatting.simd import fetch_add
from headgas.splatting.threads import run

BLOCK = 256  # Gaussians taken by a thread at a time
_COMPILE_SECONDS = 2

f32 = np.float32


@compiled
def _shade(work, blocks, outputs, means, position, bands, column, opacities, colors):
    """outputs [N,O]: harmonics from the first column on, three by three, the opacity's logit in `column`."""
    basis = np.empty(16, f32)
    while True:
        block = fetch_add(work, 0)
        if block >= blocks:
            return
        for i in range(block * BLOCK, min(means.shape[0], (block + 1) * BLOCK)):
            write_harmonics(means, i, position, basis, 0)
            red, green, blue = f32(0.5), f32(0.5), f32(0.5)
            for k in range(bands):
                red += basis[k] * outputs[i, 3 * k]
                green += basis[k] * outputs[i, 3 * k + 1]
                blue += basis[k] * outputs[i, 3 * k + 2]
            colors[i, 0], colors[i, 1], colors[i, 2] = max(red, f32(0)), max(green, f32(0)), max(blue, f32(0))
            opacities[i] = f32(1) / (f32(1) + math.exp(-outputs[i, column]))
        fetch_add(work, 8)


@compiled
def _shade_backward(work, blocks, means, position, bands, column, opacities, colors, g_opacities, g_colors, gradients):
    """gradients [N,O] of the outputs, from those of opacities [N] and colours [N,3]."""
    basis = np.empty(16, f32)
    while True:
        block = fetch_add(work, 0)
        if block >= blocks:
            return
        for i in range(block * BLOCK, min(means.shape[0], (block + 1) * BLOCK)):
            write_harmonics(means, i, position, basis, 0)
            row = gradients[i]
            row[:] = f32(0)
            red = g_colors[i, 0] if colors[i, 0] > f32(0) else f32(0)
            green = g_colors[i, 1] if colors[i, 1] > f32(0) else f32(0)
            blue = g_colors[i, 2] if colors[i, 2] > f32(0) else f32(0)
            for k in range(bands):
                row[3 * k] = basis[k] * red
                row[3 * k + 1] = basis[k] * green
                row[3 * k + 2] = basis[k] * blue
            row[column] = g_opacities[i] * opacities[i] * (f32(1) - opacities[i])
        fetch_add(work, 8)


class _Shading(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, outputs: Tensor, means: Tensor, position: Tensor, bands: int, column: int
    ) -> tuple[Tensor, Tensor]:
        opacities, colors = outputs.new_empty(len(outputs)), outputs.new_empty(len(outputs), 3)
        ctx.seen = means.contiguous().numpy(), position.contiguous().numpy(), bands, column
        ctx.width = outputs.shape[1]
        _run(_shade, outputs.contiguous().numpy(), *ctx.seen, opacities.numpy(), colors.numpy())
        ctx.save_for_backward(opacities, colors)
        return opacities, colors

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, g_opacities: Tensor, g_colors: Tensor) -> tuple[Tensor | None, ...]:
        opacities, colors = ctx.saved_tensors
        gradients = opacities.new_empty(len(opacities), ctx.width)
        given = [t.detach().contiguous().numpy() for t in (opacities, colors, g_opacities, g_colors)]
        _run(_shade_backward, *ctx.seen, *given, gradients.numpy())
        return gradients, None, None, None, None


def _run(kernel: Any, *arguments: Any) -> None:
    with announced("the shading of Gaussians", _COMPILE_SECONDS):
        run(kernel, -(-len(arguments[-1]) // BLOCK), *arguments)


def shade(outputs: Tensor, means: Tensor, position: Tensor, bands: int, column: int) -> tuple[Tensor, Tensor]:
    """Opacities [N] and colours [N,3], sRGB, with a gradient for the outputs.

    Args:
        outputs: [N,O]: harmonics [16,3] or fewer from the first column on, the logit of the opacity in `column`.
        means: [N,3] metres, and position [3] of the camera: without gradients.
        bands: how many harmonics count.
    """
    if outputs.device.type == "cpu" and outputs.dtype == torch.float32:
        return _Shading.apply(outputs, means.detach(), position.detach(), bands, column)
    return shade_plainly(outputs, means, position, bands, column)


def shade_plainly(outputs: Tensor, means: Tensor, position: Tensor, bands: int, column: int) -> tuple[Tensor, Tensor]:
    """The same in plain torch: the kernels' twin."""
    directions = torch.nn.functional.normalize(means.detach() - position, dim=1)
    harmonics = outputs[:, : 3 * bands].view(-1, bands, 3)
    return torch.sigmoid(outputs[:, column]), sh_to_color(harmonics, directions)
