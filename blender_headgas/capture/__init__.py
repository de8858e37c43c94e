# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Blender character becomes a capture."""

from .settings import HeadGaSCaptureChannel, HeadGaSCaptureSettings, register_settings, unregister_settings

classes = (HeadGaSCaptureChannel, HeadGaSCaptureSettings)

__all__ = ["HeadGaSCaptureChannel", "HeadGaSCaptureSettings", "classes", "register", "unregister"]


def register() -> None:
    """Gives every scene its capture settings."""
    register_settings()


def unregister() -> None:
    """Takes them away."""
    unregister_settings()
