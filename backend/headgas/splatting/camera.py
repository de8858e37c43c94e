# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""A pinhole camera."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Camera:
    """An OpenCV pinhole camera: x right, y down, z forward, pixel centres at +0.5."""

    viewmat: Tensor  # [4,4] float32, head space (or world) to camera space
    K: Tensor  # [3,3] float32, pixels
    width: int  # pixels
    height: int  # pixels

    @property
    def position(self) -> Tensor:
        """The camera's centre in head space (or world) [3], metres."""
        return -self.viewmat[:3, :3].T @ self.viewmat[:3, 3]

    def to(self, device: torch.device | str) -> "Camera":
        """The same camera on another device."""
        return Camera(self.viewmat.to(device), self.K.to(device), self.width, self.height)
