# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading the factors of places from three planes, and the gradient, on the CPU's threads. `factors` has the twin."""

import numpy as np

from headgas.splatting.compiling import compiled
from headgas.splatting.simd import fetch_add

PLANES = ((0, 1), (0, 2), (1, 2))  # the coordinates that a plane keeps
BLOCK = 256  # Gaussians taken by a thread at a time
PRIME = 2_654_435_761  # of the hash: Instant Neural Graphics Primitives, eq. 4

f32 = np.float32


@compiled
def _axis(value, resolution):
    """The first of two texels, the share of the second, and how much it grows with the position."""
    slope = f32(0.5) * f32(resolution - 1)
    place = (value + f32(1)) * slope
    if not place > f32(0):
        return 0, f32(0), f32(0)
    if place >= f32(resolution - 1):
        return max(0, resolution - 2), f32(1), f32(0)
    first = int(place)
    return first, place - f32(first), slope


@compiled
def _row(x, y, resolution, rows):
    """The row of a texel, in a plane that is whole, or hashed to a power of two."""
    if rows == resolution * resolution:
        return min(y, resolution - 1) * resolution + min(x, resolution - 1)
    return (min(x, resolution - 1) ^ (min(y, resolution - 1) * PRIME)) & (rows - 1)


@compiled
def _read(place, tables, width, column, levels, level, channels, corners, shares, values):
    """What each plane of a level holds at a place [3]: values [3,c]; from corners [3,4], where their rows begin, and
    shares [3,4] = right, below and how much each grows with the place."""
    resolution, rows, start = levels[level, 0], levels[level, 1], levels[level, 2]
    for plane in range(3):
        x, right, slope_x = _axis(place[PLANES[plane][0]], resolution)
        y, below, slope_y = _axis(place[PLANES[plane][1]], resolution)
        shares[plane, 0], shares[plane, 1], shares[plane, 2], shares[plane, 3] = right, below, slope_x, slope_y
        for n in range(4):
            row = start + plane * rows + _row(x + (n & 1), y + (n >> 1), resolution, rows)
            corners[plane, n] = row * width + column
        w00, w10 = (f32(1) - right) * (f32(1) - below), right * (f32(1) - below)
        w01, w11 = (f32(1) - right) * below, right * below
        a, b, d, e = corners[plane, 0], corners[plane, 1], corners[plane, 2], corners[plane, 3]
        for c in range(channels):
            values[plane, c] = w00 * tables[a + c] + w10 * tables[b + c] + w01 * tables[d + c] + w11 * tables[e + c]


@compiled
def gather(work, blocks, positions, tables, width, levels, channels, shared, factors):
    """Write factors [N*K*c] at positions [N,K,3].

    tables [rows*width]; levels [L,3]: resolution, rows of a plane, first row.
    """
    count, derivations = positions.shape[0], positions.shape[1]
    corners, shares, values = np.empty((3, 4), np.int64), np.empty((3, 4), f32), np.empty((3, channels), f32)
    while True:
        block = fetch_add(work, 0)
        if block >= blocks:
            return
        for i in range(block * BLOCK, min(count, (block + 1) * BLOCK)):
            for k in range(derivations):
                column = 0 if shared else k * channels
                at = (i * derivations + k) * channels
                for c in range(channels):
                    factors[at + c] = f32(0)
                for level in range(levels.shape[0]):
                    _read(positions[i, k], tables, width, column, levels, level, channels, corners, shares, values)
                    for c in range(channels):
                        factors[at + c] += values[0, c] * values[1, c] * values[2, c]
        fetch_add(work, 8)


@compiled
def gather_backward(
    work, blocks, positions, tables, width, levels, channels, shared, gradient, by_positions, pulls
):  # fmt: skip
    """Write by_positions [N,K,3] and what `scatter` needs, from the gradient [N*K*c] of the factors.

    pulls [K,L,3,N,c] flat: the gradient of what each plane gave.
    """
    count, derivations = positions.shape[0], positions.shape[1]
    corners, shares, values = np.empty((3, 4), np.int64), np.empty((3, 4), f32), np.empty((3, channels), f32)
    while True:
        block = fetch_add(work, 0)
        if block >= blocks:
            return
        for i in range(block * BLOCK, min(count, (block + 1) * BLOCK)):
            for k in range(derivations):
                column = 0 if shared else k * channels
                at = (i * derivations + k) * channels
                by_positions[i, k, 0], by_positions[i, k, 1], by_positions[i, k, 2] = f32(0), f32(0), f32(0)
                for level in range(levels.shape[0]):
                    _read(positions[i, k], tables, width, column, levels, level, channels, corners, shares, values)
                    for plane in range(3):
                        other, another = (plane + 1) % 3, (plane + 2) % 3
                        right, below = shares[plane, 0], shares[plane, 1]
                        a, b, d, e = corners[plane, 0], corners[plane, 1], corners[plane, 2], corners[plane, 3]
                        to = (((k * levels.shape[0] + level) * 3 + plane) * count + i) * channels
                        along_x, along_y = f32(0), f32(0)
                        for c in range(channels):
                            pull = gradient[at + c] * values[other, c] * values[another, c]
                            pulls[to + c] = pull
                            across, down = tables[b + c] - tables[a + c], tables[d + c] - tables[a + c]
                            twist = tables[e + c] - tables[d + c] - across
                            along_x += pull * (across + below * twist)
                            along_y += pull * (down + right * twist)
                        by_positions[i, k, PLANES[plane][0]] += along_x * shares[plane, 2]
                        by_positions[i, k, PLANES[plane][1]] += along_y * shares[plane, 3]
        fetch_add(work, 8)


@compiled
def scatter(work, jobs, positions, levels, channels, shared, pulls, by_tables, width):
    """Add pulls [K,L,3,N,c] flat to the rows of by_tables [rows*width] that gave the values.

    A job takes a plane of a level, for one derivation, or for all where they share channels.
    """
    count, derivations = positions.shape[0], positions.shape[1]
    while True:
        job = fetch_add(work, 0)
        if job >= jobs:
            return
        plane, level = job % 3, (job // 3) % levels.shape[0]
        resolution, rows = levels[level, 0], levels[level, 1]
        base = levels[level, 2] + plane * rows
        begin = 0 if shared else job // (3 * levels.shape[0])
        end = derivations if shared else begin + 1
        for k in range(begin, end):
            column = 0 if shared else k * channels
            for i in range(count):
                x, right, _ = _axis(positions[i, k, PLANES[plane][0]], resolution)
                y, below, _ = _axis(positions[i, k, PLANES[plane][1]], resolution)
                start = (((k * levels.shape[0] + level) * 3 + plane) * count + i) * channels
                for n in range(4):
                    weight = right if n & 1 else f32(1) - right
                    weight *= below if n >> 1 else f32(1) - below
                    to = (base + _row(x + (n & 1), y + (n >> 1), resolution, rows)) * width + column
                    for c in range(channels):
                        by_tables[to + c] += weight * pulls[start + c]
        fetch_add(work, 8)
