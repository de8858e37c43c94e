# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Projecting 3D Gaussians to the screen and back-propagating through it (EWA splatting, Zwicker et al. 2001).

The symbols follow the derivation: p = R mu + t, Sigma = M M^T with M = rotation(q) diag(s), U = J R with J the
projection's Jacobian at p, B = U M [2,3] and the screen covariance B B^T + eps2d I = ((a, b), (b, c)).
"""

import math

import numpy as np

from headgas.splatting.binning import TILE_HEIGHT, TILE_WIDTH
from headgas.splatting.compiling import compiled
from headgas.splatting.simd import LANES, fetch_add, load, splat, store

BLOCK = 128  # Gaussians taken by a thread at a time
HEADER = 8  # floats before the channels in a Gaussian's row

f32 = np.float32
_FAR = f32(1e10)
_HUGE = f32(1e30)
_LOG2E = f32(1 / math.log(2))
_LN2 = f32(math.log(2))


@compiled
def _limits(camera, width, height):
    """How far x/z and y/z may leave the image before the Jacobian is held: 0.3 of the field of view, as in gsplat.

    Of an orthographic camera both are held at 0: its Jacobian is the same everywhere.
    """
    fx, fy, cx, cy, perspective = camera[12], camera[13], camera[14], camera[15], camera[16]
    border_x = f32(0.3) * (f32(0.5) * f32(width) / fx)
    border_y = f32(0.3) * (f32(0.5) * f32(height) / fy)
    high_x, high_y = (f32(width) - cx) / fx + border_x, (f32(height) - cy) / fy + border_y
    low_x, low_y = -cx / fx - border_x, -cy / fy - border_y
    return perspective * low_x, perspective * high_x, perspective * low_y, perspective * high_y


@compiled
def _to_camera(camera, means, i):
    """p = R mu + t."""
    X, Y, Z = means[i, 0], means[i, 1], means[i, 2]
    x = camera[0] * X + camera[1] * Y + camera[2] * Z + camera[9]
    y = camera[3] * X + camera[4] * Y + camera[5] * Z + camera[10]
    z = camera[6] * X + camera[7] * Y + camera[8] * Z + camera[11]
    return x, y, z


@compiled
def _inverse_divisor(camera, z):
    """What the screen's coordinates are divided by, as its inverse: z, or 1 for an orthographic camera."""
    return f32(1) / (camera[16] * z + (f32(1) - camera[16]))


@compiled
def _rotation(quaternions, i):
    """The unit quaternion, the inverse length of the given one, and its rotation matrix row by row."""
    w, x, y, z = quaternions[i, 0], quaternions[i, 1], quaternions[i, 2], quaternions[i, 3]
    inverse = f32(1) / math.sqrt(w * w + x * x + y * y + z * z)
    w, x, y, z = w * inverse, x * inverse, y * inverse, z * inverse
    one, two = f32(1), f32(2)
    matrix = (
        one - two * (y * y + z * z), two * (x * y - w * z), two * (x * z + w * y),
        two * (x * y + w * z), one - two * (x * x + z * z), two * (y * z - w * x),
        two * (x * z - w * y), two * (y * z + w * x), one - two * (x * x + y * y),
    )  # fmt: skip
    return w, x, y, z, inverse, matrix


@compiled
def _jacobian_in_world(camera, slope_x, slope_y, inverse_z):
    """U = J R [2,3], row by row; slopes are the limited x/z and y/z."""
    J00, J02 = camera[12] * inverse_z, -camera[12] * slope_x * inverse_z
    J11, J12 = camera[13] * inverse_z, -camera[13] * slope_y * inverse_z
    return (
        J00 * camera[0] + J02 * camera[6], J00 * camera[1] + J02 * camera[7], J00 * camera[2] + J02 * camera[8],
        J11 * camera[3] + J12 * camera[6], J11 * camera[4] + J12 * camera[7], J11 * camera[5] + J12 * camera[8],
    )  # fmt: skip


@compiled
def _project_shape(U, Q, s0, s1, s2):
    """B = U M [2,3], row by row."""
    U00, U01, U02, U10, U11, U12 = U
    Q00, Q01, Q02, Q10, Q11, Q12, Q20, Q21, Q22 = Q
    return (
        (U00 * Q00 + U01 * Q10 + U02 * Q20) * s0, (U00 * Q01 + U01 * Q11 + U02 * Q21) * s1,
        (U00 * Q02 + U01 * Q12 + U02 * Q22) * s2,
        (U10 * Q00 + U11 * Q10 + U12 * Q20) * s0, (U10 * Q01 + U11 * Q11 + U12 * Q21) * s1,
        (U10 * Q02 + U11 * Q12 + U12 * Q22) * s2,
    )  # fmt: skip


@compiled
def _pixels(center, radius, size):
    """The half-open range of pixels whose centres lie within `radius` of `center`."""
    first = max(center - radius - f32(0.5), f32(-1))
    last = min(center + radius - f32(0.5), f32(size))
    return max(0, int(math.ceil(first))), min(size, int(math.floor(last)) + 1)


@compiled
def project(  # noqa: PLR0915  one formula after another, in registers
    work, blocks, means, quaternions, scales, opacities, colors, offsets, camera, width, height, near, eps2d, threshold,
    antialiased, with_depth, rows, touched, depths, entries,
):  # fmt: skip
    """Write what the tiles need of every Gaussian that can be seen; entries is 0 for the others.

    means [N,3], quaternions [N,4], scales [N,3], opacities [N], colors [N,C]; offsets [N,2] or [0,2], pixels; camera
    [17] = R row by row, t, fx, fy, cx, cy, 1 (0 when orthographic). rows [N,S] = mean (u, v) in pixels, the exponent
    in base 2 (a dx dx + b dx dy + c dy dy + log2 opacity), the pixel rows y0, y1 half open, channels (z behind the
    colors if with_depth);
    touched [N,4] = tile columns and tile rows, half open; depths [N] = z, metres; entries [N+1] = number of tiles.
    """
    count = means.shape[0]
    fx, fy, cx, cy = camera[12], camera[13], camera[14], camera[15]
    low_x, high_x, low_y, high_y = _limits(camera, width, height)
    log_threshold = f32(math.log(threshold))
    channels = colors.shape[1]
    while True:
        block = fetch_add(work, 0)
        if block >= blocks:
            return
        for i in range(block * BLOCK, min(count, (block + 1) * BLOCK)):
            entries[i] = 0
            x, y, z = _to_camera(camera, means, i)
            depths[i] = z
            if not (z >= near and z <= _FAR):
                continue
            inverse_z = _inverse_divisor(camera, z)
            slope_x = min(high_x, max(low_x, x * inverse_z))
            slope_y = min(high_y, max(low_y, y * inverse_z))
            _, _, _, _, _, Q = _rotation(quaternions, i)
            U = _jacobian_in_world(camera, slope_x, slope_y, inverse_z)
            B00, B01, B02, B10, B11, B12 = _project_shape(U, Q, scales[i, 0], scales[i, 1], scales[i, 2])
            a = B00 * B00 + B01 * B01 + B02 * B02
            b = B00 * B10 + B01 * B11 + B02 * B12
            c = B10 * B10 + B11 * B11 + B12 * B12
            sharp = a * c - b * b
            a += eps2d
            c += eps2d
            determinant = a * c - b * b
            if not determinant > f32(0):
                continue
            opacity = opacities[i]
            if antialiased:
                opacity *= math.sqrt(max(f32(0), sharp / determinant))
            if not opacity >= threshold:
                continue
            u = fx * x * inverse_z + cx
            v = fy * y * inverse_z + cy
            if offsets.shape[0] > 0:
                u += offsets[i, 0]
                v += offsets[i, 1]
            level = math.log(opacity)
            extent = math.sqrt(f32(2) * (level - log_threshold))  # in sigmas, to where alpha meets the threshold
            radius_x = extent * math.sqrt(a)
            radius_y = extent * math.sqrt(c)
            if not abs(u) + abs(v) + radius_x + radius_y < _HUGE:
                continue
            x0, x1 = _pixels(u, radius_x, width)
            y0, y1 = _pixels(v, radius_y, height)
            if x1 <= x0 or y1 <= y0:
                continue
            inverse = f32(1) / determinant
            rows[i, 0] = u
            rows[i, 1] = v
            rows[i, 2] = -f32(0.5) * _LOG2E * (c * inverse)
            rows[i, 3] = _LOG2E * (b * inverse)
            rows[i, 4] = -f32(0.5) * _LOG2E * (a * inverse)
            rows[i, 5] = _LOG2E * level
            rows[i, 6] = y0
            rows[i, 7] = y1
            for j in range(channels):
                rows[i, HEADER + j] = colors[i, j]
            if with_depth:
                rows[i, HEADER + channels] = z
            column0, column1 = x0 // TILE_WIDTH, (x1 - 1) // TILE_WIDTH + 1
            row0, row1 = y0 // TILE_HEIGHT, (y1 - 1) // TILE_HEIGHT + 1
            touched[i, 0] = column0
            touched[i, 1] = column1
            touched[i, 2] = row0
            touched[i, 3] = row1
            entries[i] = (column1 - column0) * (row1 - row0)
        fetch_add(work, 8)


@compiled
def _quaternion_gradient(w, x, y, z, inverse, N, s0, s1, s2):
    """dL/dq of q/|q|, from N = dL/dM [3,3] row by row."""
    N00, N01, N02, N10, N11, N12, N20, N21, N22 = N
    N00, N10, N20 = N00 * s0, N10 * s0, N20 * s0
    N01, N11, N21 = N01 * s1, N11 * s1, N21 * s1
    N02, N12, N22 = N02 * s2, N12 * s2, N22 * s2
    two = f32(2)
    dw = two * (x * (N21 - N12) + y * (N02 - N20) + z * (N10 - N01))
    dx = two * (-two * x * (N11 + N22) + y * (N01 + N10) + z * (N02 + N20) + w * (N21 - N12))
    dy = two * (x * (N01 + N10) - two * y * (N00 + N22) + z * (N12 + N21) + w * (N02 - N20))
    dz = two * (x * (N02 + N20) + y * (N12 + N21) - two * z * (N00 + N11) + w * (N10 - N01))
    along = dw * w + dx * x + dy * y + dz * z
    dw, dx, dy, dz = dw - along * w, dx - along * x, dy - along * y, dz - along * z
    return dw * inverse, dx * inverse, dy * inverse, dz * inverse


@compiled
def project_backward(  # noqa: PLR0912, PLR0915  one formula after another, in registers
    work, blocks, means, quaternions, scales, opacities, camera, width, height, eps2d, antialiased, rows,
    first_entry, slots, depth_channel, mean_gradient, quaternion_gradient, scale_gradient, opacity_gradient,
    color_gradient, screen_gradient,
):  # fmt: skip
    """Add up the slots of every Gaussian and back-propagate them to its parameters.

    rows as `project` wrote them; first_entry [N+1]; slots [entries, S] = the sums over pixels of
    dp, dp*dx, dp*dy, dp*dx*dx, dp*dx*dy, dp*dy*dy (dp = alpha dL/dalpha, dx and dy from the mean to the pixel), then of
    each channel's gradient; depth_channel is the channel that carries z, or -1. The gradients have the shapes of their
    inputs.
    """
    count = means.shape[0]
    fx, fy, perspective = camera[12], camera[13], camera[16]
    low_x, high_x, low_y, high_y = _limits(camera, width, height)
    colors = color_gradient.shape[1]
    stride = slots.shape[1]
    flat_slots = slots.reshape(-1)
    total = np.empty(stride, np.float32)
    one, two, half = f32(1), f32(2), f32(0.5)
    while True:
        block = fetch_add(work, 0)
        if block >= blocks:
            return
        for i in range(block * BLOCK, min(count, (block + 1) * BLOCK)):
            start, end = first_entry[i], first_entry[i + 1]
            if start == end:
                mean_gradient[i] = f32(0)
                quaternion_gradient[i] = f32(0)
                scale_gradient[i] = f32(0)
                opacity_gradient[i] = f32(0)
                color_gradient[i] = f32(0)
                screen_gradient[i] = f32(0)
                continue
            for j in range(0, stride, LANES):
                lanes = splat(f32(0))
                for e in range(start, end):
                    lanes = lanes + load(flat_slots, e * stride + j)
                store(total, j, lanes)
            for j in range(colors):
                color_gradient[i, j] = total[6 + j]
            A, B, C = -two * _LN2 * rows[i, 2], -_LN2 * rows[i, 3], -two * _LN2 * rows[i, 4]
            gu = A * total[1] + B * total[2]
            gv = B * total[1] + C * total[2]
            screen_gradient[i, 0] = gu
            screen_gradient[i, 1] = gv
            opacity_gradient[i] = total[0] / opacities[i]
            # dL/dcovariance = -Q G Q, Q the inverse covariance and G the gradient by it; gB is one of two equal entries
            gA, gB, gC = -half * total[3], -half * total[4], -half * total[5]
            t00, t01 = A * gA + B * gB, A * gB + B * gC
            t10, t11 = B * gA + C * gB, B * gB + C * gC
            S00, S01, S11 = -(t00 * A + t01 * B), -(t00 * B + t01 * C), -(t10 * B + t11 * C)

            x, y, z = _to_camera(camera, means, i)
            inverse_z = _inverse_divisor(camera, z)
            slope_x = min(high_x, max(low_x, x * inverse_z))
            slope_y = min(high_y, max(low_y, y * inverse_z))
            qw, qx, qy, qz, inverse_length, Q = _rotation(quaternions, i)
            s0, s1, s2 = scales[i, 0], scales[i, 1], scales[i, 2]
            U = _jacobian_in_world(camera, slope_x, slope_y, inverse_z)
            B00, B01, B02, B10, B11, B12 = _project_shape(U, Q, s0, s1, s2)
            if antialiased:  # opacity' = opacity sqrt(sharp / determinant)
                a = B00 * B00 + B01 * B01 + B02 * B02
                b = B00 * B10 + B01 * B11 + B02 * B12
                c = B10 * B10 + B11 * B11 + B12 * B12
                sharp = a * c - b * b
                if sharp > f32(0):
                    blurred_a, blurred_c = a + eps2d, c + eps2d
                    inverse = one / (blurred_a * blurred_c - b * b)
                    ratio = sharp * inverse
                    g_ratio = total[0] * half / ratio
                    S00 += g_ratio * (c - ratio * blurred_c) * inverse
                    S11 += g_ratio * (a - ratio * blurred_a) * inverse
                    S01 += g_ratio * (ratio - one) * b * inverse
            # D = dL/dB = 2 S B
            D00, D01, D02 = two * (S00 * B00 + S01 * B10), two * (S00 * B01 + S01 * B11), two * (S00 * B02 + S01 * B12)
            D10, D11, D12 = two * (S01 * B00 + S11 * B10), two * (S01 * B01 + S11 * B11), two * (S01 * B02 + S11 * B12)
            # N = dL/dM = U^T D
            U00, U01, U02, U10, U11, U12 = U
            N00, N01, N02 = U00 * D00 + U10 * D10, U00 * D01 + U10 * D11, U00 * D02 + U10 * D12
            N10, N11, N12 = U01 * D00 + U11 * D10, U01 * D01 + U11 * D11, U01 * D02 + U11 * D12
            N20, N21, N22 = U02 * D00 + U12 * D10, U02 * D01 + U12 * D11, U02 * D02 + U12 * D12
            Q00, Q01, Q02, Q10, Q11, Q12, Q20, Q21, Q22 = Q
            scale_gradient[i, 0] = N00 * Q00 + N10 * Q10 + N20 * Q20
            scale_gradient[i, 1] = N01 * Q01 + N11 * Q11 + N21 * Q21
            scale_gradient[i, 2] = N02 * Q02 + N12 * Q12 + N22 * Q22
            N = (N00, N01, N02, N10, N11, N12, N20, N21, N22)
            gw, gx, gy, gz = _quaternion_gradient(qw, qx, qy, qz, inverse_length, N, s0, s1, s2)
            quaternion_gradient[i, 0] = gw
            quaternion_gradient[i, 1] = gx
            quaternion_gradient[i, 2] = gy
            quaternion_gradient[i, 3] = gz
            # V = dL/dU = D M^T, and dL/dJ = V R^T
            D00, D01, D02, D10, D11, D12 = D00 * s0, D01 * s1, D02 * s2, D10 * s0, D11 * s1, D12 * s2
            V00 = D00 * Q00 + D01 * Q01 + D02 * Q02
            V01 = D00 * Q10 + D01 * Q11 + D02 * Q12
            V02 = D00 * Q20 + D01 * Q21 + D02 * Q22
            V10 = D10 * Q00 + D11 * Q01 + D12 * Q02
            V11 = D10 * Q10 + D11 * Q11 + D12 * Q12
            V12 = D10 * Q20 + D11 * Q21 + D12 * Q22
            g00 = V00 * camera[0] + V01 * camera[1] + V02 * camera[2]
            g02 = V00 * camera[6] + V01 * camera[7] + V02 * camera[8]
            g11 = V10 * camera[3] + V11 * camera[4] + V12 * camera[5]
            g12 = V10 * camera[6] + V11 * camera[7] + V12 * camera[8]
            per_x = perspective * fx * inverse_z * inverse_z  # of u, by z
            per_y = perspective * fy * inverse_z * inverse_z
            px = gu * fx * inverse_z
            py = gv * fy * inverse_z
            pz = -gu * per_x * x - gv * per_y * y - g00 * per_x - g11 * per_y
            pz += g02 * per_x * slope_x + g12 * per_y * slope_y
            if slope_x == x * inverse_z:  # not held at the limit: x/z itself moves
                px -= g02 * per_x
                pz += g02 * per_x * slope_x
            if slope_y == y * inverse_z:
                py -= g12 * per_y
                pz += g12 * per_y * slope_y
            if depth_channel >= 0:
                pz += total[6 + depth_channel]
            mean_gradient[i, 0] = camera[0] * px + camera[3] * py + camera[6] * pz
            mean_gradient[i, 1] = camera[1] * px + camera[4] * py + camera[7] * pz
            mean_gradient[i, 2] = camera[2] * px + camera[5] * py + camera[8] * pz
        fetch_add(work, 8)
