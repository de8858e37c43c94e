# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The avatar in Blender's terms: control mesh, shape keys and head bone, and what they say at one moment."""

from . import links, live
from .builder import build_avatar
from .evaluated import expression_of, posed_avatars
from .live import HeadGaSLiveSettings
from .photographs import HeadGaSComparison, register_comparisons, unregister_comparisons
from .settings import HeadGaSAvatarSettings, avatar_of, avatar_path, register_settings, unregister_settings

classes = (HeadGaSAvatarSettings, HeadGaSLiveSettings, HeadGaSComparison)

__all__ = [
    "avatar_of",
    "avatar_path",
    "build_avatar",
    "classes",
    "expression_of",
    "posed_avatars",
    "register",
    "unregister",
]


def register() -> None:
    """Gives every object its avatar settings."""
    register_settings()
    links.register()
    live.register()
    register_comparisons()


def unregister() -> None:
    """Takes them away."""
    unregister_comparisons()
    live.unregister()
    links.unregister()
    unregister_settings()
