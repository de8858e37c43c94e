# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the coefficients of an expression to opacities and colours, for a few Gaussians at a time that stay in cache.

The MLP takes ROWS Gaussians through both hidden layers while its weights stay where they are; the harmonics, half of
the work, follow for those Gaussians alone whose opacity can be seen. `inference` prepares the arrays.
"""

import math

import numpy as np

from headgas.avatars.spherical_harmonics import write_harmonics
from headgas.splatting.compiling import compiled
from headgas.splatting.simd import CONSTANTS, LANES, broadcast, exp2, fetch_add, load, smaller, splat, store, store_sums
from headgas.splatting.simd_math import (
    COLOR_ROWS,
    COLOR_VECTORS,
    HIDDEN_VECTORS,
    ROWS,
    add_products,
    load_rows,
    load_values,
    positive,
    row_products,
    store_rows,
)

BLOCK = 192  # Gaussians taken by a thread at a time
HARMONICS = 16  # of each channel; those that are not in use are zero
COLUMNS = 3 * HARMONICS
GROUP = HIDDEN_VECTORS * LANES  # hidden units computed at once

f32 = np.float32
_LOG2E = f32(1 / math.log(2))
_FARTHEST_LOGIT = f32(80)  # sigmoid is 0 or 1 beyond, and exp2 stays in its range
_SPARE = max(ROWS, COLOR_ROWS)
_SUMS = COLOR_ROWS * HARMONICS  # where scratch memory holds sums, behind the harmonics of directions
_SCRATCH = COLOR_ROWS * COLUMNS + LANES
_NINE = (0,) * len(CONSTANTS)  # how many constants exp2 takes along


@compiled
def _may_be_seen(view, means, sizes, i):
    """Whether any pixel lies within `reach` standard deviations of a Gaussian; may say yes where none does.

    view [21] = R row by row, t, fx, fy, cx, cy, width, height, reach, blur, 1 (0 when orthographic). The screen
    variance is at most (f/z)² (1 + (x/z)²) size² + blur², its root at most the sum of the roots; of an orthographic
    camera, where nothing is divided by z, f² size² + blur².
    """
    X, Y, Z = means[i, 0], means[i, 1], means[i, 2]
    z = view[6] * X + view[7] * Y + view[8] * Z + view[11]
    if z <= f32(0):
        return False
    perspective = view[20]
    inverse = f32(1) / (perspective * z + (f32(1) - perspective))
    x = (view[0] * X + view[1] * Y + view[2] * Z + view[9]) * inverse
    y = (view[3] * X + view[4] * Y + view[5] * Z + view[10]) * inverse
    width, height, reach, blur = view[16], view[17], view[18], view[19]
    size = sizes[i] * inverse
    radius_x = reach * (view[12] * size * (f32(1) + perspective * abs(x)) + blur) + f32(1)
    radius_y = reach * (view[13] * size * (f32(1) + perspective * abs(y)) + blur) + f32(1)
    u, v = view[12] * x + view[14], view[13] * y + view[15]
    return not (u + radius_x < 0 or u - radius_x > width or v + radius_y < 0 or v - radius_y > height)


@compiled
def _blend(basis, stride, active, weights, features, i, out, at):
    """out[at:at+f] = the sum over a of weights[a] * row active[a] of the basis, of Gaussian i."""
    whole = features // LANES * LANES
    for j in range(0, whole, LANES):
        total = splat(f32(0))
        for a in range(active.shape[0]):
            total = total + load_values(basis, active[a] * stride + i * features + j) * load(weights, a * features + j)
        store(out, at + j, total)
    for j in range(whole, features):
        rest = f32(0)
        for a in range(active.shape[0]):
            rest += f32(basis[active[a] * stride + i * features + j]) * weights[a * features + j]
        out[at + j] = rest


@compiled
def _color(values, chosen, first, stop, means, position, scratch, colors):
    """colors[chosen[first:stop]] = max(0, 1/2 + harmonics · values), of COLOR_ROWS rows of values."""
    for r in range(first, stop):
        write_harmonics(means, chosen[r], position, scratch, (r - first) * HARMONICS)
    store_sums(scratch, _SUMS, row_products(values, scratch, 0, HARMONICS, COLOR_ROWS, 3))
    for r in range(first, stop):
        for c in range(3):
            colors[chosen[r], c] = max(f32(0), scratch[_SUMS + 3 * (r - first) + c] + f32(0.5))


@compiled
def _hidden_layers(blended, first, second, at, mlp, opacities, constants):
    """Take ROWS Gaussians through the MLP's hidden layers.

    blended [ROWS*f] features, first [ROWS*H] what is added to the first layer; second [..*H] receives the second
    layer from row `at` on, opacities [2*LANES] the opacities.
    """
    first_weights, second_weights, second_bias, opacity_weights, opacity_bias = mlp
    hidden = second_bias.shape[0]
    features = first_weights.shape[0] // hidden
    for j in range(0, hidden, GROUP):
        units = load_rows(first, j, hidden, ROWS, HIDDEN_VECTORS)
        for k in range(features):
            units = add_products(units, blended, k, features, first_weights, k * hidden + j, ROWS)
        store_rows(first, j, hidden, ROWS, positive(units))
    logit = splat(opacity_bias)
    for j in range(0, hidden, GROUP):
        units = load_rows(second_bias, j, 0, ROWS, HIDDEN_VECTORS)
        for k in range(hidden):
            units = add_products(units, first, k, hidden, second_weights, k * hidden + j, ROWS)
        units = positive(units)
        store_rows(second, at * hidden + j, hidden, ROWS, units)
        store_sums(opacities, 0, row_products(units, opacity_weights, j, 0, ROWS, 1))
        logit = logit + load(opacities, 0)
    power = smaller(smaller(logit, splat(_FARTHEST_LOGIT)) * -_LOG2E, splat(_FARTHEST_LOGIT))
    store(opacities, 0, f32(1) / (f32(1) + exp2(power, broadcast(constants, _NINE))))


@compiled
def _color_layer(second, first, stop, chosen, weights, bias, means, position, scratch, colors, harmonics):
    """Colours, or harmonics where there is room for them, of the Gaussians chosen[first:stop], COLOR_ROWS at most."""
    hidden = weights.shape[0] // COLUMNS
    values = load_rows(bias, 0, 0, COLOR_ROWS, COLOR_VECTORS)
    for k in range(hidden):
        values = add_products(values, second, first * hidden + k, hidden, weights, k * COLUMNS, COLOR_ROWS)
    if harmonics.shape[0] == 0:
        _color(values, chosen, first, stop, means, position, scratch, colors)
        return
    store_rows(scratch, 0, COLUMNS, COLOR_ROWS, values)
    for r in range(first, stop):
        for j in range(0, COLUMNS, LANES):
            store(harmonics, chosen[r] * COLUMNS + j, load(scratch, (r - first) * COLUMNS + j))


@compiled
def _choose(start, stop, everyone, view, means, sizes, chosen, opacities, colors):
    """Write the Gaussians from `start` to `stop` that may be seen into `chosen` and zeros for all; return how many."""
    seen = 0
    for i in range(start, stop):
        opacities[i] = f32(0)
        colors[i, 0], colors[i, 1], colors[i, 2] = f32(0), f32(0), f32(0)
        if everyone or _may_be_seen(view, means, sizes, i):
            chosen[seen] = i
            seen += 1
    for r in range(seen, seen + ROWS):  # the last rows are computed in full: any Gaussian will do
        chosen[r] = chosen[0]
    return seen


@compiled
def evaluate(
    work, blocks, basis, stride, active, weights, first_bias, shared, mlp, color_weights, color_bias, means, sizes,
    view, position, threshold, constants, opacities, colors, harmonics,
):  # fmt: skip
    """Opacities and colours of all Gaussians that the camera may see; for the others zeros.

    basis: flat, Gaussian i's features of row r from r*stride + i*f on, float32 or int8; active [A] rows and weights
    [A*f] their factors; first_bias [N*H] of each Gaussian, shared [H] of all; mlp = weights of the first layer [f*H],
    weights [H*H] and bias [H] of the second, weights [H] and bias of the opacity; color_weights [H*48] and color_bias
    [48], channel by channel; means [N,3] and sizes [N], the largest standard deviation, metres; view: see
    `_may_be_seen`; position [3] of the camera, metres; opacities [N]; colors [N,3]. With harmonics [N*48] instead of
    [0], the coefficients of every Gaussian whose opacity reaches the threshold are written there, wherever the camera
    looks, and no colours.
    """
    count, hidden = means.shape[0], shared.shape[0]
    features = mlp[0].shape[0] // hidden
    chosen, values = np.zeros(BLOCK + _SPARE, np.int64), np.zeros(LANES, np.float32)
    blended, first = np.zeros(ROWS * features, np.float32), np.zeros(ROWS * hidden, np.float32)
    second, scratch = np.zeros((BLOCK + _SPARE) * hidden, np.float32), np.zeros(_SCRATCH, np.float32)
    while True:
        block = fetch_add(work, 0)
        if block >= blocks:
            return
        stop = min(count, (block + 1) * BLOCK)
        seen = _choose(block * BLOCK, stop, harmonics.shape[0] > 0, view, means, sizes, chosen, opacities, colors)
        drawn = 0
        for g in range(0, seen, ROWS):
            for r in range(ROWS):
                i = chosen[g + r]
                _blend(basis, stride, active, weights, features, i, blended, r * features)
                for j in range(0, hidden, LANES):
                    store(first, r * hidden + j, load(first_bias, i * hidden + j) + load(shared, j))
            at = drawn
            _hidden_layers(blended, first, second, at, mlp, values, constants)
            for r in range(min(ROWS, seen - g)):
                i = chosen[g + r]
                opacities[i] = values[r]
                if values[r] >= threshold:
                    chosen[drawn] = i
                    for j in range(0, hidden, LANES):
                        store(second, drawn * hidden + j, load(second, (at + r) * hidden + j))
                    drawn += 1
        for g in range(0, drawn, COLOR_ROWS):
            last = min(drawn, g + COLOR_ROWS)
            _color_layer(
                second, g, last, chosen, color_weights, color_bias, means, position, scratch, colors, harmonics
            )
        fetch_add(work, 8)


@compiled
def recolor(work, blocks, harmonics, means, position, colors):
    """colors [N,3] of harmonics [(N + COLOR_ROWS)*48], channel by channel, seen from position [3]; means [N,3]."""
    count = means.shape[0]
    everyone, scratch = np.arange(count), np.zeros(_SCRATCH, np.float32)
    while True:
        block = fetch_add(work, 0)
        if block >= blocks:
            return
        for g in range(block * BLOCK, min(count, (block + 1) * BLOCK), COLOR_ROWS):
            values = load_rows(harmonics, g * COLUMNS, COLUMNS, COLOR_ROWS, COLOR_VECTORS)
            _color(values, everyone, g, min(count, g + COLOR_ROWS), means, position, scratch, colors)
        fetch_add(work, 8)
