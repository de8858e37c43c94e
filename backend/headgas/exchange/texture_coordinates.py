# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Triangles over a texture: from a mesh in Wavefront's OBJ format, and which pixels they cover."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from headgas.errors import HeadGaSError

f32 = np.float32
_EPSILON = f32(1e-8)  # what PyTorch3D adds to a triangle's area


def read_textured(path: Path) -> tuple[Tensor, Tensor]:
    """The triangles [F,3] int64 and their texture coordinates [F,3,2], from the lines `vt u v` and `f v/vt …`.

    Raises:
        HeadGaSError: the file cannot be read, or a face is no triangle with texture coordinates.
    """
    coordinates: list[list[float]] = []
    corners: list[list[list[int]]] = []
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise HeadGaSError(f"{path}: cannot be read ({error.strerror or error}).") from None
    for number, line in enumerate(lines, 1):
        words = line.split()
        try:
            match words:
                case ["vt", u, v, *_]:
                    coordinates.append([float(u), float(v)])
                case ["f", a, b, c]:
                    corners.append([[int(part) - 1 for part in corner.split("/")[:2]] for corner in (a, b, c)])
                    if any(len(corner) < 2 for corner in corners[-1]):
                        raise ValueError
                case ["f", *_]:
                    raise ValueError
        except ValueError:
            raise HeadGaSError(f"{path}: line {number} is no triangle with texture coordinates: {line[:80]}") from None
    faces = torch.tensor(corners).view(-1, 3, 2)
    if not len(faces) or int(faces.min()) < 0 or int(faces[..., 1].max()) >= len(coordinates):
        raise HeadGaSError(f"{path}: its triangles name texture coordinates that it has not.")
    return faces[..., 0].contiguous(), torch.tensor(coordinates)[faces[..., 1]]


def covered(coordinates: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """The pixels of a texture of size², row by row from its top (v = 1), whose centres lie inside a triangle: the
    number of the first such triangle [n], and where the centre is in it [n,3].

    As PyTorch3D's rasterize_meshes computes it (rasterize_meshes.cu and geometry_utils.cuh), in single precision,
    since what is numbered by these pixels must be found again: barycentric coordinates above 0, of areas that 1e-8 is
    added to.

    Args:
        coordinates: [F,3,2] u and v.
    """
    uv = coordinates.numpy().astype(f32)
    x, y = -(2 * uv[..., 0] - 1), 2 * uv[..., 1] - 1  # its screen has x to the left and y up
    centres = f32(-1) + (2 * np.arange(size - 1, -1, -1, dtype=f32) + 1) / f32(size)
    owner = np.full((size, size), -1)
    where = np.zeros((size, size, 3), f32)
    for number, (xs, ys) in enumerate(zip(x, y, strict=True)):
        columns = np.flatnonzero((centres >= xs.min()) & (centres <= xs.max()))
        rows = np.flatnonzero((centres >= ys.min()) & (centres <= ys.max()))
        area = _edge(xs[2], ys[2], xs, ys, 0, 1) + _EPSILON
        if not len(columns) or not len(rows) or abs(area) <= _EPSILON:
            continue
        px, py = centres[columns][None], centres[rows][:, None]
        inside = np.stack([_edge(px, py, xs, ys, *corners) / area for corners in ((1, 2), (2, 0), (0, 1))], -1)
        window = np.ix_(rows, columns)
        new = (inside > 0).all(-1) & (owner[window] < 0)
        owner[window] = np.where(new, number, owner[window])
        where[window] = np.where(new[..., None], inside, where[window])
    found = owner >= 0
    return torch.from_numpy(owner[found]), torch.from_numpy(where[found])


def _edge(px: np.ndarray, py: np.ndarray, xs: np.ndarray, ys: np.ndarray, a: int, b: int) -> np.ndarray:
    """Twice the signed area of the triangle of a point and an edge."""
    return (px - xs[a]) * (ys[b] - ys[a]) - (py - ys[a]) * (xs[b] - xs[a])
