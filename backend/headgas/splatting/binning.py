# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sorting projected Gaussians by depth and listing them for every tile of the image."""

import numpy as np

from headgas.splatting.compiling import compiled
from headgas.splatting.simd import fetch_add

TILE_WIDTH = 8  # pixels; narrow tiles waste fewer pixels on the small Gaussians of an avatar
TILE_HEIGHT = 32
NEIGHBOURS = 2  # tiles side by side that one thread takes: two must not write to one cache line of the image
_DIGIT = 12  # bits that the depth sort looks at in one pass, at most: its counters fit into the first-level cache
_STEPS = 64  # by which groups of tiles are told apart when the fullest go first


@compiled
def _sort_digit(given, placed, count, least, shift, bits):
    """One stable pass of a radix sort of the `count` first items, by `bits` bits of item - least, from `shift` on."""
    places = np.zeros(1 << bits, np.int32)
    mask = np.uint64((1 << bits) - 1)
    shift = np.uint64(shift)
    for i in range(count):
        places[((given[i] - least) >> shift) & mask] += 1
    start = 0
    for digit in range(places.shape[0]):
        size = places[digit]
        places[digit] = start
        start += size
    for i in range(count):
        digit = ((given[i] - least) >> shift) & mask
        placed[places[digit]] = given[i]
        places[digit] += 1


@compiled
def depth_order(depths, entries, keys, spare, order):
    """Write the indices of the visible Gaussians, nearest first, into `order` [N] and return their number.

    depths [N]; entries [N+1]: the number of tiles that each Gaussian touches, 0 where it is not visible; becomes each
    one's first entry, counted Gaussian by Gaussian, and the number of all. keys, spare [N] are scratch: a depth's bits,
    which for positive floats sort as integers do, over a Gaussian's index.
    """
    bits = depths.view(np.uint32)
    nearest, farthest = np.uint32(0xFFFFFFFF), np.uint32(0)
    count = 0
    total = 0
    for i in range(depths.shape[0]):
        touched = entries[i]
        entries[i] = total
        if touched > 0:
            total += touched
            nearest = min(nearest, bits[i])
            farthest = max(farthest, bits[i])
            keys[count] = (np.uint64(bits[i]) << np.uint64(32)) | np.uint64(i)
            count += 1
    entries[depths.shape[0]] = total
    if count == 0:
        return 0
    varying = 1
    while (farthest - nearest) >> np.uint32(varying) > 0:
        varying += 1
    least = np.uint64(nearest) << np.uint64(32)
    passes = (varying + _DIGIT - 1) // _DIGIT
    for digit in range(passes):
        first = digit * varying // passes
        _sort_digit(keys, spare, count, least, 32 + first, (digit + 1) * varying // passes - first)
        keys, spare = spare, keys
    for i in range(count):
        order[i] = np.uint32(keys[i])
    return count


@compiled
def count_entries(work, blocks, order, touched, columns, counts):
    """Count the Gaussians on every tile; counts [blocks, tiles], block after block of `order` [n].

    touched [N,4] = the half-open range of tile columns and of tile rows that each Gaussian touches.
    """
    visible = order.shape[0]
    while True:
        block = fetch_add(work, 0)
        if block >= blocks:
            return
        counts[block] = 0
        for place in range(block * visible // blocks, (block + 1) * visible // blocks):
            i = order[place]
            for row in range(touched[i, 2], touched[i, 3]):
                for column in range(touched[i, 0], touched[i, 1]):
                    counts[block, row * columns + column] += 1
        fetch_add(work, 8)


@compiled
def tile_offsets(counts, first_of_tile, fullest):
    """Turn counts [blocks, tiles] into the place where each block writes in each tile; first_of_tile [tiles+1].

    fullest: the groups of NEIGHBOURS tiles, about the fullest first, so that no thread begins a long one at the end.
    """
    blocks, tiles = counts.shape
    groups = fullest.shape[0]
    place = 0
    largest = 1
    for tile in range(tiles):
        first_of_tile[tile] = place
        for block in range(blocks):
            size = counts[block, tile]
            counts[block, tile] = place
            place += size
        if tile % NEIGHBOURS == NEIGHBOURS - 1 or tile == tiles - 1:
            largest = max(largest, place - first_of_tile[tile // NEIGHBOURS * NEIGHBOURS])
    first_of_tile[tiles] = place
    histogram = np.zeros(_STEPS + 1, np.int64)
    for group in range(groups):
        size = first_of_tile[min(tiles, (group + 1) * NEIGHBOURS)] - first_of_tile[group * NEIGHBOURS]
        histogram[_STEPS - size * (_STEPS - 1) // largest] += 1
    for step in range(_STEPS):
        histogram[step + 1] += histogram[step]
    for group in range(groups):
        size = first_of_tile[min(tiles, (group + 1) * NEIGHBOURS)] - first_of_tile[group * NEIGHBOURS]
        step = _STEPS - 1 - size * (_STEPS - 1) // largest
        fullest[histogram[step]] = group
        histogram[step] += 1


@compiled
def list_entries(work, blocks, order, touched, columns, cursors, first_entry, listed, entries):
    """Write every tile's list, nearest first; arguments as in `count_entries`, cursors from `tile_offsets`.

    listed [entries] = Gaussian; entries [entries] = number of the entry, from first_entry [N+1] on.
    """
    visible = order.shape[0]
    while True:
        block = fetch_add(work, 0)
        if block >= blocks:
            return
        for place in range(block * visible // blocks, (block + 1) * visible // blocks):
            i = order[place]
            entry = first_entry[i]
            for row in range(touched[i, 2], touched[i, 3]):
                for column in range(touched[i, 0], touched[i, 1]):
                    tile = row * columns + column
                    at = cursors[block, tile]
                    cursors[block, tile] = at + 1
                    listed[at] = i
                    entries[at] = entry
                    entry += 1
        fetch_add(work, 8)
