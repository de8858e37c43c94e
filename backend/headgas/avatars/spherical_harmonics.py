# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""View-dependent colour as real spherical harmonics."""

import math

import numpy as np
import torch
from torch import Tensor

from headgas.splatting.compiling import compiled

MAX_DEGREE = 3
_TURNED_AT_ONCE = 8192  # Gaussians: what they take beside the result stays small

f32 = np.float32
C0 = 0.5 / math.sqrt(math.pi)  # the harmonic of degree 0, in every direction
_C0 = f32(C0)
_C1 = f32(math.sqrt(3 / (4 * math.pi)))
_C2 = f32(0.5 * math.sqrt(15 / math.pi))
_C20 = f32(0.25 * math.sqrt(5 / math.pi))
_C22 = f32(0.25 * math.sqrt(15 / math.pi))
_C33 = f32(0.25 * math.sqrt(35 / (2 * math.pi)))
_C32 = f32(0.5 * math.sqrt(105 / math.pi))
_C31 = f32(0.25 * math.sqrt(21 / (2 * math.pi)))
_C30 = f32(0.25 * math.sqrt(7 / math.pi))
_C322 = f32(0.25 * math.sqrt(105 / math.pi))


def coefficient_count(degree: int) -> int:
    """Coefficients of all bands up to a degree, per colour channel."""
    return (degree + 1) ** 2


def sh_basis(directions: Tensor, degree: int) -> Tensor:
    """Real spherical harmonics with the signs and order of 3D Gaussian Splatting.

    Source: Sloan, "Efficient Spherical Harmonic Evaluation", JCGT 2(2) 2013, appendix.

    Args:
        directions: [N,3], unit length, from the camera to the Gaussian.
        degree: 0 to 3.

    Returns:
        [N,(degree+1)²].
    """
    x, y, z = directions.unbind(-1)
    bands = [torch.full_like(x, C0)]
    if degree >= 1:
        c = math.sqrt(3 / (4 * math.pi))
        bands += [-c * y, c * z, -c * x]
    if degree >= 2:
        c = 0.5 * math.sqrt(15 / math.pi)
        bands += [
            c * x * y,
            -c * y * z,
            0.25 * math.sqrt(5 / math.pi) * (3 * z * z - 1),
            -c * x * z,
            0.5 * c * (x * x - y * y),
        ]
    if degree >= 3:
        c1 = 0.25 * math.sqrt(35 / (2 * math.pi))
        c2 = 0.5 * math.sqrt(105 / math.pi)
        c3 = 0.25 * math.sqrt(21 / (2 * math.pi))
        bands += [
            -c1 * y * (3 * x * x - y * y),
            c2 * x * y * z,
            -c3 * y * (5 * z * z - 1),
            0.25 * math.sqrt(7 / math.pi) * z * (5 * z * z - 3),
            -c3 * x * (5 * z * z - 1),
            0.5 * c2 * z * (x * x - y * y),
            -c1 * x * (x * x - 3 * y * y),
        ]
    return torch.stack(bands, -1)


def sh_to_color(coefficients: Tensor, directions: Tensor) -> Tensor:
    """Colour [N,3] = max(0, 0.5 + Σ coefficients · basis), as 3D Gaussian Splatting defines it.

    Args:
        coefficients: [N,(degree+1)²,3].
        directions: [N,3], unit length.
    """
    degree = math.isqrt(coefficients.shape[1]) - 1
    return ((sh_basis(directions, degree)[..., None] * coefficients).sum(1) + 0.5).clamp_min(0.0)


def spread_directions(count: int, device: torch.device | str = "cpu") -> Tensor:
    """Unit vectors [count,3] float64, spread over the sphere: Fibonacci's lattice."""
    steps = torch.arange(count, dtype=torch.float64, device=device) + 0.5
    z, angle = 1 - 2 * steps / count, steps * math.pi * (3 - math.sqrt(5))
    around = (1 - z * z).sqrt()
    return torch.stack([around * angle.cos(), around * angle.sin(), z], 1)


def turned_harmonics(coefficients: Tensor, turns: Tensor) -> Tensor:
    """Coefficients [N,K,3] that show in the direction R d what the given ones show in the direction d.

    The functions of all degrees up to one span a space that rotations keep: what the turned colour is in a few
    directions determines its coefficients.

    Args:
        coefficients: [N,K,3].
        turns: [N,3,3], R of each; or [3,3], of all.
    """
    degree = math.isqrt(coefficients.shape[1]) - 1
    directions = spread_directions(2 * MAX_DEGREE**2 + 6, turns.device).to(turns.dtype)
    fitted = torch.linalg.pinv(sh_basis(directions, degree))
    if turns.ndim == 2:
        return (fitted @ sh_basis(directions @ turns, degree)).to(coefficients.dtype) @ coefficients
    parts = zip(coefficients.split(_TURNED_AT_ONCE), turns.split(_TURNED_AT_ONCE), strict=True)
    return torch.cat([fitted @ (sh_basis(directions @ turn, degree) @ part) for part, turn in parts])


@compiled
def write_harmonics(means, i, position, out, at):
    """Write to out [at:at+16] what `sh_basis` says of the direction from `position` [3] to means[i]."""
    x, y, z = means[i, 0] - position[0], means[i, 1] - position[1], means[i, 2] - position[2]
    one, three, five = f32(1), f32(3), f32(5)
    inverse = one / max(math.sqrt(x * x + y * y + z * z), f32(1e-12))
    x, y, z = x * inverse, y * inverse, z * inverse
    xx, yy, zz = x * x, y * y, z * z
    out[at] = _C0
    out[at + 1] = -_C1 * y
    out[at + 2] = _C1 * z
    out[at + 3] = -_C1 * x
    out[at + 4] = _C2 * x * y
    out[at + 5] = -_C2 * y * z
    out[at + 6] = _C20 * (three * zz - one)
    out[at + 7] = -_C2 * x * z
    out[at + 8] = _C22 * (xx - yy)
    out[at + 9] = -_C33 * y * (three * xx - yy)
    out[at + 10] = _C32 * x * y * z
    out[at + 11] = -_C31 * y * (five * zz - one)
    out[at + 12] = _C30 * z * (five * zz - three)
    out[at + 13] = -_C31 * x * (five * zz - one)
    out[at + 14] = _C322 * z * (xx - yy)
    out[at + 15] = -_C33 * x * (xx - three * yy)
