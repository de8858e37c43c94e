# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""From other programs' axes into head space and back: places, rotations and view-dependent colours."""

import math
from dataclasses import replace

import torch
from torch import Tensor

from headgas.avatars.spherical_harmonics import sh_basis, spread_directions
from headgas.splatting.rotations import multiplied, quaternion_of
from headgas.splatting.splats import Splats

# The rotation into head space (+X to the subject's left, -Y out of the face, +Z up) of a head that faces the viewer
# upright, whose image has +X to the right
AXES = {
    "opencv": ((1.0, 0.0, 0.0), (0.0, 0.0, 1.0), (0.0, -1.0, 0.0)),  # y down, z away from the viewer: RDF
    "opengl": ((1.0, 0.0, 0.0), (0.0, 0.0, -1.0), (0.0, 1.0, 0.0)),  # y up, z towards the viewer: RUB
    "blender": ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),  # as head space
}

_DIRECTIONS = 64  # any number well above 16 determines how harmonics turn


def into_head_space(splats: Splats, axes: str, scale: float = 1.0) -> Splats:
    """The same splats, read from a file of these `axes`; scale: metres per unit of the file."""
    return _moved(splats, torch.tensor(AXES[axes], dtype=torch.float64), scale)


def out_of_head_space(splats: Splats, axes: str, scale: float = 1.0) -> Splats:
    """The inverse of `into_head_space`."""
    return _moved(splats, torch.tensor(AXES[axes], dtype=torch.float64).T, 1 / scale)


def _moved(splats: Splats, rotation: Tensor, scale: float) -> Splats:
    """Rotated about the origin by [3,3] float64, then scaled."""
    turn = rotation.float()
    return replace(
        splats,
        means=(splats.means @ turn.T) * scale,
        quaternions=multiplied(quaternion_of(rotation).float(), splats.quaternions),
        log_scales=splats.log_scales + math.log(scale),
        harmonics=_turned(splats.harmonics, rotation),
    )


def _turned(harmonics: Tensor, rotation: Tensor) -> Tensor:
    """Coefficients [N,K,3] whose colour in the direction R d is the given ones' in the direction d.

    The functions of each degree span a space that rotations keep: Y(Rᵀd) = D Y(d), and D follows from as many
    directions d as determine it.
    """
    degree = math.isqrt(harmonics.shape[1]) - 1
    directions = spread_directions(_DIRECTIONS)
    before, after = sh_basis(directions @ rotation, degree), sh_basis(directions, degree)  # rows are Y(Rᵀd), Y(d)
    turned = [harmonics[:, :1]]
    for band in range(1, degree + 1):
        columns = slice(band**2, (band + 1) ** 2)
        mixing = torch.linalg.lstsq(after[:, columns], before[:, columns]).solution.float()  # Dᵀ
        turned.append(torch.einsum("jk,nkc->njc", mixing, harmonics[:, columns]))
    return torch.cat(turned, 1)
