# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Blending the listed Gaussians into the pixels of each tile, and the gradients of that.

A vector holds `LANES` pixels of one tile: the tile's full width, LANES // 8 rows. Pixels that are saturated or outside the image carry
a negative transmittance (its magnitude is what is left), so that the inner loop has no branches. The number of channels is part of the
type of the tuple `background`, so numba compiles a kernel with unrolled channels for each number.
"""

import math

import numpy as np

from headgas.splatting.binning import HEADER, TILE_HEIGHT, TILE_WIDTH
from headgas.splatting.compiling import compiled
from headgas.splatting.simd import (
    LANES,
    accumulate,
    add_weighted,
    any_positive,
    both,
    dot,
    exp2,
    fetch_add,
    lane_columns,
    lane_rows,
    load,
    load_scalars,
    minus_magnitude,
    prefetch,
    reciprocal,
    select,
    smaller,
    splat,
    store,
    store_sums,
    zeros,
)

f32 = np.float32
PIXELS = TILE_WIDTH * TILE_HEIGHT  # the length of one plane of a tile's buffer
_ROWS = LANES // TILE_WIDTH  # image rows in a vector
_AHEAD = 8  # entries to prefetch
_SLICE = 32  # entries between two looks at whether a tile is saturated
_SATURATED = f32(1e-4)  # a Gaussian that would leave less transmittance than this is not blended, and ends its pixel
_NOWHERE = f32(1e10)  # depth where nothing is hit
_SHAPE = (f32(0),) * HEADER


@compiled
def _aligned(planes):
    """An uninitialized buffer of planes, and the index at which it is aligned to 64 bytes."""
    buffer = np.empty(planes * PIXELS + 16, np.float32)
    return buffer, np.int64((64 - buffer.ctypes.data % 64) % 64 // 4)


@compiled
def _pixel_range(y0, y1, top):
    """The vectors of a tile that hold the image rows y0..y1."""
    first = max(np.int64(y0) - top, 0)
    last = min(np.int64(y1) - top, TILE_HEIGHT)
    return first // _ROWS, (last + _ROWS - 1) // _ROWS


@compiled
def blend(
    work, blocks, rows, listed, first_of_tile, order, columns, background, with_depth, threshold, alpha_max,
    color, alpha, depth, transmittance, ends,
):  # fmt: skip
    """Blend every tile front to back: color [H,W,C], alpha [H,W], depth [H,W] (expected, if with_depth, or [0,0]),
    transmittance [H,W] = 1 - alpha without its rounding.

    rows [n,S] from `pack`; listed and first_of_tile from `list_entries`; order [tiles] in which tiles are taken; background: a tuple
    with one item a channel, z the last one if with_depth. Writes ends [tiles]: the end of the entries that were looked at.
    """
    channels = len(background)
    height, width, colors = color.shape
    flat = rows.reshape(-1)
    stride = rows.shape[1]
    log_threshold = f32(math.log2(threshold))
    limit = splat(alpha_max)
    nothing = splat(f32(0))
    buffer, start = _aligned(1 + channels)
    while True:
        block = fetch_add(work, 0)
        if block >= blocks:
            return
        tile = order[block]
        top = tile // columns * TILE_HEIGHT
        left = tile % columns * TILE_WIDTH
        for p in range(PIXELS):
            inside = top + p // TILE_WIDTH < height and left + p % TILE_WIDTH < width
            buffer[start + p] = f32(1) if inside else f32(-1)
        buffer[start + PIXELS : start + (1 + channels) * PIXELS] = f32(0)
        x = splat(f32(left) + f32(0.5)) + lane_columns(TILE_WIDTH)
        y = splat(f32(top) + f32(0.5)) + lane_rows(TILE_WIDTH)
        k = first_of_tile[tile]
        end = first_of_tile[tile + 1]
        while k < end:
            for entry in range(k, min(k + _SLICE, end)):
                at = listed[entry] * stride
                prefetch(flat, listed[min(entry + _AHEAD, end - 1)] * stride)
                u, v, a, b, c, level, y0, y1 = load_scalars(flat, at, _SHAPE)
                values = load_scalars(flat, at + HEADER, background)
                first, last = _pixel_range(y0, y1, top)
                dx = x - u
                dy = y - (v - f32(first * _ROWS))
                constant = dx * dx * a + level
                slope = dx * b
                for q in range(start + first * LANES, start + last * LANES, LANES):
                    power = dy * (dy * c + slope) + constant
                    opacity = select(power >= log_threshold, smaller(exp2(power), limit), nothing)
                    before = load(buffer, q)
                    weight = opacity * before
                    after = before - weight
                    live = after > _SATURATED
                    store(buffer, q, select(live, after, minus_magnitude(before)))
                    add_weighted(buffer, q + PIXELS, PIXELS, select(live, weight, nothing), values)
                    dy = dy + f32(_ROWS)
            k = min(k + _SLICE, end)
            most = nothing
            for q in range(start, start + PIXELS, LANES):
                most = select(load(buffer, q) > nothing, splat(f32(1)), most)
            if not any_positive(most):
                break
        ends[tile] = k
        for row in range(min(TILE_HEIGHT, height - top)):
            for column in range(min(TILE_WIDTH, width - left)):
                p = start + row * TILE_WIDTH + column
                remaining = abs(buffer[p])
                for j in range(colors):
                    color[top + row, left + column, j] = buffer[p + (1 + j) * PIXELS] + remaining * background[j]
                covered = f32(1) - remaining
                transmittance[top + row, left + column] = remaining
                alpha[top + row, left + column] = covered
                if with_depth:
                    hit = covered > f32(0)
                    depth[top + row, left + column] = buffer[p + channels * PIXELS] / covered if hit else _NOWHERE
        fetch_add(work, 8)


@compiled
def blend_backward(
    work, blocks, rows, listed, entries, first_of_tile, ends, order, columns, background, with_depth, threshold, alpha_max,
    color, depth, transmittance, color_gradient, alpha_gradient, depth_gradient, slots,
):  # fmt: skip
    """Write, for every entry, the sums over its pixels that `project_backward` reads; arguments as in `blend`, gradients as its outputs.

    Front to back, too: what lies behind a Gaussian is the finished pixel minus what has been walked through, so nothing is stored for
    each Gaussian and pixel. behind = sum over later Gaussians of w (g . value), with the background and the alpha gradient's share.
    """
    channels = len(background)
    height, width, colors = color.shape
    flat = rows.reshape(-1)
    stride = rows.shape[1]
    flat_slots = slots.reshape(-1)
    log_threshold = f32(math.log2(threshold))
    log_limit = f32(math.log2(alpha_max))
    limit = splat(alpha_max)
    nothing = splat(f32(0))
    one = splat(f32(1))
    buffer, start = _aligned(2 + channels)
    while True:
        block = fetch_add(work, 0)
        if block >= blocks:
            return
        tile = order[block]
        top = tile // columns * TILE_HEIGHT
        left = tile % columns * TILE_WIDTH
        buffer[start : start + PIXELS] = f32(-1)
        buffer[start + PIXELS : start + (2 + channels) * PIXELS] = f32(0)
        for row in range(min(TILE_HEIGHT, height - top)):
            for column in range(min(TILE_WIDTH, width - left)):
                p = start + row * TILE_WIDTH + column
                remaining = transmittance[top + row, left + column]
                covered = f32(1) - remaining
                gradient = alpha_gradient[top + row, left + column]
                behind = f32(0)
                for j in range(colors):
                    g = color_gradient[top + row, left + column, j]
                    buffer[p + (2 + j) * PIXELS] = g
                    behind += g * color[top + row, left + column, j]
                if with_depth and covered > f32(0):  # depth = sum of w z / alpha
                    g = depth_gradient[top + row, left + column] / covered
                    z = depth[top + row, left + column]
                    buffer[p + (1 + channels) * PIXELS] = g
                    behind += g * z * covered
                    gradient -= g * z
                buffer[p] = f32(1)
                buffer[p + PIXELS] = behind - gradient * remaining
        x = splat(f32(left) + f32(0.5)) + lane_columns(TILE_WIDTH)
        y = splat(f32(top) + f32(0.5)) + lane_rows(TILE_WIDTH)
        for entry in range(first_of_tile[tile], ends[tile]):
            at = listed[entry] * stride
            prefetch(flat, listed[min(entry + _AHEAD, ends[tile] - 1)] * stride)
            u, v, a, b, c, level, y0, y1 = load_scalars(flat, at, _SHAPE)
            values = load_scalars(flat, at + HEADER, background)
            first, last = _pixel_range(y0, y1, top)
            dx = x - u
            dy = y - (v - f32(first * _ROWS))
            constant = dx * dx * a + level
            slope = dx * b
            sum0, sum1, sum2 = nothing, nothing, nothing
            sums = zeros(background)
            for q in range(start + first * LANES, start + last * LANES, LANES):
                power = dy * (dy * c + slope) + constant
                opacity = select(power >= log_threshold, smaller(exp2(power), limit), nothing)
                before = load(buffer, q)
                weight = opacity * before
                after = before - weight
                live = after > _SATURATED
                store(buffer, q, select(live, after, minus_magnitude(before)))
                weight = select(live, weight, nothing)
                own = weight * dot(buffer, q + 2 * PIXELS, PIXELS, values)
                behind = load(buffer, q + PIXELS) - own
                store(buffer, q + PIXELS, behind)
                slack = own - behind * opacity * reciprocal(one - opacity)
                slack = select(both(live, power <= log_limit), slack, nothing)  # a clamped alpha has no gradient
                sum0 = sum0 + slack
                moment = slack * dy
                sum1 = sum1 + moment
                sum2 = sum2 + moment * dy
                sums = accumulate(sums, buffer, q + 2 * PIXELS, PIXELS, weight)
                dy = dy + f32(_ROWS)
            moments = (sum0, sum0 * dx, sum1, sum0 * dx * dx, sum1 * dx, sum2)
            store_sums(flat_slots, entries[entry] * slots.shape[1], moments + sums)
        for entry in range(ends[tile], first_of_tile[tile + 1]):
            slots[entries[entry]] = f32(0)
        fetch_add(work, 8)
