# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Unit quaternions wxyz, many at once: what takes need of rotations."""

import numpy as np

_TINY = 1e-12


def multiplied(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """left ⊗ right, both [...,4]: first the turn `right`, then the turn `left`."""
    w, x, y, z = np.moveaxis(left, -1, 0)
    a, b, c, d = np.moveaxis(right, -1, 0)
    return np.stack(
        [
            w * a - x * b - y * c - z * d,
            w * b + x * a + y * d - z * c,
            w * c - x * d + y * a + z * b,
            w * d + x * c - y * b + z * a,
        ],
        -1,
    )


def inverse(quaternions: np.ndarray) -> np.ndarray:
    """The turns [...,4] back."""
    return quaternions * np.array([1, -1, -1, -1], quaternions.dtype)


def about(axis: int, angles: np.ndarray) -> np.ndarray:
    """Turns [...,4] about one axis (0, 1, 2: X, Y, Z) by `angles` [...], radians."""
    quaternions = np.zeros((*np.shape(angles), 4))
    quaternions[..., 0], quaternions[..., 1 + axis] = np.cos(angles / 2), np.sin(angles / 2)
    return quaternions


def from_vectors(vectors: np.ndarray) -> np.ndarray:
    """Rotation vectors [...,3] (axis times angle in radians) become quaternions [...,4]."""
    angles = np.linalg.norm(vectors, axis=-1, keepdims=True)
    # sin(a/2)/a, whose limit at 0 is 1/2
    return np.concatenate([np.cos(angles / 2), vectors * np.sinc(angles / (2 * np.pi)) / 2], -1)


def from_matrices(matrices: np.ndarray) -> np.ndarray:
    """Rotation matrices [T,3,3] become quaternions [T,4]; what scales or shears them a little is ignored.

    The quaternion is the eigenvector to the largest eigenvalue of a symmetric 4×4 matrix: Bar-Itzhack, "New method for
    extracting the quaternion from a rotation matrix", 2000.
    """
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = (np.moveaxis(row, -1, 0) for row in np.moveaxis(matrices, 1, 0))
    symmetric = np.array(
        [
            [xx + yy + zz, zy - yz, xz - zx, yx - xy],
            [zy - yz, xx - yy - zz, yx + xy, xz + zx],
            [xz - zx, yx + xy, yy - xx - zz, zy + yz],
            [yx - xy, xz + zx, zy + yz, zz - xx - yy],
        ]
    )
    quaternions = np.linalg.eigh(np.moveaxis(symmetric, -1, 0))[1][..., -1]
    return np.where(quaternions[:, :1] < 0, -quaternions, quaternions)


def to_matrices(quaternions: np.ndarray) -> np.ndarray:
    """The rotation matrices [...,3,3] of unit quaternions [...,4]."""
    w, x, y, z = np.moveaxis(quaternions, -1, 0)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.stack([np.stack(row, -1) for row in rows], -2)


def continuous(quaternions: np.ndarray) -> np.ndarray:
    """The same turns [T,4], each with the sign that is nearer to the one before: q and -q are one turn."""
    flips = np.sum(quaternions[1:] * quaternions[:-1], -1) < 0
    signs = np.where(np.concatenate([[0], np.cumsum(flips)]) % 2, -1, 1)
    return quaternions * signs[:, None].astype(quaternions.dtype)


def slerped(first: np.ndarray, second: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The turns [T,4] that lie `weights` [T] of the shorter way from `first` [T,4] to `second` [T,4]."""
    cosines = np.sum(first * second, -1)
    second = np.where(cosines[:, None] < 0, -second, second)
    angles = np.arccos(np.clip(np.abs(cosines), 0, 1))
    near = angles < 1e-6  # the sines would vanish; the chord is the arc
    sines = np.where(near, 1, np.sin(angles))
    here = np.where(near, 1 - weights, np.sin((1 - weights) * angles) / sines)
    there = np.where(near, weights, np.sin(weights * angles) / sines)
    return normalised(here[:, None] * first + there[:, None] * second)


def normalised(quaternions: np.ndarray) -> np.ndarray:
    """Quaternions [...,4] of length 1; those of length 0 become no turn."""
    lengths = np.linalg.norm(quaternions, axis=-1, keepdims=True)
    none = np.array([1, 0, 0, 0], quaternions.dtype)
    return np.where(lengths > _TINY, quaternions / np.maximum(lengths, _TINY), none)
