# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the user can do."""

import bpy

from .bake import HEADGAS_OT_bake, HEADGAS_OT_unbake
from .expression import HEADGAS_OT_reset_expression
from .import_avatar import HEADGAS_FH_avatar, HEADGAS_OT_import_avatar, draw_import_menu
from .live import HEADGAS_OT_record_live, HEADGAS_OT_start_live, HEADGAS_OT_stop_live
from .service import HEADGAS_OT_stop_backend, HEADGAS_OT_test_backend
from .transfer import HEADGAS_OT_transfer_performance, HEADGAS_OT_unlink_performance

classes = (
    HEADGAS_OT_import_avatar,
    HEADGAS_FH_avatar,
    HEADGAS_OT_reset_expression,
    HEADGAS_OT_start_live,
    HEADGAS_OT_stop_live,
    HEADGAS_OT_record_live,
    HEADGAS_OT_bake,
    HEADGAS_OT_unbake,
    HEADGAS_OT_transfer_performance,
    HEADGAS_OT_unlink_performance,
    HEADGAS_OT_test_backend,
    HEADGAS_OT_stop_backend,
)


def register() -> None:
    """Adds the menu entries."""
    bpy.types.TOPBAR_MT_file_import.append(draw_import_menu)


def unregister() -> None:
    """Removes them."""
    bpy.types.TOPBAR_MT_file_import.remove(draw_import_menu)
