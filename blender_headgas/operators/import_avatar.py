# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""File > Import > HeadGaS Avatar, and the same by dropping a file into the window."""

from pathlib import Path

import bpy
from bpy_extras.io_utils import ImportHelper

from ..core.errors import HeadGaSError
from ..core.messages import reportable
from ..rig import build_avatar


class HEADGAS_OT_import_avatar(bpy.types.Operator, ImportHelper):
    """Import a trained head avatar with its control mesh and head bone"""

    bl_idname = "headgas.import_avatar"
    bl_label = "Import HeadGaS Avatar"
    bl_options = {'REGISTER', 'UNDO'}

    filename_ext = ".safetensors"
    filter_glob: bpy.props.StringProperty(default="*.safetensors", options={'HIDDEN'})
    # not remembered: a remembered path would make the menu entry skip the file browser
    filepath: bpy.props.StringProperty(subtype='FILE_PATH', options={'HIDDEN', 'SKIP_SAVE'})
    directory: bpy.props.StringProperty(subtype='DIR_PATH', options={'HIDDEN', 'SKIP_SAVE'})
    files: bpy.props.CollectionProperty(type=bpy.types.OperatorFileListElement, options={'HIDDEN', 'SKIP_SAVE'})

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        return self.invoke_popup(context)

    def execute(self, context: bpy.types.Context) -> set[str]:
        chosen = [Path(self.directory, file.name) for file in self.files if file.name] or [Path(self.filepath)]
        imported = 0
        for path in chosen:
            try:
                build_avatar(context, Path(bpy.path.abspath(str(path))).resolve())
                imported += 1
            except HeadGaSError as error:
                self.report({'ERROR'}, reportable(error))
        return {'FINISHED'} if imported else {'CANCELLED'}


class HEADGAS_FH_avatar(bpy.types.FileHandler):
    """Drops an avatar's file into the 3D view or the outliner"""

    bl_idname = "HEADGAS_FH_avatar"
    bl_label = "HeadGaS Avatar"
    bl_import_operator = "headgas.import_avatar"
    bl_file_extensions = ".safetensors"

    @classmethod
    def poll_drop(cls, context: bpy.types.Context) -> bool:
        return context.area is not None and context.area.type in {'VIEW_3D', 'OUTLINER'}


def draw_import_menu(menu: bpy.types.Menu, _context: bpy.types.Context) -> None:
    """The entry in File > Import."""
    menu.layout.operator(HEADGAS_OT_import_avatar.bl_idname, text="HeadGaS Avatar (.safetensors)")
