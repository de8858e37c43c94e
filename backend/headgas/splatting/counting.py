# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many Gaussians make each pixel: what a picture costs, and where."""

import math

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
_LN2 = f32(math.log(2))
_COMPILE_SECONDS = 1


def count_contributions(
    gaussians: Gaussians, camera: Camera, *, antialiased: bool = False, near: float = 0.01
) -> Tensor:
    """How many Gaussians `rasterize` blends into each pixel [H,W] int32, on the CPU; without a gradient."""
    settings = settings_of(camera, False, antialiased, EPS2D, near, ALPHA_THRESHOLD, ALPHA_MAX)
    arrays = tuple(array_of(tensor.cpu()) for tensor in vars(gaussians).values())
    counts = torch.zeros(camera.height, camera.width, dtype=torch.int32)
    with announced("the counting of Gaussians", _COMPILE_SECONDS):
        rows, touched, depths, entries = project_arrays(arrays, NO_OFFSETS, settings)
        lists = list_tiles(touched, depths, entries, settings)
        run(
            _count, settings.tiles, rows, lists.listed, lists.first_of_tile, settings.columns,
            settings.alpha_threshold, settings.alpha_max, counts.numpy(),
        )  # fmt: skip
    return counts


@compiled
def _count(work, blocks, rows, listed, first_of_tile, columns, threshold, alpha_max, counts):
    """counts [H,W]; the rest as in `tiles.blend`, one tile a block."""
    width = counts.shape[1]
    log_threshold = f32(math.log2(threshold))
    transmittance = np.empty((TILE_HEIGHT, TILE_WIDTH), np.float32)  # negative where a pixel is saturated
    while True:
        tile = fetch_add(work, 0)
        if tile >= blocks:
            return
        top, left = tile // columns * TILE_HEIGHT, tile % columns * TILE_WIDTH
        transmittance[:] = f32(1)
        for entry in range(first_of_tile[tile], first_of_tile[tile + 1]):
            row = rows[listed[entry]]
            u, v, a, b, c, level = row[0], row[1], row[2], row[3], row[4], row[5]
            for y in range(max(int(row[6]) - top, 0), min(int(row[7]) - top, TILE_HEIGHT)):
                dy = f32(top + y) + f32(0.5) - v
                for x in range(min(TILE_WIDTH, width - left)):
                    dx = f32(left + x) + f32(0.5) - u
                    power = dx * dx * a + dx * dy * b + dy * dy * c + level
                    before = transmittance[y, x]
                    if power >= log_threshold and before > f32(0):
                        after = before * (f32(1) - min(math.exp(power * _LN2), alpha_max))
                        counted = after > SATURATED
                        transmittance[y, x] = after if counted else -before
                        counts[top + y, left + x] += counted
        fetch_add(work, 8)
