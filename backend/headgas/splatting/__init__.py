# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gaussians, cameras and their differentiable rasterization."""

from headgas.splatting.camera import Camera
from headgas.splatting.gaussians import Gaussians

__all__ = ["Camera", "Gaussians"]
