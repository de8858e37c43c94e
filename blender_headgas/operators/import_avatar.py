# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""File > Import > HeadGaS Avatar, and the same by dropping a file into the window.

Files and folders of other programs are converted by the backend first, beside themselves.
"""

from pathlib import Path

import bpy
from bpy_extras.io_utils import ImportHelper

from .. import client
from ..client.launch import flame_model, launch_settings
from ..core.errors import HeadGaSError
from ..core.messages import reportable
from ..rig import build_avatar

_OWN = ".safetensors"
_FOREIGN = (".ply", ".spz", ".splat", ".zip", ".pth", ".npy")  # what the backend reads
_PARTS = ("cfg_args",)  # files of folders that it reads, known by their names


class HEADGAS_OT_import_avatar(bpy.types.Operator, ImportHelper):
    """Import a head avatar with its control mesh and bones"""

    bl_idname = "headgas.import_avatar"
    bl_label = "Import Avatar"
    bl_options = {'REGISTER', 'UNDO'}

    filename_ext = _OWN
    filter_glob: bpy.props.StringProperty(
        default=";".join([*(f"*{suffix}" for suffix in (_OWN, *_FOREIGN)), *_PARTS]), options={'HIDDEN'}, maxlen=255
    )
    # not remembered: a remembered path would make the menu entry skip the file browser
    filepath: bpy.props.StringProperty(subtype='FILE_PATH', options={'HIDDEN', 'SKIP_SAVE'})
    directory: bpy.props.StringProperty(subtype='DIR_PATH', options={'HIDDEN', 'SKIP_SAVE'})
    files: bpy.props.CollectionProperty(type=bpy.types.OperatorFileListElement, options={'HIDDEN', 'SKIP_SAVE'})
    axes: bpy.props.EnumProperty(
        name="Axes",
        description="How a head lies in a file of another program, which does not say so itself",
        items=[
            ('AUTO', "Automatic", "As files of this format usually have it"),
            ('OPENCV', "Y Down, Z Forward", "Most PLY and .splat files"),
            ('OPENGL', "Y Up, Z Back", "Most SPZ files"),
            ('BLENDER', "Z Up, -Y Front", "As Blender has it"),
        ],
    )
    scale: bpy.props.FloatProperty(
        name="Scale", description="Metres per unit in a file of another program", default=1.0, min=1e-4, soft_max=100.0
    )

    # No file paths: their buttons would open a second file browser, which Blender refuses
    flame: bpy.props.StringProperty(
        name="FLAME Model",
        description="Path of your generic_model.pkl of FLAME, which avatars of some other programs are bound to; "
        "empty to use the one in the preferences",
    )
    shape: bpy.props.StringProperty(
        name="Head Shape",
        description="Path of a file that says whose head it is, where FLAME is needed: a .frame of metrical-tracker, "
        "an .npz with 'shape', or an .npy; empty for the mean head",
        options={'SKIP_SAVE'},
    )

    mapping: bpy.props.StringProperty(
        name="Mapping",
        description="Path of a mapping file: what it takes in, for example ARKit's names, become the channels; "
        "empty to have the avatar's own parameters",
        options={'SKIP_SAVE'},
    )

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        return self.invoke_popup(context)

    def execute(self, context: bpy.types.Context) -> set[str]:
        chosen = [Path(self.directory, file.name) for file in self.files if file.name] or [Path(self.filepath)]
        mapping = Path(bpy.path.abspath(self.mapping)).resolve() if self.mapping else None
        imported = 0
        for path in chosen:
            try:
                build_avatar(context, self._own(Path(bpy.path.abspath(str(path))).resolve()), mapping)
                imported += 1
            except (HeadGaSError, client.BackendBug) as error:
                self.report({'ERROR'}, reportable(error))
        return {'FINISHED'} if imported else {'CANCELLED'}

    def _own(self, path: Path) -> Path:
        """The file itself where it is one of ours; else what the backend makes of it, beside it."""
        if path.suffix.lower() == _OWN or not path.exists():
            return path
        if bpy.app.is_job_running('RENDER'):
            raise HeadGaSError(f"{path} is of another program, and the backend renders", "Wait until it has finished")
        flame, shape = bpy.path.abspath(self.flame) or flame_model(), bpy.path.abspath(self.shape)
        told = {"axes": None if self.axes == 'AUTO' else self.axes.lower(), "scale": self.scale}
        told |= {"flame": flame or None, "shape": shape or None}
        target, warnings = client.ask(
            launch_settings([path]),
            lambda backend: backend.convert(path, **told),
            notify=lambda notice: self.report({'WARNING'}, notice),
        )
        for warning in warnings:
            self.report({'WARNING'}, warning)
        return target


class HEADGAS_FH_avatar(bpy.types.FileHandler):
    """Drops an avatar's file into the 3D view or the outliner"""

    bl_idname = "HEADGAS_FH_avatar"
    bl_label = "HeadGaS Avatar"
    bl_import_operator = "headgas.import_avatar"
    bl_file_extensions = ";".join((_OWN, *_FOREIGN))

    @classmethod
    def poll_drop(cls, context: bpy.types.Context) -> bool:
        return context.area is not None and context.area.type in {'VIEW_3D', 'OUTLINER'}


def draw_import_menu(menu: bpy.types.Menu, _context: bpy.types.Context) -> None:
    """The entry in File > Import."""
    text = "HeadGaS Avatar (.safetensors, .ply, .spz, .splat, .zip, .pth)"
    menu.layout.operator(HEADGAS_OT_import_avatar.bl_idname, text=text)
