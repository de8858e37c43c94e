# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The avatar in Blender's terms: control mesh, shape keys and bones, and what they say at one moment."""

from . import links, live
from .builder import build_avatar
from .evaluated import (
    avatar_channels,
    beyond_seen,
    expression_in,
    expression_of,
    header_and_time,
    header_of,
    mapping_of,
    posed_avatars,
    problems,
    visible_avatars,
)
from .face import HeadGaSFaceFilter, register_face, unregister_face
from .hiding import hide_mesh, hiding_modifier, is_hidden, register_hiding, unregister_hiding
from .live import HeadGaSLiveSettings
from .photographs import HeadGaSComparison, register_comparisons, unregister_comparisons
from .review import HeadGaSMappingReview, HeadGaSMappingRow, register_review, unregister_review
from .settings import HeadGaSAvatarSettings, avatar_of, avatar_path, avatars_in, register_settings, unregister_settings

classes = (
    HeadGaSAvatarSettings,
    HeadGaSFaceFilter,
    HeadGaSLiveSettings,
    HeadGaSComparison,
    HeadGaSMappingRow,
    HeadGaSMappingReview,
)

__all__ = [
    "avatar_channels",
    "avatar_of",
    "avatar_path",
    "avatars_in",
    "beyond_seen",
    "build_avatar",
    "classes",
    "expression_in",
    "expression_of",
    "header_and_time",
    "header_of",
    "hide_mesh",
    "hiding_modifier",
    "is_hidden",
    "mapping_of",
    "posed_avatars",
    "problems",
    "register",
    "unregister",
    "visible_avatars",
]


def register() -> None:
    """Gives every object its avatar settings."""
    register_settings()
    register_hiding()
    register_face()
    register_review()
    links.register()
    live.register()
    register_comparisons()


def unregister() -> None:
    """Takes them away."""
    unregister_comparisons()
    live.unregister()
    links.unregister()
    unregister_face()
    unregister_review()
    unregister_hiding()
    unregister_settings()
