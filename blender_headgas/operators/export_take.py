# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""File > Export > HeadGaS Take: what an avatar's channels and head do over the scene's frames, as CSV."""

from pathlib import Path

import bpy
from bpy_extras.io_utils import ExportHelper

from ..core.takes import write_table
from ..rig import avatar_of
from ..rig.takes import sampled_take
from .reporting import reported
from .selection import has_channels


class HEADGAS_OT_export_take(bpy.types.Operator, ExportHelper):
    """Export the active avatar's motion over the scene's frames as CSV, as Live Link Face writes it"""

    bl_idname = "headgas.export_take"
    bl_label = "Export HeadGaS Take"
    bl_options = {'REGISTER'}

    filename_ext = ".csv"
    filter_glob: bpy.props.StringProperty(default="*.csv", options={'HIDDEN'})

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return has_channels(cls, context)

    @reported
    def execute(self, context: bpy.types.Context) -> set[str]:
        frames = range(context.scene.frame_start, context.scene.frame_end + 1)
        path = Path(bpy.path.abspath(self.filepath))
        take = sampled_take(context, avatar_of(context.object), frames)
        write_table(path, take)
        self.report({'INFO'}, f"{len(frames)} frames in {path}")
        return {'FINISHED'}


def draw_export_take_menu(menu: bpy.types.Menu, _context: bpy.types.Context) -> None:
    """The entry in File > Export."""
    menu.layout.operator(HEADGAS_OT_export_take.bl_idname, text="HeadGaS Take (.csv)")
