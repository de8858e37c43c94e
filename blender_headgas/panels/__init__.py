# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the user sees."""

from .avatar import HEADGAS_PT_avatar_object, HEADGAS_PT_avatar_sidebar, HEADGAS_UL_channels
from .mapping import HEADGAS_MT_mapping_presets, HEADGAS_PT_mapping, HEADGAS_UL_mapping
from .preferences import HeadGaSPreferences
from .render import HEADGAS_PT_render

classes = (
    HeadGaSPreferences,
    HEADGAS_UL_channels,
    HEADGAS_PT_avatar_object,
    HEADGAS_PT_avatar_sidebar,
    HEADGAS_MT_mapping_presets,
    HEADGAS_UL_mapping,
    HEADGAS_PT_mapping,
    HEADGAS_PT_render,
)
