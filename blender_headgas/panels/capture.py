# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Capturing a character in the 3D view's sidebar: what is ready, what it will look like, how long it takes."""

from pathlib import Path

import bpy

from ..capture.capture import PREVIEW
from ..capture.channels import BONE, KEY
from ..capture.character import armature_of
from ..capture.checklist import checklist
from ..capture.job import FAILED, FINISHED, STOPPED, JobStatus, status_of
from ..capture.order import CYCLES
from ..capture.settings import HeadGaSCaptureSettings
from ..core.capture_check import GOOD, WARNING
from ..core.runs import duration
from ..operators.capture_watch import describe, preview_folder
from ..operators.connect_character import connected_avatar, is_swapped
from .lines import characters_of, draw_error, draw_text
from .pictures import file_icon

_ICONS = {GOOD: 'CHECKMARK', WARNING: 'INFO'}
_KINDS = {KEY: 'SHAPEKEY_DATA', BONE: 'BONE_DATA'}
_LARGE, _SMALL = 6.0, 2.6  # times the height of a button


class HEADGAS_UL_capture_channels(bpy.types.UIList):
    """The channels of a character that are captured"""

    bl_idname = "HEADGAS_UL_capture_channels"

    def draw_item(self, _context, layout, _data, row, _icon, _active_data, _active_property, _index) -> None:
        line = layout.row(align=True)
        line.use_property_split = False  # half of the width would be empty
        line.prop(row, "use", text="")
        line.prop(row, "name", text="", emboss=False, icon=_KINDS.get(row.kind, 'PROPERTIES'))

    def filter_items(self, _context, data, property_name) -> tuple[list[int], list[int]]:
        """Hides what the search does not find in the name."""
        wanted = self.filter_name.lower()
        return [self.bitflag_filter_item * (wanted in row.name.lower()) for row in getattr(data, property_name)], []


class HEADGAS_PT_capture(bpy.types.Panel):
    """A capture of a Blender character"""

    bl_idname = "HEADGAS_PT_capture"
    bl_label = "Capture Character"
    bl_space_type = 'VIEW_3D'
    bl_region_type = 'UI'
    bl_category = "HeadGaS"
    bl_order = 9
    bl_options = {'DEFAULT_CLOSED'}

    def draw(self, context: bpy.types.Context) -> None:
        layout, scene = self.layout, context.scene
        settings, characters = scene.headgas_capture, characters_of(context.region)
        layout.use_property_split = True
        layout.use_property_decorate = False
        _draw_character(layout.column(), settings)
        _draw_channels(layout, settings)
        _draw_frames(layout, settings)
        box = layout.box()
        for kind, text in checklist(settings, scene):
            draw_text(box, text, characters, _ICONS.get(kind, 'ERROR'))
        _draw_preview(layout, settings, characters)
        layout.prop(settings, "folder")
        if settings.target is not None:
            _draw_job(layout, settings.target, characters)
        else:
            layout.operator("headgas.capture_character", icon='RENDER_ANIMATION')
        if settings.character is not None:
            layout.operator("headgas.connect_character", icon='LINKED')
        if connected_avatar(scene) is not None:
            text = "Show the Character" if is_swapped(settings) else "Show the Avatar"
            layout.operator("headgas.swap_character", text=text, icon='ARROW_LEFTRIGHT')


def _draw_character(column: bpy.types.UILayout, settings: HeadGaSCaptureSettings) -> None:
    column.prop(settings, "character")
    column.prop(settings, "collection")
    armature = armature_of(settings.character) if settings.character else None
    if armature is not None:
        column.prop_search(settings, "bone", armature.data, "bones")
    column.prop(settings, "front")


def _draw_channels(layout: bpy.types.UILayout, settings: HeadGaSCaptureSettings) -> None:
    used = sum(row.use for row in settings.channels)
    header, body = layout.panel("headgas_capture_channels", default_closed=True)
    header.label(text=f"Channels: {used} of {len(settings.channels)}")
    if not settings.channels or body is not None:
        (body or layout).operator("headgas.find_capture_channels", icon='VIEWZOOM')
    if body is None:
        return
    row = body.row(align=True)
    row.operator_menu_enum("headgas.add_capture_bones", "kind", icon='BONE_DATA')
    row.operator("headgas.add_capture_properties", icon='PROPERTIES')
    if not settings.channels:
        return
    body.template_list(HEADGAS_UL_capture_channels.bl_idname, "", settings, "channels", settings, "active", rows=6)
    row = body.row(align=True)
    for action in ('ALL', 'NONE', 'REMOVE'):
        row.operator("headgas.edit_capture_channels", text=action.capitalize()).action = action
    if settings.active < len(settings.channels):
        active = settings.channels[settings.active]
        for name in ("low", "rest", "high"):
            body.prop(active, name)


def _draw_frames(layout: bpy.types.UILayout, settings: HeadGaSCaptureSettings) -> None:
    header, body = layout.panel("headgas_capture_frames", default_closed=True)
    header.label(text=f"{settings.frames} + {settings.test_frames} Frames, {settings.resolution} Pixels")
    if body is None:
        return
    column = body.column(align=True)
    for name in ("frames", "test_frames", "seed", "use_action"):
        column.prop(settings, name)
    column = body.column(align=True)
    for name in ("engine", "resolution", "samples", *(["denoise"] if settings.engine == CYCLES else [])):
        column.prop(settings, name)
    column = body.column(align=True)
    for name in ("yaw", "pitch", "field_of_view", "distance"):
        column.prop(settings, name)


def _draw_preview(layout: bpy.types.UILayout, settings: HeadGaSCaptureSettings, characters: int) -> None:
    folder = preview_folder()
    status = status_of(folder)
    row = layout.row(align=True)
    row.operator("headgas.preview_capture", icon='RENDER_STILL')
    if status.is_running:
        row.operator("headgas.stop_capture", text="", icon='X').preview = True
    if status.state == FAILED:
        draw_error(layout, status.message, characters)
        return
    _draw_pictures(layout, folder)
    if status.is_running:
        layout.progress(text=describe(status), factor=status.done / max(status.total, 1))
    elif status.rendered:
        row.operator("headgas.show_preview", icon='IMAGE_DATA')
        frames = settings.frames + settings.test_frames
        each = status.seconds_per_frame
        layout.label(text=f"About {duration(each * frames)}: {each:.1f} s a frame", icon='TIME')


def _draw_pictures(layout: bpy.types.UILayout, folder: Path) -> None:
    row = layout.row(align=True)
    if icon := file_icon(folder / PREVIEW):
        row.template_icon(icon_value=icon, scale=_LARGE)
    for path in sorted(folder.glob("small?.png")):
        if icon := file_icon(path):
            row.template_icon(icon_value=icon, scale=_SMALL)


def _draw_job(layout: bpy.types.UILayout, folder: Path, characters: int) -> None:
    """How the capture is, and the buttons that fit."""
    status: JobStatus = status_of(folder)
    if status.state == FAILED:
        draw_error(layout, status.message, characters)
    if status.is_running:
        row = layout.row(align=True)
        row.progress(text=describe(status), factor=status.done / max(status.total, 1))
        row.operator("headgas.stop_capture", text="", icon='X')
    elif status.state == FINISHED:
        said = f": {status.seconds_per_frame:.1f} s a frame" if status.rendered else ""
        draw_text(layout, f"Captured{said}. Next: Train Avatar", characters, 'CHECKMARK')
    elif status.state in (FAILED, STOPPED) and status.done:
        layout.label(text=describe(status), icon='PAUSE')
        row = layout.row(align=True)
        row.operator("headgas.capture_character", text="Go On", icon='PLAY')
        row.operator("headgas.capture_character", text="Start Over", icon='FILE_REFRESH').start_over = True
    else:
        layout.operator("headgas.capture_character", icon='RENDER_ANIMATION')
