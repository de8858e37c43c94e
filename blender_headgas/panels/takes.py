# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes in the 3D view's sidebar: motion in, motion out."""

import bpy

from .sidebar import AvatarPart


class HEADGAS_PT_takes(AvatarPart):
    """Recorded motion of the active avatar"""

    bl_idname = "HEADGAS_PT_takes"
    bl_label = "Takes"

    def draw(self, _context: bpy.types.Context) -> None:
        column = self.layout.column(align=True)
        column.operator("headgas.import_take", text="Import Take…", icon='IMPORT')
        column.operator("headgas.export_take", text="Export Take…", icon='EXPORT')
