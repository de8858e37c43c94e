# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the user sees."""

from .avatar import HEADGAS_PT_avatar_object, HEADGAS_PT_avatar_sidebar, HEADGAS_UL_channels
from .motion import HEADGAS_PT_live, HEADGAS_PT_motion, HEADGAS_PT_photographs
from .preferences import HeadGaSPreferences
from .render import HEADGAS_PT_render

classes = (
    HeadGaSPreferences,
    HEADGAS_UL_channels,
    HEADGAS_PT_avatar_object,
    HEADGAS_PT_avatar_sidebar,
    HEADGAS_PT_live,
    HEADGAS_PT_motion,
    HEADGAS_PT_photographs,
    HEADGAS_PT_render,
)
