# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The mapping panel: what drives the active avatar, the list to review, and what has gone missing."""

import bpy

from ..operators.mapping_files import HEADGAS_OT_add_mapping_preset
from ..rig import avatar_of, drivers
from ..rig.review import HeadGaSMappingReview
from .lines import characters_of, draw_error, draw_text
from .sidebar import AvatarPart

_WIDE = 45  # characters in a line of a panel: enough for gains and confidences beside the names


class HEADGAS_MT_mapping_presets(bpy.types.Menu):
    """Lists that were kept for characters of one kind"""

    bl_idname = "HEADGAS_MT_mapping_presets"
    bl_label = "Presets"
    preset_subdir = HEADGAS_OT_add_mapping_preset.preset_subdir
    preset_operator = "script.execute_preset"
    draw = bpy.types.Menu.draw_preset


class HEADGAS_UL_mapping(bpy.types.UIList):
    """Which shape key drives which channel"""

    bl_idname = "HEADGAS_UL_mapping"

    def draw_item(self, context, layout, _data, row, _icon, _active_data, _active_property, _index) -> None:
        line = layout.row(align=True)
        pair = line.row(align=True)
        pair.enabled = row.is_pair
        pair.prop(row, "use", text="")
        names = line.row(align=True)
        names.active = row.is_pair
        names.label(text=row.source or "no source")
        names.label(text=row.channel or "no channel")
        if row.is_pair and characters_of(context.region) >= _WIDE:
            gain = line.row()
            gain.ui_units_x = 3
            gain.prop(row, "gain", text="", emboss=False)
            sure = line.row()
            sure.ui_units_x = 2
            sure.label(text=f"{row.confidence:.0%}")

    def filter_items(self, _context, data, property_name) -> tuple[list[int], list[int]]:
        """Hides what the search finds neither in the source's nor in the channel's name."""
        wanted = self.filter_name.lower()
        rows = getattr(data, property_name)
        return [self.bitflag_filter_item if wanted in f"{row.source} {row.channel}".lower() else 0 for row in rows], []


class HEADGAS_PT_mapping(AvatarPart):
    """What drives the avatar, in the 3D view's sidebar"""

    bl_idname = "HEADGAS_PT_mapping"
    bl_label = "Mapping"

    def draw(self, context: bpy.types.Context) -> None:
        avatar, review = avatar_of(context.object), context.scene.headgas_review
        characters = characters_of(context.region)
        _draw_state(self.layout, avatar, characters)
        column = self.layout.column()
        column.prop(review, "source")
        column.operator("headgas.match_character")
        if review.rows:
            _draw_review(self.layout, review, avatar, characters)
        self.layout.operator("headgas.map_bone")
        self.layout.operator("headgas.remove_drivers")
        _draw_file(self.layout, avatar)


def _draw_state(layout: bpy.types.UILayout, avatar: bpy.types.Object, characters: int) -> None:
    """How many channels are driven, and by what no longer."""
    state = drivers.state(avatar)
    if not state.driven:
        return
    layout.label(text=f"HeadGaS drives {_counted(len(state.driven))}", icon='DRIVER')
    problems = [f"{source} is gone ({_counted(len(channels))})" for source, channels in state.gone.items()]
    if state.stopped:
        problems.append(f"Stopped, though its source is back: {', '.join(state.stopped)}")
    if problems:
        column = layout.column(align=True)
        for problem in problems:
            draw_error(column, problem, characters)
        column.operator("headgas.match_character", text="Re-match", icon='FILE_REFRESH').keep = True


def _draw_review(
    layout: bpy.types.UILayout, review: HeadGaSMappingReview, avatar: bpy.types.Object, characters: int
) -> None:
    """The list, its presets, and the active row."""
    row = layout.row(align=True)
    row.menu(HEADGAS_MT_mapping_presets.bl_idname, text=HEADGAS_MT_mapping_presets.bl_label)
    row.operator("headgas.add_mapping_preset", text="", icon='ADD')
    row.operator("headgas.add_mapping_preset", text="", icon='REMOVE').remove_active = True
    layout.template_list(HEADGAS_UL_mapping.bl_idname, "", review, "rows", review, "active", rows=8)
    row = layout.row(align=True)
    row.operator("headgas.edit_review", text="Add Row").action = 'ADD'
    row.operator("headgas.edit_review", text="Remove Row").action = 'REMOVE'
    if review.active < len(review.rows):
        _draw_row(layout.column(), review, avatar, characters)
    layout.operator("headgas.create_drivers", icon='DRIVER')


def _draw_row(
    layout: bpy.types.UILayout, review: HeadGaSMappingReview, avatar: bpy.types.Object, characters: int
) -> None:
    """The active row with all that can be changed of it."""
    active = review.rows[review.active]
    layout.use_property_split = True
    for name, obj in (("source", review.source), ("channel", avatar)):
        if obj is not None and obj.type == 'MESH' and obj.data.shape_keys is not None:
            layout.prop_search(active, name, obj.data.shape_keys, "key_blocks")
        else:
            layout.prop(active, name)
    layout.prop(active, "gain")
    layout.prop(active, "offset")
    limits = layout.row(heading="Limits", align=True)
    limits.prop(active, "limit", text="")
    values = limits.row(align=True)
    values.active = active.limit
    values.prop(active, "low", text="")
    values.prop(active, "high", text="")
    if active.is_pair:
        said = [f"{active.confidence:.0%} sure", *filter(None, [active.note])]
        draw_text(layout, "; ".join(said), characters, 'INFO')


def _draw_file(layout: bpy.types.UILayout, avatar: bpy.types.Object) -> None:
    """The avatar's mapping, and its file."""
    column = layout.column(align=True)
    column.label(text="Mapping File")
    row = column.row(align=True)
    row.prop(avatar.headgas, "mapping", text="")
    row.operator("headgas.load_mapping", text="", icon='FILEBROWSER')
    row.operator("headgas.save_mapping", text="", icon='FILE_TICK')
    row.operator("headgas.clear_mapping", text="", icon="X")


def _counted(channels: int) -> str:
    return "1 channel" if channels == 1 else f"{channels} channels"
