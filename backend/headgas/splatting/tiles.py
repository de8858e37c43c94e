# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Blending the listed Gaussians into the pixels of each tile, and the gradients of that.

A vector holds `LANES` pixels of one tile: the tile's full width, LANES // 8 rows. Pixels that are saturated or outside
the image carry a negative transmittance (its magnitude is what is left), so that the inner loop has no branches. The
number of channels is part of the type of the tuple `background`, so numba compiles a kernel with unrolled channels for
each number.
"""

import math

import numpy as np
from numba import uint64

from headgas.splatting.binning import NEIGHBOURS, TILE_HEIGHT, TILE_WIDTH
from headgas.splatting.compiling import compiled
from headgas.splatting.projection import HEADER
from headgas.splatting.simd import (
    LANES,
    accumulate,
    add_weighted,
    any_positive,
    both,
    broadcast,
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
SATURATED = f32(1e-4)  # a Gaussian that would leave less transmittance than this is not blended, and ends its pixel
_UNLIMITED, _NEAREST = f32(np.inf), f32(0)  # depth limits
_NOWHERE = f32(1e10)  # depth where nothing is hit
_SHAPE = (f32(0),) * HEADER
_CONSTANTS = (f32(0),) * 9


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
def _begin(buffer, start, top, left, channels, width, height, limits, scratch):
    """Begin a tile: planes of transmittance 1, of zeros for each channel, and of its pixels' limits (if there are any).

    Return the nearest of these limits, infinity if there are none.
    """
    x = splat(f32(left) + f32(0.5)) + lane_columns(TILE_WIDTH)
    y = splat(f32(top) + f32(0.5)) + lane_rows(TILE_WIDTH)
    in_columns = splat(f32(width)) > x
    for row in range(0, TILE_HEIGHT, _ROWS):
        inside = both(in_columns, splat(f32(height - row)) > y)
        store(buffer, start + row * TILE_WIDTH, select(inside, splat(f32(1)), splat(f32(-1))))
    for q in range(start + PIXELS, start + (1 + channels) * PIXELS, LANES):
        store(buffer, q, splat(f32(0)))
    if limits.shape[0] == 0:
        return _UNLIMITED
    flat = limits.reshape(-1)
    for row in range(min(TILE_HEIGHT, height - top)):
        for column in range(min(TILE_WIDTH, width - left)):
            p = uint64(start + (1 + channels) * PIXELS + row * TILE_WIDTH + column)
            buffer[p] = flat[uint64((top + row) * width + left + column)]
    return _end_pixels(buffer, start, channels, _NEAREST, scratch)


@compiled
def _end_pixels(buffer, start, channels, z, scratch):
    """End the pixels whose limit lies nearer than `z`, as saturation does; return the nearest of the other limits.

    Gaussians come nearest first: what follows is behind these limits, too.
    """
    nearest = splat(_UNLIMITED)
    for q in range(start, start + PIXELS, LANES):
        before, limit = load(buffer, q), load(buffer, q + (1 + channels) * PIXELS)
        open_ = limit >= z
        store(buffer, q, select(open_, before, minus_magnitude(before)))
        nearest = smaller(select(both(open_, before > f32(0)), limit, nearest), nearest)
    store(scratch, 0, nearest)
    return scratch.min()


@compiled
def _write_pixels(buffer, start, top, left, behind, with_depth, color, alpha, depth, transmittance):
    """Finish a tile: its buffer's planes (transmittance, channels) over the background `behind` [C] become pixels."""
    height, width, colors = color.shape
    channels = len(behind)
    flat_color, flat_alpha, flat_depth = color.reshape(-1), alpha.reshape(-1), depth.reshape(-1)
    flat_transmittance = transmittance.reshape(-1)
    for row in range(min(TILE_HEIGHT, height - top)):
        for column in range(min(TILE_WIDTH, width - left)):
            p = uint64(start + row * TILE_WIDTH + column)
            pixel = uint64((top + row) * width + left + column)
            remaining = abs(buffer[p])
            covered = f32(1) - remaining
            for j in range(colors):
                value = buffer[p + uint64((1 + j) * PIXELS)]
                flat_color[pixel * uint64(colors) + uint64(j)] = value + remaining * behind[uint64(j)]
            flat_transmittance[pixel] = remaining
            flat_alpha[pixel] = covered
            if with_depth:
                total = buffer[p + uint64(channels * PIXELS)]
                flat_depth[pixel] = total / covered if covered > f32(0) else _NOWHERE


@compiled
def blend(  # noqa: PLR0915  one formula after another, in registers
    work, blocks, rows, listed, first_of_tile, fullest, columns, background, with_depth, limits, threshold, alpha_max,
    table, color, alpha, depth, transmittance, ends,
):  # fmt: skip
    """Blend every tile front to back: color [H,W,C], alpha [H,W], depth [H,W] (expected, if with_depth, or [0,0]),
    transmittance [H,W] = 1 - alpha without its rounding.

    rows [N,S] from `project`; listed, first_of_tile and fullest from `list_entries` and `tile_offsets`; background: a
    tuple with one item a channel, z the last one if with_depth; limits: [H,W] (then with_depth must hold) or [0,0], no
    Gaussian with a greater z contributes to a pixel. Writes ends [tiles]: the end of the entries that were
    looked at.
    """
    channels = len(background)
    constants = broadcast(table, _CONSTANTS)
    height, width = alpha.shape
    flat = rows.reshape(-1)
    stride = rows.shape[1]
    log_threshold = f32(math.log2(threshold))
    limit = splat(alpha_max)
    nothing = splat(f32(0))
    buffer, start = _aligned(2 + channels)
    scratch = np.empty(LANES, np.float32)
    behind = np.empty(channels, np.float32)
    for j in range(channels):
        behind[j] = background[j]
    while True:
        block = fetch_add(work, 0)
        if block >= blocks:
            return
        group = fullest[block]
        for tile in range(group * NEIGHBOURS, min((group + 1) * NEIGHBOURS, first_of_tile.shape[0] - 1)):
            top = tile // columns * TILE_HEIGHT
            left = tile % columns * TILE_WIDTH
            x = splat(f32(left) + f32(0.5)) + lane_columns(TILE_WIDTH)
            y = splat(f32(top) + f32(0.5)) + lane_rows(TILE_WIDTH)
            nearest_limit = _begin(buffer, start, top, left, channels, width, height, limits, scratch)
            k = first_of_tile[tile]
            end = first_of_tile[tile + 1]
            while k < end:
                for entry in range(k, min(k + _SLICE, end)):
                    at = listed[entry] * stride
                    prefetch(flat, listed[min(entry + _AHEAD, end - 1)] * stride)
                    u, v, a, b, c, level, y0, y1 = load_scalars(flat, at, _SHAPE)
                    values = load_scalars(flat, at + HEADER, background)
                    if values[channels - 1] > nearest_limit:  # never where nothing is limited
                        nearest_limit = _end_pixels(buffer, start, channels, values[channels - 1], scratch)
                    first, last = _pixel_range(y0, y1, top)
                    dx = x - u
                    dy = y - (v - f32(first * _ROWS))
                    constant = dx * dx * a + level
                    slope = dx * b
                    for q in range(start + first * LANES, start + last * LANES, LANES):
                        power = dy * (dy * c + slope) + constant
                        opacity = select(power >= log_threshold, smaller(exp2(power, constants), limit), nothing)
                        before = load(buffer, q)
                        weight = opacity * before
                        after = before - weight
                        live = after > SATURATED
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
            _write_pixels(buffer, start, top, left, behind, with_depth, color, alpha, depth, transmittance)
        fetch_add(work, 8)


@compiled
def _read_pixels(
    buffer, start, top, left, channels, with_depth, color, depth, transmittance, color_gradient, alpha_gradient,
    depth_gradient,
):  # fmt: skip
    """Begin a tile: planes of transmittance 1, of what lies behind the first Gaussian, of each channel's gradient."""
    height, width, colors = color.shape
    flat_color, flat_depth, flat_transmittance = color.reshape(-1), depth.reshape(-1), transmittance.reshape(-1)
    flat_color_gradient, flat_alpha_gradient = color_gradient.reshape(-1), alpha_gradient.reshape(-1)
    flat_depth_gradient = depth_gradient.reshape(-1)
    for q in range(start, start + PIXELS, LANES):
        store(buffer, q, splat(f32(-1)))
    for q in range(start + PIXELS, start + (2 + channels) * PIXELS, LANES):
        store(buffer, q, splat(f32(0)))
    for row in range(min(TILE_HEIGHT, height - top)):
        for column in range(min(TILE_WIDTH, width - left)):
            p = uint64(start + row * TILE_WIDTH + column)
            pixel = uint64((top + row) * width + left + column)
            remaining = flat_transmittance[pixel]
            covered = f32(1) - remaining
            gradient = flat_alpha_gradient[pixel]
            behind = f32(0)
            for j in range(colors):
                g = flat_color_gradient[pixel * uint64(colors) + uint64(j)]
                buffer[p + uint64((2 + j) * PIXELS)] = g
                behind += g * flat_color[pixel * uint64(colors) + uint64(j)]
            if with_depth and covered > f32(0):  # depth = sum of w z / alpha
                g = flat_depth_gradient[pixel] / covered
                z = flat_depth[pixel]
                buffer[p + uint64((1 + channels) * PIXELS)] = g
                behind += g * z * covered
                gradient -= g * z
            buffer[p] = f32(1)
            buffer[p + uint64(PIXELS)] = behind - gradient * remaining


@compiled
def blend_backward(  # noqa: PLR0915  one formula after another, in registers
    work, blocks, rows, listed, entries, first_of_tile, ends, fullest, columns, background, with_depth, threshold,
    alpha_max, table, color, depth, transmittance, color_gradient, alpha_gradient, depth_gradient, slots,
):  # fmt: skip
    """Write, for every entry, the sums over its pixels that `project_backward` reads; arguments as in `blend`.

    Front to back, too: what lies behind a Gaussian is the finished pixel minus what has been walked through, so nothing
    is stored for each Gaussian and pixel. behind = sum over later Gaussians of w (g . value), with the background and
    the alpha gradient's share.
    """
    channels = len(background)
    constants = broadcast(table, _CONSTANTS)
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
        group = fullest[block]
        for tile in range(group * NEIGHBOURS, min((group + 1) * NEIGHBOURS, first_of_tile.shape[0] - 1)):
            top = tile // columns * TILE_HEIGHT
            left = tile % columns * TILE_WIDTH
            _read_pixels(
                buffer, start, top, left, channels, with_depth, color, depth, transmittance, color_gradient,
                alpha_gradient, depth_gradient,
            )  # fmt: skip
            x = splat(f32(left) + f32(0.5)) + lane_columns(TILE_WIDTH)
            y = splat(f32(top) + f32(0.5)) + lane_rows(TILE_WIDTH)
            for entry in range(first_of_tile[tile], ends[tile]):
                at = listed[entry] * stride
                ahead = min(entry + _AHEAD, ends[tile] - 1)
                prefetch(flat, listed[ahead] * stride)
                prefetch(flat_slots, entries[ahead] * slots.shape[1])
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
                    opacity = select(power >= log_threshold, smaller(exp2(power, constants), limit), nothing)
                    before = load(buffer, q)
                    weight = opacity * before
                    after = before - weight
                    live = after > SATURATED
                    store(buffer, q, select(live, after, minus_magnitude(before)))
                    weight = select(live, weight, nothing)
                    own = weight * dot(buffer, q + 2 * PIXELS, PIXELS, values)
                    behind = load(buffer, q + PIXELS) - own
                    store(buffer, q + PIXELS, behind)
                    slack = own - behind * opacity * reciprocal(one - opacity, constants)
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
