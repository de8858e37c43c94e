# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Gaussians of one frame."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Gaussians:
    """Anisotropic 3D Gaussians, float32, on one device."""

    means: Tensor  # [N,3] metres
    quaternions: Tensor  # [N,4] wxyz, any length but zero
    scales: Tensor  # [N,3] standard deviations, metres
    opacities: Tensor  # [N] in 0..1
    colors: Tensor  # [N,C]

    def __len__(self) -> int:
        return self.means.shape[0]
