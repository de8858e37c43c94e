# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Spherical harmonics closest to colours that depend on the view in any other way: what files of splats can hold."""

from collections.abc import Callable

import torch
from torch import Tensor

from headgas.avatars.spherical_harmonics import MAX_DEGREE, sh_basis, spread_directions

_DIRECTIONS = 128  # eight times as many were no closer
_FOCUS = 4.0  # captures show faces: a view from 60 degrees aside counts an eighth of one from the front
_LEAST = 0.02  # what a view from behind counts, so that the fit stays bounded there


def fitted_harmonics(color: Callable[[Tensor], Tensor], device: torch.device) -> Tensor:
    """Coefficients [N,16,3] by least squares, weighted towards views of the face.

    Args:
        color: of N Gaussians [N,3], seen along a direction [3] of head space, unit length; not cut off at 0.
    """
    directions = spread_directions(_DIRECTIONS, device)
    weights = (_FOCUS * (directions[:, 1] - 1)).exp().clamp_min(_LEAST).sqrt()[:, None]  # +Y looks into the face
    solution = torch.linalg.pinv(weights * sh_basis(directions, MAX_DEGREE)) * weights.T
    harmonics = torch.zeros((), device=device)
    for direction, column in zip(directions, solution.T.float(), strict=True):  # all views at once take much memory
        seen = color(direction.float()) - 0.5
        harmonics = harmonics + column[:, None] * seen[:, None]
    return harmonics
