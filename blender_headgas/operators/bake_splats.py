# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Avatars as Gaussian splats: files of a sequence for any program, and Blender's own point clouds."""

from pathlib import Path

import bpy

from ..core.errors import HeadGaSError
from ..core.files import write_bytes
from ..engine import native_splats
from ..rig import avatar_of
from ..rig.sampling import evaluated_at
from .export_take import AvatarExport
from .reporting import reported
from .selection import has_channels

_OWN_AXES = {".ply": "blender", ".spz": "opengl"}


class HEADGAS_OT_bake_sequence(bpy.types.Operator, AvatarExport):
    """Write the active avatar as Gaussian splats where it stands in the world, a file for each frame of the scene: they
    render without HeadGaS"""

    bl_idname = "headgas.bake_sequence"
    bl_label = "Bake Sequence"
    bl_options = {'REGISTER'}

    filter_glob: bpy.props.StringProperty(default="*.ply;*.spz", options={'HIDDEN'})
    format: bpy.props.EnumProperty(
        name="Format",
        items=(
            ('PLY', "PLY", "Every number, to single precision; most programs read it"),
            ('SPZ', "SPZ", "About a tenth as large, in steps that are hardly seen"),
        ),
    )
    axes: bpy.props.EnumProperty(
        name="Axes",
        description="Which way Blender's world is written down",
        items=(
            ('FORMAT', "Of the Format", "PLY as Blender imports it, Z up; SPZ as the format says, Y up"),
            ('BLENDER', "Blender", "Z up"),
            ('OPENGL', "Y Up", "X right, Y up, Z towards the viewer"),
            ('OPENCV', "Y Down", "X right, Y down, Z away from the viewer, as 3D Gaussian Splatting has it"),
        ),
    )

    @reported
    def execute(self, context: bpy.types.Context) -> set[str]:
        scene, avatar = context.scene, avatar_of(context.object)
        path = Path(bpy.path.abspath(self.filepath))
        kind = path.suffix.lower()
        if kind not in _OWN_AXES:
            raise HeadGaSError(f"{path.name} is neither PLY nor SPZ", "End the name in .ply or .spz")
        axes = _OWN_AXES[kind] if self.axes == 'FORMAT' else self.axes.lower()
        frames = range(scene.frame_start, scene.frame_end + 1, scene.frame_step)
        warnings: dict[str, None] = {}
        for number, depsgraph in zip(frames, evaluated_at(context, frames), strict=True):
            facts, data = native_splats.splats_of(avatar, depsgraph, kind[1:], axes)
            write_bytes(path.with_name(f"{path.stem}_{number:04d}{path.suffix}"), data)
            warnings |= dict.fromkeys(facts["warnings"])
        for warning in warnings:
            self.report({'WARNING'}, warning)
        self.report({'INFO'}, f"{len(frames)} frames in {path.parent}")
        return {'FINISHED'}


class HEADGAS_OT_bake_native(bpy.types.Operator):
    """Add the active avatar as Blender's own Gaussian splats, which every render engine shows"""

    bl_idname = "headgas.bake_native"
    bl_label = "Bake to Native"
    bl_options = {'REGISTER', 'UNDO'}

    live: bpy.props.BoolProperty(
        name="Live",
        description="Follow the avatar at every frame; needs HeadGaS and its backend where it is rendered. Else the "
        "splats show this frame, and need neither",
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not native_splats.has_native_splats():
            cls.poll_message_set("This Blender has no Gaussian splats of its own (5.3 has): use Bake Sequence")
            return False
        return has_channels(cls, context)

    @reported
    def execute(self, context: bpy.types.Context) -> set[str]:
        avatar = avatar_of(context.object)
        cloud, warnings = native_splats.add_cloud(avatar, context.evaluated_depsgraph_get(), self.live)
        for warning in warnings:
            self.report({'WARNING'}, warning)
        self.report({'INFO'}, f"'{cloud.name}' has {len(cloud.data.points):,} splats")
        return {'FINISHED'}
