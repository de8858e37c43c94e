# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Blender character becomes a capture."""

from .capture import capture_character
from .operator import HEADGAS_OT_capture_character
from .sampler import sample

classes = (HEADGAS_OT_capture_character,)

__all__ = ["HEADGAS_OT_capture_character", "capture_character", "classes", "sample"]
