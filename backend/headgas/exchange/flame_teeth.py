# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The teeth that GaussianAvatars adds to FLAME: two rows, made from the ring around the lips.

Source: Qian et al., "GaussianAvatars", CVPR 2024, and its published code (FlameHead.add_teeth): which points it takes,
how it moves them, and the order of its triangles, to which Gaussians are bound by number.
"""

from dataclasses import replace

import torch
from torch import Tensor

from headgas.avatars.flame import Flame
from headgas.errors import HeadGaSError

TRIANGLES = 168
_UPPER_LIP = (1713, 1715, 1716, 1735, 1696, 1694, 1657, 3543, 2774, 2811, 2813, 2850, 2833, 2832, 2830)
_LOWER_LIP = (1576, 1577, 1773, 1774, 1795, 1802, 1865, 3503, 2948, 2905, 2898, 2881, 2880, 2713, 2712)
_COLUMNS = len(_UPPER_LIP)
_NECK, _JAW = 1, 2
# Bands of quadrangles between two rows of points, by the rows' numbers, and how each half of a band is cut in two. The
# rows: root and edge in front, then behind; the upper teeth's are 0, 2, 4, 5 and the lower ones' 1, 3, 6, 7.
_BANDS = ((0, 2, "pq"), (4, 5, "rs"), (5, 2, "sr"), (3, 1, "qp"), (6, 7, "pq"), (7, 3, "qp"))
# Corners of both triangles: (row 0 or 1, column's step)
_CUTS = {
    "p": (((0, 0), (1, 1), (1, 0)), ((0, 0), (0, 1), (1, 1))),
    "q": (((0, 0), (0, 1), (1, 0)), ((0, 1), (1, 1), (1, 0))),
    "r": (((0, 0), (1, 0), (1, 1)), ((0, 0), (1, 1), (0, 1))),
    "s": (((0, 0), (1, 0), (0, 1)), ((0, 1), (1, 0), (1, 1))),
}


def with_teeth(flame: Flame) -> Flame:
    """FLAME with 120 points and 168 triangles more; the upper teeth follow the neck, the lower ones the jaw.

    Raises:
        HeadGaSError: the model has not the points of FLAME's lips.
    """
    count, joints = flame.weights.shape
    if count <= max(_UPPER_LIP + _LOWER_LIP):
        raise HeadGaSError(f"{flame.path}: has {count} points; the avatar's teeth need the 5023 of FLAME's head.")
    upper, lower = flame.template[list(_UPPER_LIP)], flame.template[list(_LOWER_LIP)]
    height = float((upper - lower).norm(dim=1).mean())
    middle = (upper + lower) / 2
    middle[:, 1] = middle[:, 1].mean()
    middle[:, 2] -= 1.5 * height

    def moved(row: Tensor, y: float, z: float = 0.0) -> Tensor:
        return row + height * torch.tensor([0.0, y, z])

    upper_edge, lower_edge = moved(middle, 0.1), moved(middle, -0.1, -0.4)
    upper_root, lower_root = moved(upper_edge, 2), moved(lower_edge, -2)
    front = [upper_root, lower_root, upper_edge, lower_edge]
    behind = [moved(row, 0, -1) for row in (upper_root, upper_edge, lower_root, lower_edge)]
    points = torch.cat(front + behind)
    lips = (flame.shapes[list(_UPPER_LIP)] + flame.shapes[list(_LOWER_LIP)]) / 2
    lips[..., 300:] = 0  # identities move the teeth, expressions do not
    weights = torch.zeros(8, _COLUMNS, joints)
    weights[[0, 2, 4, 5], :, _NECK] = 1
    weights[[1, 3, 6, 7], :, _JAW] = 1
    added = len(points)
    lids = flame.eyelids
    return replace(
        flame,
        template=torch.cat([flame.template, points]),
        shapes=torch.cat([flame.shapes, lips.repeat(8, 1, 1)]),
        pose_shapes=torch.nn.functional.pad(flame.pose_shapes, (0, 0, 0, added)),
        regressor=torch.nn.functional.pad(flame.regressor, (0, added)),
        weights=torch.cat([flame.weights, weights.flatten(0, 1)]),
        faces=torch.cat([flame.faces, count + _triangles()]),
        eyelids=None if lids is None else torch.nn.functional.pad(lids, (0, 0, 0, added)),
    )


def _triangles() -> Tensor:
    """[168,3] numbers among the added points."""
    triangles = []
    for first, second, cuts in _BANDS:
        for column in range(_COLUMNS - 1):
            cut = _CUTS[cuts[column >= (_COLUMNS - 1) // 2]]
            rows = first * _COLUMNS + column, second * _COLUMNS + column
            triangles += [[rows[row] + step for row, step in triangle] for triangle in cut]
    return torch.tensor(triangles)
