# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""From an expression's mixture of motion modes to where Gaussians are, a few at a time that stay in registers."""

import numpy as np

from headgas.splatting.compiling import compiled
from headgas.splatting.simd import LANES, fetch_add
from headgas.splatting.simd_math import HIDDEN_VECTORS, ROWS, add_products, load_rows, positive, store_rows

BLOCK = 20 * ROWS  # Gaussians taken by a thread at a time
GROUP = HIDDEN_VECTORS * LANES  # hidden units computed at once
PARTS = 16  # of a Gaussian: mean, quaternion, log scales, and zeros
_PART_VECTORS = PARTS // LANES


@compiled
def move(work, blocks, shares, mixed, bias, last, resting, means, quaternions, log_scales):
    """resting + C relu(mixed h + bias) of every Gaussian, as means [N,3], quaternions [N,4] and log scales [N,3].

    All flat, and rows added so that ROWS can be read from any Gaussian on: shares h [(N + ROWS)*M], mixed [M*H] unit
    by unit, bias [H], last C [H*PARTS], resting [(N + ROWS)*PARTS]; H is a multiple of GROUP.
    """
    count, hidden = means.shape[0], bias.shape[0]
    modes = mixed.shape[0] // hidden
    units, parts = np.zeros(ROWS * hidden, np.float32), np.zeros(ROWS * PARTS, np.float32)
    while True:
        block = fetch_add(work, 0)
        if block >= blocks:
            return
        stop = min(count, (block + 1) * BLOCK)
        for g in range(block * BLOCK, stop, ROWS):
            for j in range(0, hidden, GROUP):
                sums = load_rows(bias, j, 0, ROWS, HIDDEN_VECTORS)
                for k in range(modes):
                    sums = add_products(sums, shares, g * modes + k, modes, mixed, k * hidden + j, ROWS)
                store_rows(units, j, hidden, ROWS, positive(sums))
            posed = load_rows(resting, g * PARTS, PARTS, ROWS, _PART_VECTORS)
            for k in range(hidden):
                posed = add_products(posed, units, k, hidden, last, k * PARTS, ROWS)
            store_rows(parts, 0, PARTS, ROWS, posed)
            for r in range(min(ROWS, stop - g)):
                for c in range(3):
                    means[g + r, c] = parts[r * PARTS + c]
                    log_scales[g + r, c] = parts[r * PARTS + 7 + c]
                for c in range(4):
                    quaternions[g + r, c] = parts[r * PARTS + 3 + c]
        fetch_add(work, 8)
