# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clicking on avatars in viewports. Their control meshes are what is selected, and these are hidden there."""

from typing import Any

import bpy

from .. import overlay
from ..rig import avatars_in, hiding_modifier, is_hidden

_CHOICES = ("extend", "deselect", "toggle", "deselect_all", "center")
_keys: list[tuple[bpy.types.KeyMap, bpy.types.KeyMapItem]] = []


class HEADGAS_OT_select(bpy.types.Operator):
    """Select what is under the mouse, avatars too"""

    bl_idname = "headgas.select"
    bl_label = "Select"
    bl_options = {'UNDO'}

    extend: bpy.props.BoolProperty(options={'SKIP_SAVE'})
    deselect: bpy.props.BoolProperty(options={'SKIP_SAVE'})
    toggle: bpy.props.BoolProperty(options={'SKIP_SAVE'})
    deselect_all: bpy.props.BoolProperty(options={'SKIP_SAVE'})
    center: bpy.props.BoolProperty(options={'SKIP_SAVE'})

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return context.mode == 'OBJECT' and context.region_data is not None

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        drawing, x, y = overlay.overlay(), event.mouse_region_x, event.mouse_region_y
        if drawing is None or not drawing.covers(context.region, x, y):
            return {'PASS_THROUGH'}
        select_at(context, (x, y), **{name: getattr(self, name) for name in _CHOICES})
        return {'FINISHED'}  # and no more: Blender would select again, what is behind the avatar


def select_at(context: bpy.types.Context, location: tuple[int, int], **choices: Any) -> None:
    """Blender's own selection at a place of the viewport, in pixels, for which control meshes are there."""
    modifiers = [hiding_modifier(mesh) for mesh in avatars_in(context.scene) if is_hidden(mesh)]
    try:
        _show(context, modifiers, False)
        bpy.ops.view3d.select(location=location, **choices)
    finally:
        _show(context, modifiers, True)


def add_keys() -> None:
    """Takes clicks in the place of Blender's own operator, in every keymap that selects objects."""
    configurations = bpy.context.window_manager.keyconfigs
    if configurations.addon is None:  # in the background
        return
    for keymap in configurations.active.keymaps:
        if keymap.space_type != 'VIEW_3D' or not keymap.name.startswith("3D View"):
            continue
        for item in keymap.keymap_items:
            if item.idname == "view3d.select":
                _add_key(configurations.addon, keymap, item)


def remove_keys() -> None:
    """Leaves clicks to Blender."""
    while _keys:
        keymap, item = _keys.pop()
        keymap.keymap_items.remove(item)


def _add_key(configuration: Any, keymap: bpy.types.KeyMap, item: bpy.types.KeyMapItem) -> None:
    options = {"space_type": keymap.space_type, "region_type": keymap.region_type, "tool": "Tool" in keymap.name}
    own = configuration.keymaps.new(keymap.name, **options)
    held = {name: getattr(item, name) for name in ("shift", "ctrl", "alt", "oskey")}
    added = own.keymap_items.new(HEADGAS_OT_select.bl_idname, item.type, item.value, head=True, **held)
    for name in _CHOICES:
        setattr(added.properties, name, getattr(item.properties, name))
    _keys.append((own, added))


def _show(context: bpy.types.Context, modifiers: list[bpy.types.Modifier], hidden: bool) -> None:
    for modifier in modifiers:
        modifier.show_viewport = hidden
    context.view_layer.update()
