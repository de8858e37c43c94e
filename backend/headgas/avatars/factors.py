# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""GaussianHead's factors: what three planes hold about a place, at one or several resolutions, whole or hashed.

The value at a place is the product over the planes XY, XZ and YZ of what each holds at the place's projection
(bilinear, held at the border, corners are texel centres), summed over resolutions. A plane with more texels than rows
shares its rows among them by a hash, as in Müller et al., "Instant Neural Graphics Primitives", 2022, eq. 4: the
compact GaussianHead+. Each derivation of a Gaussian reads its own channels.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from headgas.avatars.factor_kernels import BLOCK, PLANES, PRIME, gather, gather_backward, scatter
from headgas.splatting.compiling import announced
from headgas.splatting.threads import run

_COMPILE_SECONDS = 4


class Factors(nn.Module):
    """Positions [N,K,3] to factors [N,K·c]."""

    levels: Tensor  # [L,3] int64: resolution, rows of one plane, first row; a buffer

    def __init__(
        self, resolutions: tuple[int, ...], derivations: int, channels: int, rows: int, shared: bool
    ) -> None:
        """Factors that begin uniform in 0.1..0.5, as the published code's.

        Args:
            resolutions: texels along each edge of a plane, per level.
            channels: c, of each derivation.
            rows: at most so many are stored of each plane, a power of two; 0 for all.
            shared: all derivations read the same channels, as in the published code.
        """
        super().__init__()
        self.channels, self.shared = channels, shared
        sizes = [min(resolution**2, rows or resolution**2) for resolution in resolutions]
        starts = np.cumsum([0, *(3 * size for size in sizes)])
        self.register_buffer(
            "levels", torch.tensor(list(zip(resolutions, sizes, starts, strict=False))), persistent=False
        )
        width = channels if shared else channels * derivations
        self.tables = nn.Parameter(torch.empty(int(starts[-1]), width).uniform_(0.1, 0.5))

    def forward(self, positions: Tensor) -> Tensor:
        """positions [N,K,3] in -1..1, the square that a plane covers."""
        if positions.device.type == "cpu" and positions.dtype == torch.float32:
            return _Sample.apply(positions, self.tables, self.levels, self.channels, self.shared)
        return sample_plainly(positions, self.tables, self.levels, self.channels, self.shared)


def sample_plainly(positions: Tensor, tables: Tensor, levels: Tensor, channels: int, shared: bool) -> Tensor:
    """The factors [N,K·c] in plain torch: what CUDA runs, and the twin of the kernels."""
    count, derivations = positions.shape[:2]
    if shared:
        tables = tables.repeat(1, derivations)
    columns = torch.arange(derivations, device=positions.device)
    tables = tables.view(len(tables), derivations, channels)
    total = positions.new_zeros(count, derivations, channels)
    for resolution, rows, start in levels.tolist():
        product = torch.ones_like(total)
        for plane, axes in enumerate(PLANES):
            place = (positions[..., axes] + 1) * (0.5 * (resolution - 1))
            place = place.clamp(0, resolution - 1)
            corner = place.detach().floor().clamp(max=max(0, resolution - 2))
            share = place - corner
            corner = corner.long()
            value = torch.zeros_like(total)
            for right in (0, 1):
                for below in (0, 1):
                    x, y = corner[..., 0] + right, corner[..., 1] + below
                    x, y = x.clamp(max=resolution - 1), y.clamp(max=resolution - 1)
                    index = y * resolution + x if rows == resolution**2 else (x ^ (y * PRIME)) & (rows - 1)
                    weight = share[..., 0] if right else 1 - share[..., 0]
                    weight = weight * (share[..., 1] if below else 1 - share[..., 1])
                    value = value + weight[..., None] * tables[start + plane * rows + index, columns]
            product = product * value
        total = total + product
    return total.flatten(1)


class _Sample(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, positions: Tensor, tables: Tensor, levels: Tensor, channels: int, shared: bool
    ) -> Tensor:
        positions = positions.contiguous()
        factors = positions.new_empty(len(positions), positions.shape[1] * channels)
        ctx.save_for_backward(positions, tables, levels)
        ctx.options = channels, shared
        with announced("the reading of factors", _COMPILE_SECONDS):
            run(gather, *_seen(positions, tables, levels), channels, shared, factors.view(-1).numpy())
        return factors

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        positions, tables, levels = ctx.saved_tensors
        channels, shared = ctx.options
        count, derivations = positions.shape[:2]
        by_positions, by_tables = torch.empty_like(positions), torch.zeros_like(tables)
        pulls = positions.new_empty(derivations * len(levels) * 3 * count * channels).numpy()
        # A job owns rows and channels of the tables: the sums have one order, whatever the number of threads.
        jobs = len(levels) * 3 * (1 if shared else derivations)
        with announced("the gradients of factors", _COMPILE_SECONDS):
            run(
                gather_backward, *_seen(positions, tables, levels), channels, shared,
                gradient.contiguous().view(-1).numpy(), by_positions.numpy(), pulls,
            )  # fmt: skip
            run(
                scatter, jobs, positions.detach().numpy(), levels.numpy(), channels, shared, pulls,
                by_tables.view(-1).numpy(), by_tables.shape[1],
            )  # fmt: skip
        return by_positions, by_tables, None, None, None


def _seen(positions: Tensor, tables: Tensor, levels: Tensor) -> tuple[int, np.ndarray, np.ndarray, int, np.ndarray]:
    """The number of blocks, and what both kernels read."""
    blocks, width = -(-len(positions) // BLOCK), tables.shape[1]
    return blocks, positions.detach().numpy(), tables.detach().view(-1).numpy(), width, levels.numpy()
