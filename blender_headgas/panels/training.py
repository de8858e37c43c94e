# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Training in the 3D view's sidebar: what to train on, and the runs."""

from pathlib import Path

import bpy

from ..client.training import Run
from ..core.capture_check import GOOD, WARNING, CaptureCheck
from ..core.errors import HeadGaSError
from ..core.runs import SHEET, THUMBNAIL, describe, duration
from ..operators.track import TRACK, report_of
from ..operators.train import check_of, is_checking
from ..operators.train_watch import message_of, runs, watched_by
from .backend import draw_task
from .lines import characters_of, draw_error, draw_text
from .pictures import curve_icon, file_icon

_ICONS = {GOOD: 'CHECKMARK', WARNING: 'INFO'}
_STATES = {"training": 'PLAY', "paused": 'PAUSE', "finished": 'CHECKMARK', "stopped": 'CHECKMARK', "failed": 'ERROR'}
_LARGE, _SMALL = 5.0, 2.6  # times the height of a button


class HEADGAS_PT_training(bpy.types.Panel):
    """An avatar from a capture"""

    bl_idname = "HEADGAS_PT_training"
    bl_label = "Train Avatar"
    bl_space_type = 'VIEW_3D'
    bl_region_type = 'UI'
    bl_category = "HeadGaS"
    bl_order = 10
    bl_options = {'DEFAULT_CLOSED'}

    def draw(self, context: bpy.types.Context) -> None:
        layout, settings = self.layout, context.scene.headgas_training
        layout.use_property_split = True
        layout.use_property_decorate = False
        layout.operator("headgas.track_video", icon='FILE_MOVIE')
        _draw_tracking(layout, settings, characters_of(context.region))
        layout.prop(settings, "capture")
        if settings.capture:
            folder = Path(bpy.path.abspath(settings.capture)).resolve()
            _draw_check(layout, folder, characters_of(context.region))
        column = layout.column()
        column.prop(settings, "preset")
        column.row().prop(settings, "length", expand=True)
        column.prop(settings, "minutes" if settings.length == 'TIME' else "steps")
        column.prop(settings, "gaussians")
        column.prop(settings, "device")
        column.prop(settings, "folder")
        column = layout.column(heading="At the End")
        column.prop(settings, "imports")
        column.prop(settings, "shows")
        layout.operator("headgas.train_avatar", icon='PLAY')


class HEADGAS_PT_runs(bpy.types.Panel):
    """Trainings that go on or have ended, newest first"""

    bl_idname = "HEADGAS_PT_runs"
    bl_label = "Training Runs"
    bl_space_type = 'VIEW_3D'
    bl_region_type = 'UI'
    bl_category = "HeadGaS"
    bl_order = 11

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        try:
            return bool(runs().all())
        except HeadGaSError:
            return True

    def draw(self, context: bpy.types.Context) -> None:
        characters = characters_of(context.region)
        try:
            known = runs().all()
        except HeadGaSError as error:
            draw_error(self.layout, str(error), characters)
            return
        for run in known:
            header, body = self.layout.panel(f"headgas_run_{run.record.number}", default_closed=run.ended)
            text = f"{run.record.name}  {run.status.psnr:.1f} dB" if run.status.psnr else run.record.name
            icon = file_icon(run.record.path / THUMBNAIL)
            if icon:
                header.label(text=text, icon_value=icon)
            else:
                header.label(text=text, icon=_STATES.get(run.state, 'TIME'))
            if body is not None:
                comparable = run.avatar_changed and any(other.avatar_changed for other in known if other is not run)
                _draw_run(body, run, bool(comparable), characters)


def _draw_tracking(layout: bpy.types.UILayout, settings: bpy.types.PropertyGroup, characters: int) -> None:
    """How far the tracking of a video is, or what its capture lacks."""
    draw_task(layout, TRACK, characters)
    if report := report_of(settings.capture):
        layout.operator("headgas.open_tracking_report", icon='DOCUMENTS')
        for sentence in report.advice:
            draw_text(layout, sentence, characters, 'INFO')


def _draw_check(layout: bpy.types.UILayout, folder: Path, characters: int) -> None:
    found = check_of(folder)
    if is_checking(folder):
        layout.label(text="Checking the capture…", icon='TIME')
        return
    layout.operator("headgas.check_capture", icon='VIEWZOOM')
    if isinstance(found, str):
        draw_error(layout, found, characters)
    if not isinstance(found, CaptureCheck):
        return
    box = layout.box()
    row = box.row(align=True)
    for picture in found.pictures:
        if icon := file_icon(picture):
            row.template_icon(icon_value=icon, scale=_SMALL)
    for kind, text in found.lines:
        draw_text(box, text, characters, _ICONS.get(kind, 'ERROR'))


def _draw_run(layout: bpy.types.UILayout, run: Run, comparable: bool, characters: int) -> None:
    number, folder = run.record.number, run.record.path
    row = layout.row()
    for icon in (file_icon(folder / THUMBNAIL), curve_icon(str(folder), run.curve.seconds, run.curve.psnr)):
        if icon:
            row.template_icon(icon_value=icon, scale=_LARGE)
    if run.state == "failed":
        draw_error(layout, run.reason, characters)
    else:
        layout.label(text=describe(run.state, run.status), icon=_STATES.get(run.state, 'TIME'))
    if not run.ended:
        left = f"{run.status.progress:.0%}"
        if run.state == "training":
            left += f", {duration(run.status.seconds_left)} left"
        layout.progress(text=left, factor=run.status.progress)
    if run.status.gaussians:
        layout.label(text=f"{run.record.preset}, {run.status.gaussians:,} Gaussians", icon='BLANK1')
    _draw_control(layout.row(align=True), run)
    row = layout.row(align=True)
    if run.avatar_changed and not watched_by(run):
        text, icon = ("Import Result", 'IMPORT') if run.ended else ("Watch in the 3D View", 'HIDE_OFF')
        row.operator("headgas.import_run", text=text, icon=icon).run = number
    if (folder / SHEET).is_file():
        row.operator("headgas.show_run", icon='IMAGE_DATA').run = number
    if comparable:
        layout.operator_menu_enum("headgas.compare_runs", "other", icon='IMAGE_REFERENCE').run = number
    if message := message_of(run):
        draw_text(layout, message, characters, 'INFO')
    if run.ended:
        row = layout.row(align=True)
        row.operator("headgas.forget_run", icon='X').run = number
        row.operator("headgas.delete_run", text="Delete…", icon='TRASH').run = number


def _draw_control(row: bpy.types.UILayout, run: Run) -> None:
    """The buttons that fit the run's state."""
    wishes = {"training": ('PAUSE', 'STOP'), "paused": ('RESUME', 'STOP')}.get(run.state, ())
    if run.state == "starting" and run.status.pid:  # it heeds what it is told from its first word on
        wishes = ('STOP',)
    texts = {'PAUSE': ("Pause", 'PAUSE'), 'RESUME': ("Resume", 'PLAY'), 'STOP': ("Stop and Keep", 'CHECKMARK')}
    for wish in ('RESUME',) if run.resumable else wishes:
        text, icon = texts[wish]
        button = row.operator("headgas.control_run", text=text, icon=icon)
        button.run, button.wish = run.record.number, wish
