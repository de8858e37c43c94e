# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the user can do."""

import bpy

from .expression import HEADGAS_OT_reset_expression
from .import_avatar import HEADGAS_FH_avatar, HEADGAS_OT_import_avatar, draw_import_menu
from .map_bone import HEADGAS_OT_map_bone
from .map_character import (
    HEADGAS_OT_create_drivers,
    HEADGAS_OT_edit_review,
    HEADGAS_OT_match_character,
    HEADGAS_OT_remove_drivers,
)
from .mapping_files import (
    HEADGAS_OT_add_mapping_preset,
    HEADGAS_OT_clear_mapping,
    HEADGAS_OT_load_mapping,
    HEADGAS_OT_save_mapping,
)
from .service import HEADGAS_OT_stop_backend, HEADGAS_OT_test_backend

classes = (
    HEADGAS_OT_import_avatar,
    HEADGAS_FH_avatar,
    HEADGAS_OT_reset_expression,
    HEADGAS_OT_match_character,
    HEADGAS_OT_create_drivers,
    HEADGAS_OT_remove_drivers,
    HEADGAS_OT_edit_review,
    HEADGAS_OT_map_bone,
    HEADGAS_OT_load_mapping,
    HEADGAS_OT_save_mapping,
    HEADGAS_OT_clear_mapping,
    HEADGAS_OT_add_mapping_preset,
    HEADGAS_OT_test_backend,
    HEADGAS_OT_stop_backend,
)


def register() -> None:
    """Adds the menu entries."""
    bpy.types.TOPBAR_MT_file_import.append(draw_import_menu)


def unregister() -> None:
    """Removes them."""
    bpy.types.TOPBAR_MT_file_import.remove(draw_import_menu)
