# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gaussian splats as Blender 5.3's point clouds hold them, out of the backend's bytes."""

from typing import NamedTuple

import numpy as np

from .errors import HeadGaSError


class Splats(NamedTuple):
    """N splats in the world, float32."""

    positions: np.ndarray  # [N,3] metres
    rotations: np.ndarray  # [N,4] unit quaternions wxyz
    scales: np.ndarray  # [N,3] standard deviations, metres
    base: np.ndarray  # [N,4]: the first harmonic of red, green and blue, and the opacity
    harmonics: np.ndarray  # [K-1,N,3]: the other harmonics


def split_splats(data: bytes, count: int, harmonics: int) -> Splats:
    """Views of the backend's bytes (`splats` in docs/formats.md), of `count` splats of K = `harmonics`.

    Raises:
        HeadGaSError: there are more or fewer bytes.
    """
    channels = (3, 4, 3, 4, *[3] * (harmonics - 1))
    if len(data) != 4 * count * sum(channels):
        raise HeadGaSError(f"The backend sent {len(data)} bytes for {count} splats", "Install both from one release")
    numbers = np.frombuffer(data, "<f4")
    ends = np.cumsum(channels) * count
    positions, rotations, scales, base, *rest = (part.reshape(count, -1) for part in np.split(numbers, ends[:-1]))
    return Splats(positions, rotations, scales, base, np.stack(rest) if rest else np.empty((0, count, 3), np.float32))
