# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""View-dependent colour as real spherical harmonics."""

import math

import torch
from torch import Tensor

MAX_DEGREE = 3


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
    bands = [torch.full_like(x, 0.5 / math.sqrt(math.pi))]
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
