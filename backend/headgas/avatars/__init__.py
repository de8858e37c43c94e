# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Avatars: models that turn an expression into Gaussians, and the files that hold them."""

from headgas.avatars.avatar import Avatar
from headgas.avatars.checkpoint import Checkpoint, load_avatar, read_header, save_avatar
from headgas.avatars.expression_space import ExpressionSpace
from headgas.avatars.gaussian_head import GaussianHead, GaussianHeadConfig
from headgas.avatars.headgas import HeadGaS, HeadGaSConfig
from headgas.avatars.modes import Modes, ModesConfig
from headgas.avatars.splats import SplatAvatar

__all__ = [
    "Avatar",
    "Checkpoint",
    "ExpressionSpace",
    "GaussianHead",
    "GaussianHeadConfig",
    "HeadGaS",
    "HeadGaSConfig",
    "Modes",
    "ModesConfig",
    "SplatAvatar",
    "load_avatar",
    "read_header",
    "save_avatar",
]
