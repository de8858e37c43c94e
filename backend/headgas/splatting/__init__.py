# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gaussians, cameras and their differentiable rasterization."""

from headgas.splatting.camera import Camera
from headgas.splatting.gaussians import Gaussians
from headgas.splatting.rasterize import Rendering, rasterize
from headgas.splatting.threads import get_threads, set_threads

__all__ = ["Camera", "Gaussians", "Rendering", "get_threads", "rasterize", "set_threads"]
