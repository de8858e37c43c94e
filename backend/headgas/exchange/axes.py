# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""From other programs' axes into head space and back, and into a world: places, rotations, view-dependent colours."""

import math
from dataclasses import replace

import torch
from torch import Tensor

from headgas.avatars.spherical_harmonics import turned_harmonics
from headgas.errors import HeadGaSError
from headgas.splatting.rotations import products, quaternion_of
from headgas.splatting.splats import Splats

# The rotation into head space (+X to the subject's left, -Y out of the face, +Z up) of a head that faces the viewer
# upright, whose image has +X to the right
AXES = {
    "opencv": ((1.0, 0.0, 0.0), (0.0, 0.0, 1.0), (0.0, -1.0, 0.0)),  # y down, z away from the viewer: RDF
    "opengl": ((1.0, 0.0, 0.0), (0.0, 0.0, -1.0), (0.0, 1.0, 0.0)),  # y up, z towards the viewer: RUB
    "blender": ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),  # as head space
}


def into_head_space(splats: Splats, axes: str, scale: float = 1.0) -> Splats:
    """The same splats, read from a file of these `axes`; scale: metres per unit of the file."""
    return _moved(splats, torch.tensor(AXES[axes], dtype=torch.float64), scale)


def out_of_head_space(splats: Splats, axes: str, scale: float = 1.0) -> Splats:
    """The inverse of `into_head_space`."""
    return _moved(splats, torch.tensor(AXES[axes], dtype=torch.float64).T, 1 / scale)


def into_world(splats: Splats, transform: Tensor) -> Splats:
    """The same splats where a transform [4,4], head space to world, has them.

    Raises:
        HeadGaSError: it does more than to turn, move and scale evenly.
    """
    linear = transform[:3, :3].double()
    scale = linear.det().abs().item() ** (1 / 3)
    rotation = linear / max(scale, 1e-12)
    if linear.det() <= 0 or not torch.allclose(rotation @ rotation.T, torch.eye(3).double(), atol=1e-3):
        raise HeadGaSError(
            "The head is scaled unevenly or mirrored, which splats with view-dependent colours cannot be.",
            "Give its object and bones a scale that is the same along all axes.",
        )
    placed = _moved(splats, rotation, scale)
    return replace(placed, means=placed.means + transform[:3, 3].to(placed.means))


def _moved(splats: Splats, rotation: Tensor, scale: float) -> Splats:
    """Rotated about the origin by [3,3] float64, then scaled."""
    turn = rotation.float()
    return replace(
        splats,
        means=(splats.means @ turn.T) * scale,
        quaternions=products(quaternion_of(rotation).float(), splats.quaternions),
        log_scales=splats.log_scales + math.log(scale),
        harmonics=turned_harmonics(splats.harmonics, rotation),
    )
