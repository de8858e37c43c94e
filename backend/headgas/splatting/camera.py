# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""A camera: a pinhole, or parallel rays."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

_FAR_BEHIND = 1e6  # metres: seen from there, a head's points lie in one direction, as float32 has it


@dataclass(frozen=True)
class Camera:
    """An OpenCV camera: x right, y down, z forward, pixel centres at +0.5.

    A pinhole sees a point of camera space at the pixel (fx x / z + cx, fy y / z + cy), an orthographic camera at
    (fx x + cx, fy y + cy).
    """

    viewmat: Tensor  # [4,4] float32, head space (or world) to camera space
    K: Tensor  # [3,3] float32, pixels; fx and fy in pixels per metre when orthographic
    width: int  # pixels
    height: int  # pixels
    orthographic: bool = False

    @property
    def position(self) -> Tensor:
        """Where it looks from, in head space (or world) [3], metres; colours that depend on the view are seen from
        here.

        An orthographic camera's is so far behind it that all directions from there are its own.
        """
        rotation, offset = self.viewmat[:3, :3], self.viewmat[:3, 3]
        position = -rotation.T @ offset
        return position - _FAR_BEHIND * rotation[2] if self.orthographic else position

    def to(self, device: torch.device | str) -> "Camera":
        """The same camera on another device."""
        return replace(self, viewmat=self.viewmat.to(device), K=self.K.to(device))
