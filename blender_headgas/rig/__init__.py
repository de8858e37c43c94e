# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The avatar in Blender's terms: control mesh, shape keys and head bone, and what they say at one moment."""

from . import links
from .builder import build_avatar
from .evaluated import expression_of, posed_avatars
from .review import HeadGaSMappingReview, HeadGaSMappingRow, register_review, unregister_review
from .settings import HeadGaSAvatarSettings, avatar_of, avatar_path, register_settings, unregister_settings

classes = (HeadGaSAvatarSettings, HeadGaSMappingRow, HeadGaSMappingReview)

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
    register_review()
    links.register()


def unregister() -> None:
    """Takes them away."""
    links.unregister()
    unregister_review()
    unregister_settings()
