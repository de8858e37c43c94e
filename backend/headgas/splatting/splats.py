# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gaussians whose colours are still spherical harmonics: what 3D Gaussian Splatting stores, seen from nowhere yet."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Splats:
    """Gaussians as 3D Gaussian Splatting stores them (Kerbl et al. 2023), float32, on one device."""

    means: Tensor  # [N,3] metres
    quaternions: Tensor  # [N,4] wxyz, any length but zero
    log_scales: Tensor  # [N,3] logarithms of standard deviations in metres
    logits: Tensor  # [N]: sigmoid(logits) are the opacities
    harmonics: Tensor  # [N,K,3], K = (degree+1)²: see `avatars.spherical_harmonics`, colours are sRGB
    antialiased: bool = False  # whether they were trained, and are to be drawn, with antialiased opacities

    def __len__(self) -> int:
        return self.means.shape[0]
