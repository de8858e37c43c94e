# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The face panel: the channels of the active avatar, and what can be done to them.

A list draws only the rows that can be seen, so a redraw costs the same for 50 channels and for 150.
"""

from collections.abc import Mapping
from typing import ClassVar

import bpy

from ..rig import avatar_of
from ..rig.channels import channel_of, keys_of, seen_ranges, why_not_editable
from ..rig.face import REGION_ITEMS, region_identifier, regions_of, shown, soloed
from ..rig.face_bones import has_face_bones
from .lines import characters_of, draw_error
from .sidebar import AvatarPart

_ROWS = 12
_COLUMNS = 3  # of the regions' buttons
_SLACK = 1e-4  # beyond the seen range, for rounding
_ORDER = {identifier: place for place, (identifier, _, _) in enumerate(REGION_ITEMS)}


class HEADGAS_UL_face(bpy.types.UIList):
    """The sliders of an avatar, from the brows down"""

    bl_idname = "HEADGAS_UL_face"

    # The panel hands these to the rows that it is about to draw: Blender makes a new list object for every row.
    seen: ClassVar[Mapping[str, tuple[float, float]]] = {}
    alone: ClassVar[frozenset[str]] = frozenset()

    def draw_item(self, _context, layout, _data, key, _icon, _active_data, _active_property, _index) -> None:
        channel, name = channel_of(key), key.name
        row = layout.row(align=True)
        row.active = not key.mute
        row.prop(channel.holder, channel.attribute, text=_short(name), slider=True)
        low, high = self.seen.get(name, (key.value, key.value))
        if not low - _SLACK <= key.value <= high + _SLACK:
            row.operator("headgas.limit_channel", text="", icon='ERROR', emboss=False).channel = name
        row.prop(key, "mute", text="", icon='HIDE_ON' if key.mute else 'HIDE_OFF', emboss=False)
        icon = 'SOLO_ON' if name in self.alone else 'SOLO_OFF'
        row.operator("headgas.solo_channel", text="", icon=icon, emboss=False).channel = name

    def draw_filter(self, _context, _layout) -> None:
        """The panel has its own search."""

    def filter_items(self, context, data, property_name) -> tuple[list[int], list[int]]:
        """Hides the mesh at rest, which is no channel, and what filter and search leave out; sorts by region."""
        names = [key.name for key in getattr(data, property_name)]
        marks = [False, *shown(context.window_manager.headgas_face, names[1:])]
        order = sorted(range(len(names)), key=lambda index: _ORDER[region_identifier(names[index])] if index else -1)
        places = [0] * len(names)
        for place, index in enumerate(order):
            places[index] = place
        return [self.bitflag_filter_item if mark else 0 for mark in marks], places


class HEADGAS_PT_face(AvatarPart):
    """The channels of the active avatar"""

    bl_idname = "HEADGAS_PT_face"
    bl_label = "Face"
    bl_options = set()  # open

    def draw(self, context: bpy.types.Context) -> None:
        avatar = avatar_of(context.object)
        reason = why_not_editable(avatar)
        if reason:
            draw_error(self.layout, reason, characters_of(context.region))
        _draw_face(self.layout, context.window_manager.headgas_face, avatar)


def _short(name: str) -> str:
    """The name with L or R for its side, which a narrow panel would cut off."""
    for side in ("Left", "Right"):
        if name.endswith(side) and name != side:
            return f"{name.removesuffix(side)} {side[0]}"
    return name


def _draw_face(layout: bpy.types.UILayout, face: bpy.types.PropertyGroup, avatar: bpy.types.Object) -> None:
    """The channels, or what leads to them."""
    keys = keys_of(avatar)
    if keys is None:
        return
    if not keys.use_relative:
        layout.prop(keys, "use_relative")
        return
    if not keys.is_editable and avatar.override_library:
        layout.operator("headgas.make_channels_editable")
    _draw_filter(layout, face, avatar, [key.name for key in keys.key_blocks][1:])
    _draw_list(layout, avatar, keys)
    _draw_keys(layout)
    _draw_poses(layout, avatar)


def _draw_filter(
    layout: bpy.types.UILayout, face: bpy.types.PropertyGroup, avatar: bpy.types.Object, names: list[str]
) -> None:
    """Search, a button for every region that these channels have, and what is done to one channel or to all."""
    row = layout.row(align=True)
    row.prop(face, "search", text="", icon='VIEWZOOM')
    active = avatar.active_shape_key
    one = row.operator("headgas.reset_expression", text="", icon='LOOP_BACK')
    one.scope, one.channel = 'ONE', active.name if active else ""
    row.operator("headgas.unmute_all", text="", icon='HIDE_OFF')
    regions = regions_of(names)
    if len(regions) < 2:
        return
    grid = layout.grid_flow(row_major=True, columns=_COLUMNS, even_columns=True, align=True)
    for region in ('ALL', *regions):
        grid.prop_enum(face, "region", region)


def _draw_list(layout: bpy.types.UILayout, avatar: bpy.types.Object, keys: bpy.types.Key) -> None:
    HEADGAS_UL_face.seen, HEADGAS_UL_face.alone = seen_ranges(avatar), soloed(keys)
    kind = HEADGAS_UL_face.bl_idname  # as wide as the panel, for the names
    rows = max(1, min(_ROWS, len(keys.key_blocks) - 1))
    layout.template_list(kind, "", keys, "key_blocks", avatar, "active_shape_key_index", rows=rows)
    row = layout.row(align=True)
    row.operator("headgas.reset_expression", text="Reset All").scope = 'ALL'
    row.operator("headgas.reset_expression", text="Reset Shown").scope = 'SHOWN'
    row.operator("headgas.mirror_expression", text="Mirror")


def _draw_keys(layout: bpy.types.UILayout) -> None:
    row = layout.row(align=True)
    row.operator("headgas.key_expression", text="Key All", icon='KEY_HLT').only_changed = False
    row.operator("headgas.key_expression", text="Key Changed").only_changed = True
    row.operator("headgas.unkey_expression", text="", icon='KEY_DEHLT')


def _draw_poses(layout: bpy.types.UILayout, avatar: bpy.types.Object) -> None:
    row = layout.row(align=True)
    row.operator("headgas.copy_pose", icon='COPYDOWN')
    row.operator("headgas.paste_pose", icon='PASTEDOWN').use_mirror = False
    row.operator("headgas.paste_pose", text="", icon='PASTEFLIPDOWN').use_mirror = True
    row = layout.row(align=True)
    if has_face_bones(avatar):
        row.operator("headgas.save_pose_asset", icon='ASSET_MANAGER')
        row.operator("headgas.remove_face_bones", text="", icon='X')
    else:
        row.operator("headgas.add_face_bones", icon='ASSET_MANAGER')
