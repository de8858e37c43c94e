# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mapping files: given to an avatar, taken away, and written; and presets of the review list."""

from dataclasses import replace
from pathlib import Path

import bpy
from bl_operators.presets import AddPresetBase
from bpy_extras.io_utils import ExportHelper, ImportHelper

from ..core.errors import HeadGaSError
from ..core.mapping import Mapping, load_mapping, save_mapping
from ..rig import avatar_of, mapping_of
from ..rig.evaluated import header_of
from ..rig.mappings import clear_mapping, mapping_of_drivers, set_mapping
from ..rig.settings import avatar_path
from .reporting import reported
from .selection import has_channels


class HEADGAS_OT_load_mapping(bpy.types.Operator, ImportHelper):
    """Give the active avatar the channels of a mapping file; they become its parameters when it is rendered"""

    bl_idname = "headgas.load_mapping"
    bl_label = "Load Mapping"
    bl_options = {'REGISTER', 'UNDO'}

    filename_ext = ".json"
    filter_glob: bpy.props.StringProperty(default="*.json", options={'HIDDEN'})

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return has_channels(cls, context)

    @reported
    def execute(self, context: bpy.types.Context) -> set[str]:
        path = Path(bpy.path.abspath(self.filepath))
        avatar = avatar_of(context.object)
        mapping = load_mapping(path)
        new = set_mapping(avatar, mapping, path.name)
        names = header_of(avatar_path(avatar)).expression_space.names
        resting = [name for name in names if name not in mapping.names_out]
        if resting:
            self.report({'WARNING'}, f"{len(resting)} parameters stay at rest: the mapping does not make them")
        self.report({'INFO'}, f"{len(mapping.names_in)} channels, {len(new)} of them new")
        return {'FINISHED'}


class HEADGAS_OT_clear_mapping(bpy.types.Operator):
    """Let the avatar's channels be its own parameters again; the mapping's channels stay, and do nothing"""

    bl_idname = "headgas.clear_mapping"
    bl_label = "Clear Mapping"
    bl_options = {'REGISTER', 'UNDO'}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not has_channels(cls, context):
            return False
        if not _has_mapping(avatar_of(context.object)):
            cls.poll_message_set("The avatar has no mapping")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        clear_mapping(avatar_of(context.object))
        return {'FINISHED'}


class HEADGAS_OT_save_mapping(bpy.types.Operator, ExportHelper):
    """Write the avatar's mapping, or what the drivers from a character do, as a file that others can load"""

    bl_idname = "headgas.save_mapping"
    bl_label = "Save Mapping"
    bl_options = {'REGISTER'}

    filename_ext = ".json"
    filter_glob: bpy.props.StringProperty(default="*.json", options={'HIDDEN'})
    what: bpy.props.EnumProperty(
        name="What",
        items=[
            ('MAPPING', "Mapping", "The avatar's mapping: from its channels to its parameters"),
            ('DRIVERS', "Drivers", "The drivers from a character: from its shape keys to the avatar's channels"),
        ],
    )
    licence: bpy.props.StringProperty(
        name="Licence", description="Under which others may use the file; empty to keep what the mapping says"
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return has_channels(cls, context)

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        self.what = 'MAPPING' if _has_mapping(avatar_of(context.object)) else 'DRIVERS'
        return ExportHelper.invoke(self, context, event)

    @reported
    def execute(self, context: bpy.types.Context) -> set[str]:
        path = Path(bpy.path.abspath(self.filepath))
        mapping = self._mapping(avatar_of(context.object))
        save_mapping(path, mapping)
        self.report({'INFO'}, f"{path.name}: {len(mapping.names_in)} in, {len(mapping.names_out)} out")
        return {'FINISHED'}

    def _mapping(self, avatar: bpy.types.Object) -> Mapping:
        mapping = mapping_of_drivers(avatar) if self.what == 'DRIVERS' else mapping_of(avatar)
        if mapping is None:
            raise HeadGaSError(f"The avatar '{avatar.name}' has no mapping", "Load one, or save what its drivers do")
        if not self.licence:
            return mapping
        return replace(mapping, licence=self.licence)


class HEADGAS_OT_add_mapping_preset(AddPresetBase, bpy.types.Operator):
    """Keep the list of Map From Character as a preset, or remove the preset"""

    bl_idname = "headgas.add_mapping_preset"
    bl_label = "Add Mapping Preset"
    preset_menu = "HEADGAS_MT_mapping_presets"
    preset_subdir = "headgas/mapping"
    preset_defines = ["review = bpy.context.scene.headgas_review"]
    preset_values = ["review.rows"]

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not context.scene.headgas_review.rows:
            cls.poll_message_set("There is no list yet: press Map From Character")
            return False
        return True


def _has_mapping(avatar: bpy.types.Object) -> bool:
    return avatar.headgas.mapping is not None
