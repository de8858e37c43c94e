# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sorting projected Gaussians by depth and listing them for every tile of the image."""

import math

import numpy as np

from headgas.splatting.compiling import compiled
from headgas.splatting.simd import fetch_add

TILE_WIDTH = 8  # pixels; narrow tiles waste fewer pixels on the small Gaussians of an avatar
TILE_HEIGHT = 32
HEADER = 8  # floats before the channels in a packed row

f32 = np.float32
_LOG2E = f32(1 / math.log(2))


@compiled
def depth_order(depths, boxes, order, spare, keys, spare_keys):
    """Write the indices of the visible Gaussians, nearest first, into `order` and return their number.

    A stable radix sort of the depths' bits: for positive floats they sort as integers do. All arrays [N]; boxes [N,4].
    """
    bits = depths.view(np.uint32)
    histogram = np.zeros((3, 2048), np.int64)
    low = np.uint32(2047)
    first, second = np.uint32(11), np.uint32(22)
    count = 0
    for i in range(depths.shape[0]):
        if boxes[i, 1] > boxes[i, 0]:
            key = bits[i]
            spare_keys[count] = key
            spare[count] = i
            count += 1
            histogram[0, key & low] += 1
            histogram[1, (key >> first) & low] += 1
            histogram[2, key >> second] += 1
    for digit in range(3):
        start = 0
        for value in range(2048):
            size = histogram[digit, value]
            histogram[digit, value] = start
            start += size
    for i in range(count):
        key = spare_keys[i]
        at = histogram[0, key & low]
        histogram[0, key & low] = at + 1
        keys[at] = key
        order[at] = spare[i]
    for i in range(count):
        key = keys[i]
        at = histogram[1, (key >> first) & low]
        histogram[1, (key >> first) & low] = at + 1
        spare_keys[at] = key
        spare[at] = order[i]
    for i in range(count):
        key = spare_keys[i]
        at = histogram[2, key >> second]
        histogram[2, key >> second] = at + 1
        order[at] = spare[i]
    return count


@compiled
def _tiles(boxes, i):
    """The half-open range of tile columns and rows that a box of pixels touches."""
    return (
        boxes[i, 0] // TILE_WIDTH,
        (boxes[i, 1] - 1) // TILE_WIDTH + 1,
        boxes[i, 2] // TILE_HEIGHT,
        (boxes[i, 3] - 1) // TILE_HEIGHT + 1,
    )


@compiled
def pack(
    work, blocks, order, screen, boxes, depths, colors, with_depth, columns, ranks, rows, first_entry, totals, counts
):
    """Copy the Gaussians in depth order and count their entries in the tiles; block after block of ranks.

    rows [n, HEADER + channels] = u, v, the exponent's quadratic in base 2 (a dx dx + b dx dy + c dy dy + log2 opacity),
    y0, y1, channels; first_entry [n] = each Gaussian's first entry within its block; totals [blocks] entries; counts
    [blocks, tiles].
    """
    count = order.shape[0]
    channels = colors.shape[1]
    while True:
        block = fetch_add(work, 0)
        if block >= blocks:
            return
        counts[block] = 0
        entry = 0
        for rank in range(block * count // blocks, (block + 1) * count // blocks):
            i = order[rank]
            ranks[i] = rank
            rows[rank, 0] = screen[i, 0]
            rows[rank, 1] = screen[i, 1]
            rows[rank, 2] = -f32(0.5) * _LOG2E * screen[i, 2]
            rows[rank, 3] = -_LOG2E * screen[i, 3]
            rows[rank, 4] = -f32(0.5) * _LOG2E * screen[i, 4]
            rows[rank, 5] = _LOG2E * screen[i, 5]
            rows[rank, 6] = boxes[i, 2]
            rows[rank, 7] = boxes[i, 3]
            for j in range(channels):
                rows[rank, HEADER + j] = colors[i, j]
            if with_depth:
                rows[rank, HEADER + channels] = depths[i]
            column0, column1, row0, row1 = _tiles(boxes, i)
            first_entry[rank] = entry
            entry += (column1 - column0) * (row1 - row0)
            for row in range(row0, row1):
                for column in range(column0, column1):
                    counts[block, row * columns + column] += 1
        totals[block] = entry
        fetch_add(work, 8)


@compiled
def tile_offsets(counts, totals, first_of_tile, first_of_block):
    """Turn counts [blocks, tiles] into the place where each block writes in each tile; return the number of entries."""
    blocks, tiles = counts.shape
    place = 0
    for tile in range(tiles):
        first_of_tile[tile] = place
        for block in range(blocks):
            size = counts[block, tile]
            counts[block, tile] = place
            place += size
    first_of_tile[tiles] = place
    entry = 0
    for block in range(blocks):
        first_of_block[block] = entry
        entry += totals[block]
    return place


@compiled
def list_entries(work, blocks, order, boxes, columns, cursors, first_of_block, first_entry, listed, entries):
    """Write every tile's list, nearest first.

    listed [entries] = rank; entries [entries] = number of the entry, counted Gaussian by Gaussian.
    """
    count = order.shape[0]
    while True:
        block = fetch_add(work, 0)
        if block >= blocks:
            return
        for rank in range(block * count // blocks, (block + 1) * count // blocks):
            column0, column1, row0, row1 = _tiles(boxes, order[rank])
            entry = first_of_block[block] + first_entry[rank]
            first_entry[rank] = entry
            for row in range(row0, row1):
                for column in range(column0, column1):
                    tile = row * columns + column
                    at = cursors[block, tile]
                    cursors[block, tile] = at + 1
                    listed[at] = rank
                    entries[at] = entry
                    entry += 1
        fetch_add(work, 8)
