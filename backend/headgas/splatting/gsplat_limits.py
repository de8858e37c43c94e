# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""A depth limit per pixel on CUDA: gsplat's kernels know none, but list what each pixel blends, nearest first."""

from typing import Any

import torch
from torch import Tensor

_ALPHA_MAX = 0.999  # compiled into gsplat
_NOWHERE = 1e10
_BATCHES = 2  # of 256 Gaussians a tile that are listed at a time: lists of more would not fit into small cards

Pixels = tuple[Tensor, Tensor, Tensor | None]  # color [H,W,C], alpha [H,W], depth [H,W] or None


def blend_limited(meta: dict[str, Any], colors: Tensor, background: Tensor, limit: Tensor, unlimited: Pixels) -> Pixels:
    """The picture without the Gaussians whose centres lie behind `limit` [H,W], metres.

    They are the last of each pixel's list, so that those in front of them are blended as without a limit.

    Args:
        meta: what gsplat's `rasterization` of one camera returned beside its picture `unlimited`.
        colors: [N,C].
        background: [C].
    """
    color, alpha, expected = unlimited
    depths, drawn = meta["depths"][0], (meta["radii"][0] > 0).all(-1)
    bites = limit < depths[drawn].max() if bool(drawn.any()) else torch.zeros_like(limit, dtype=torch.bool)
    values = torch.cat([colors, depths[:, None]], 1)
    total, transmittance = _blend(meta, values, limit, bites)
    covered = 1 - transmittance
    own = total[..., :-1] + transmittance[..., None] * background
    color = torch.where(bites[..., None], own, color)
    if expected is not None:
        nearer = torch.where(covered > 0, total[..., -1] / covered.clamp_min(1e-12), _NOWHERE)
        expected = torch.where(bites, nearer, expected)
    return color, torch.where(bites, covered, alpha), expected


def _blend(meta: dict[str, Any], values: Tensor, limit: Tensor, bites: Tensor) -> tuple[Tensor, Tensor]:
    """Sums [H,W,V] of values [N,V] and the transmittance [H,W] behind them, for the pixels of the mask `bites`."""
    import gsplat

    means, conics, opacities, depths = (meta[name][0] for name in ("means2d", "conics", "opacities", "depths"))
    (height, width), size = limit.shape, meta["tile_size"]
    ends = torch.cat([meta["isect_offsets"].flatten(), meta["isect_offsets"].new_tensor([len(meta["flatten_ids"])])])
    batches = -(-int(ends.diff().max()) // size**2)
    total = values.new_zeros(height * width, values.shape[1])
    through = torch.ones_like(limit).flatten().double()  # transmittance of all that is listed, beyond limits too
    kept = torch.ones_like(limit).flatten()
    open_ = bites.flatten().clone()
    for first in range(0, batches, _BATCHES):
        left = torch.where(open_, through, 0).float().view(1, height, width)  # gsplat passes over pixels without any
        index, pixel, _ = gsplat.rasterize_to_indices_in_range(
            first, first + _BATCHES, left, meta["means2d"], meta["conics"], meta["opacities"], width, height, size,
            meta["isect_offsets"], meta["flatten_ids"],
        )  # fmt: skip
        if len(index) == 0:
            break
        index, pixel = index.long(), pixel.long()
        place = torch.stack([pixel % width, pixel // width], 1) + 0.5
        x, y = (place - means[index]).unbind(1)
        a, b, c = conics[index].unbind(1)
        alpha = (opacities[index] * torch.exp(-0.5 * (a * x * x + c * y * y) - b * x * y)).clamp_max(_ALPHA_MAX)
        counts = torch.bincount(pixel, minlength=height * width)
        logarithm = torch.log1p(-alpha.double())
        sums = logarithm.cumsum(0)
        before = torch.cat([sums.new_zeros(1), sums])  # of all entries before each
        starts = before[counts.cumsum(0) - counts]
        front = through[pixel] * torch.exp(before[:-1] - starts[pixel])
        inside = depths[index] <= limit.flatten()[pixel]
        weight = torch.where(inside, alpha * front.float(), 0)
        total += torch.segment_reduce(weight[:, None] * values[index], "sum", lengths=counts, axis=0)
        kept -= torch.segment_reduce(weight, "sum", lengths=counts)
        through *= torch.exp(torch.segment_reduce(logarithm, "sum", lengths=counts))
        beyond = torch.segment_reduce((~inside).float(), "sum", lengths=counts)
        open_ &= beyond == 0
    return total.view(height, width, -1), kept.clamp_min(0).view(height, width)
