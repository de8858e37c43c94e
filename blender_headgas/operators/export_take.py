# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""File > Export > HeadGaS Take: what an avatar's channels and head do over the scene's frames."""

from collections.abc import Iterator
from pathlib import Path

import bpy
import numpy as np
from bpy_extras.io_utils import ExportHelper

from ..core.shot_files import write_take
from ..core.takes import write_table
from ..rig import avatar_of, avatar_path, expression_of, header_of
from ..rig.sampling import evaluated_at
from ..rig.takes import frames_per_second, sampled_take
from .reporting import reported
from .selection import has_channels


class AvatarExport(ExportHelper):
    """An export of the active avatar into one of several formats"""

    @property
    def filename_ext(self) -> str:
        """What the file selector makes names end in."""
        return f".{self.format.lower()}"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return has_channels(cls, context)


class HEADGAS_OT_export_take(bpy.types.Operator, AvatarExport):
    """Export the active avatar's motion over the scene's frames: as CSV, as Live Link Face writes it, or as JSON, from
    which 'headgas render' renders it without Blender"""

    bl_idname = "headgas.export_take"
    bl_label = "Export HeadGaS Take"
    bl_options = {'REGISTER'}

    filter_glob: bpy.props.StringProperty(default="*.csv;*.json", options={'HIDDEN'})
    format: bpy.props.EnumProperty(
        name="Format",
        items=(
            ('CSV', "Live Link Face (.csv)", "Channels and the head's turns, for other programs and other avatars"),
            ('JSON', "HeadGaS (.json)", "The avatar's parameters and the head's place, for 'headgas render'"),
        ),
    )

    @reported
    def execute(self, context: bpy.types.Context) -> set[str]:
        frames = range(context.scene.frame_start, context.scene.frame_end + 1)
        path = Path(bpy.path.abspath(self.filepath))
        avatar = avatar_of(context.object)
        if path.suffix.lower() == ".json":
            names = header_of(avatar_path(avatar)).expression_space.names
            write_take(path, frames_per_second(context.scene), names, _frames(context, avatar, frames))
        else:
            write_table(path, sampled_take(context, avatar, frames))
        self.report({'INFO'}, f"{len(frames)} frames in {path}")
        return {'FINISHED'}


def _frames(
    context: bpy.types.Context, avatar: bpy.types.Object, frames: range
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Number, expression [B] and transform to the world [4,4] of each frame, as it is rendered."""
    for number, depsgraph in zip(frames, evaluated_at(context, frames), strict=True):
        yield number, expression_of(avatar, depsgraph), np.array(avatar.evaluated_get(depsgraph).matrix_world)


def draw_export_take_menu(menu: bpy.types.Menu, _context: bpy.types.Context) -> None:
    """The entry in File > Export."""
    menu.layout.operator(HEADGAS_OT_export_take.bl_idname, text="HeadGaS Take (.csv/.json)")
