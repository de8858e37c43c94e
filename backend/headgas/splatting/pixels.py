# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each pixel blends, Gaussian by Gaussian: how many, and the depth at which it has half of what it shows."""

import numpy as np
import torch
from torch import Tensor

from headgas.splatting.binning import TILE_HEIGHT, TILE_WIDTH
from headgas.splatting.camera import Camera
from headgas.splatting.compiling import announced, compiled
from headgas.splatting.gaussians import Gaussians
from headgas.splatting.numba_rasterizer import NO_OFFSETS, array_of, list_tiles, project_arrays, settings_of
from headgas.splatting.rasterize import ALPHA_MAX, ALPHA_THRESHOLD, EPS2D
from headgas.splatting.simd import fetch_add
from headgas.splatting.threads import run
from headgas.splatting.tiles import SATURATED

f32 = np.float32
_NOWHERE = f32(1e10)


def count_contributions(
    gaussians: Gaussians, camera: Camera, *, antialiased: bool = False, near: float = 0.01
) -> Tensor:
    """How many Gaussians `rasterize` blends into each pixel [H,W] int32, on the CPU; without a gradient."""
    counts = torch.zeros(camera.height, camera.width, dtype=torch.int32)
    _fill(counts, torch.empty(0, 0), gaussians, camera, antialiased, near)
    return counts


def median_depths(
    gaussians: Gaussians, camera: Camera, *, antialiased: bool = False, near: float = 0.01
) -> Tensor:
    """The camera-space z [H,W] of the Gaussian at which a pixel has half of its own alpha, 1e10 where it has none.

    As `rasterize` blends, on the CPU; without a gradient. Half of its own alpha, not 0.5: soft edges have a depth, too.
    """
    medians = torch.empty(camera.height, camera.width)
    _fill(torch.empty(0, 0, dtype=torch.int32), medians, gaussians, camera, antialiased, near)
    return medians


def _fill(
    counts: Tensor, medians: Tensor, gaussians: Gaussians, camera: Camera, antialiased: bool, near: float
) -> None:
    """Look at every pixel of what `rasterize` would blend, for the one of the two that is not empty."""
    settings = settings_of(camera, False, antialiased, EPS2D, near, ALPHA_THRESHOLD, ALPHA_MAX)
    arrays = tuple(array_of(tensor.cpu()) for tensor in vars(gaussians).values())
    rows, touched, depths, entries = project_arrays(arrays, NO_OFFSETS, settings)
    lists = list_tiles(touched, depths, entries, settings)
    with announced("what pixels blend", 2):
        run(
            _look, settings.tiles, rows, depths, lists.listed, lists.first_of_tile, settings.columns,
            f32(np.log2(settings.alpha_threshold)), settings.alpha_max, counts.numpy(), medians.numpy(),
        )  # fmt: skip


@compiled
def _walk(rows, listed, first, end, x, y, log_threshold, alpha_max, stop):
    """Blend a pixel's Gaussians until it lets through `stop` or less.

    Return what it lets through, the last Gaussian (-1: none), and how many they were.
    """
    transmittance, last, count = f32(1), -1, 0
    for entry in range(first, end):
        gaussian = rows[listed[entry]]
        dx, dy = x - gaussian[0], y - gaussian[1]
        power = dx * dx * gaussian[2] + dx * dy * gaussian[3] + dy * dy * gaussian[4] + gaussian[5]
        if power >= log_threshold:
            left = transmittance * (f32(1) - min(f32(np.exp2(power)), alpha_max))
            if not left > SATURATED:
                break
            transmittance, last, count = left, listed[entry], count + 1
            if transmittance <= stop:
                break
    return transmittance, last, count


@compiled
def _look(work, blocks, rows, depths, listed, first_of_tile, columns, log_threshold, alpha_max, counts, medians):
    """counts and medians: [H,W] each, or [0,0] where nobody wants it; depths [N]; the rest as in `tiles.blend`, one
    tile a block."""
    height, width = max(counts.shape[0], medians.shape[0]), max(counts.shape[1], medians.shape[1])
    while True:
        tile = fetch_add(work, 0)
        if tile >= blocks:
            return
        top, left = tile // columns * TILE_HEIGHT, tile % columns * TILE_WIDTH
        first, end = first_of_tile[tile], first_of_tile[tile + 1]
        for row in range(top, min(height, top + TILE_HEIGHT)):
            for column in range(left, min(width, left + TILE_WIDTH)):
                x, y = f32(column) + f32(0.5), f32(row) + f32(0.5)
                through, _, count = _walk(rows, listed, first, end, x, y, log_threshold, alpha_max, f32(0))
                if counts.size > 0:
                    counts[row, column] = count
                if medians.size > 0:
                    half = f32(0.5) * (f32(1) + through)
                    _, middle, _ = _walk(rows, listed, first, end, x, y, log_threshold, alpha_max, half)
                    medians[row, column] = depths[middle] if middle >= 0 else _NOWHERE
        fetch_add(work, 8)
