# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where training may start: points on the tracked face, and on a skull behind it."""

import numpy as np
from scipy.spatial import cKDTree  # type: ignore[attr-defined]  # scipy has no stubs

_PER_LANDMARK = 8
_NEIGHBOURS = 3
_SKULL = 3000  # points of the whole ellipsoid
_RADII = np.array((0.075, 0.095, 0.115))  # metres: half of an adult head's width, length and height
_MIDDLE = np.array((0.0, 0.005, 0.025))  # metres in head space
_BEHIND = 0.03  # metres from the face's points: nearer, they are surface enough


def surface_points(rest: np.ndarray) -> np.ndarray:
    """Points [n,3] float32 in head space around a face at rest [478,3]."""
    generator = np.random.default_rng(0)
    tree = cKDTree(rest)
    _, near = tree.query(rest, _NEIGHBOURS + 1)
    shares = generator.dirichlet(np.ones(_NEIGHBOURS + 1), (len(rest), _PER_LANDMARK))
    face = np.einsum("nks,nsj->nkj", shares, rest[near]).reshape(-1, 3)
    directions = generator.normal(size=(_SKULL, 3))
    skull = directions / np.linalg.norm(directions, axis=1, keepdims=True) * _RADII + _MIDDLE
    in_front = (skull[:, 1] < 0) & (skull[:, 2] < rest[:, 2].max())
    skull = skull[~in_front & (tree.query(skull)[0] > _BEHIND)]
    return np.concatenate([face, skull]).astype(np.float32)
