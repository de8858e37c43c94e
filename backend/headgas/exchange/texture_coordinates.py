# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Texture coordinates of a triangle mesh in Wavefront's OBJ format: its lines `vt u v` and `f v/vt …`."""

from pathlib import Path

import torch
from torch import Tensor

from headgas.errors import HeadGaSError


def read_texture_coordinates(path: Path) -> Tensor:
    """[F,3,2] of the triangles, in the file's order.

    Raises:
        HeadGaSError: the file cannot be read, or a face is no triangle with texture coordinates.
    """
    coordinates: list[list[float]] = []
    corners: list[list[int]] = []
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
                    corners.append([int(corner.split("/", 2)[1]) - 1 for corner in (a, b, c)])
                case ["f", *_]:
                    raise ValueError
        except (ValueError, IndexError):
            raise HeadGaSError(f"{path}: line {number} is no triangle with texture coordinates: {line[:80]}") from None
    faces = torch.tensor(corners).view(-1, 3)
    if not len(faces) or int(faces.min()) < 0 or int(faces.max()) >= len(coordinates):
        raise HeadGaSError(f"{path}: its triangles name texture coordinates that it has not.")
    return torch.tensor(coordinates)[faces]
