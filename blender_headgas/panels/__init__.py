# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the user sees."""

from . import pictures
from .avatar import HEADGAS_PT_avatar_object, HEADGAS_PT_avatar_sidebar
from .backend import HEADGAS_PT_backend
from .capture import HEADGAS_PT_capture, HEADGAS_UL_capture_channels
from .face import HEADGAS_PT_face, HEADGAS_UL_face
from .mapping import HEADGAS_MT_mapping_presets, HEADGAS_PT_mapping, HEADGAS_UL_mapping
from .motion import HEADGAS_PT_live, HEADGAS_PT_motion, HEADGAS_PT_photographs
from .preferences import HeadGaSPreferences
from .render import HEADGAS_PT_compositing, HEADGAS_PT_passes, HEADGAS_PT_render
from .takes import HEADGAS_PT_takes
from .training import HEADGAS_PT_runs, HEADGAS_PT_training
from .viewport import HEADGAS_PT_viewport

classes = (
    HeadGaSPreferences,
    HEADGAS_PT_avatar_object,
    HEADGAS_PT_avatar_sidebar,
    HEADGAS_UL_face,
    HEADGAS_PT_face,
    HEADGAS_MT_mapping_presets,
    HEADGAS_UL_mapping,
    HEADGAS_PT_mapping,
    HEADGAS_PT_takes,
    HEADGAS_PT_live,
    HEADGAS_PT_motion,
    HEADGAS_PT_photographs,
    HEADGAS_PT_backend,
    HEADGAS_PT_render,
    HEADGAS_UL_capture_channels,
    HEADGAS_PT_capture,
    HEADGAS_PT_training,
    HEADGAS_PT_runs,
    HEADGAS_PT_viewport,
    HEADGAS_PT_passes,
    HEADGAS_PT_compositing,
)
unregister = pictures.close
