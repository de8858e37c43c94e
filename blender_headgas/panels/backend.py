# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The backend's state and its buttons, in the preferences and in the 3D view's sidebar."""

import bpy

from .. import client
from ..client.launch import preferences
from ..client.protocol import VERSION
from ..client.tasks import Task
from ..operators.install import DETECT, INSTALL
from ..operators.service import TASK, keep_fresh
from .lines import characters_of, draw_error


class HEADGAS_PT_backend(bpy.types.Panel):
    """The program that renders avatars"""

    bl_idname = "HEADGAS_PT_backend"
    bl_label = "Backend"
    bl_space_type = 'VIEW_3D'
    bl_region_type = 'UI'
    bl_category = "HeadGaS"
    bl_order = 100  # below the avatar's
    bl_options = {'DEFAULT_CLOSED'}

    def draw(self, context: bpy.types.Context) -> None:
        draw_task(self.layout, INSTALL, characters_of(context.region))
        draw_backend(self.layout, characters_of(context.region))


def draw_backend(layout: bpy.types.UILayout, characters: int) -> None:
    """Versions, device and memory of the backend, and what can be done with it."""
    draw_task(layout, TASK, characters)
    running = client.running()
    column = layout.column(align=True)
    if running is None:
        idle = "The backend does not run; viewports and renders start it"
        column.label(text="The backend is starting" if client.starting() else idle, icon='INFO')
    else:
        keep_fresh(running)
        for number, line in enumerate(_state(running)):
            column.label(text=line, icon='BLANK1' if number else 'CHECKMARK')
        if running.facts.get("notice"):
            draw_error(layout, running.facts["notice"], characters)
    row = layout.row(align=True)
    row.operator("headgas.test_backend", text="Test")
    row.operator("headgas.restart_backend", text="Restart")
    row.operator("headgas.stop_backend", text="Stop")
    row.operator("headgas.open_backend_log", text="Open Log")


def draw_installation(layout: bpy.types.UILayout, characters: int) -> None:
    """Finding and installing a backend on this machine."""
    row = layout.row(align=True)
    row.operator("headgas.detect_backend", icon='VIEWZOOM')
    row.operator("headgas.install_backend", icon='IMPORT')
    row.operator("headgas.open_install_log", text="", icon='TEXT')
    draw_task(layout, DETECT, characters)
    draw_task(layout, INSTALL, characters)
    detection = client.tasks.task(DETECT)
    if detection is None or not detection.done or detection.error:
        return
    box = layout.box()
    if not detection.result:
        box.label(text="No Python was found", icon='INFO')
    for found in detection.result:
        row = box.row()
        text = f"{found.python} ({found.origin})"
        lines = row.column(align=True)
        lines.label(text=text, icon='QUESTION' if found.problem else 'CHECKMARK')
        lines.label(text=": ".join(filter(None, (found.description, found.problem))), icon='BLANK1')
        if not found.problem or not found.description:
            row.operator("headgas.choose_backend").python = str(found.python)


def draw_task(layout: bpy.types.UILayout, name: str, characters: int) -> None:
    """How far a task is, the last lines of its log and a button to give it up; or what became of it."""
    task = client.tasks.task(name)
    if task is None:
        return
    if not task.done:
        row = layout.row(align=True)
        row.progress(factor=task.progress, text=task.stage)
        row.operator("headgas.cancel_task", text="", icon='X').name = name
        _draw_lines(layout, task, characters)
    elif task.error is not None:
        draw_error(layout, str(task.error), characters)
    elif name == INSTALL:
        layout.label(text=str(task.result), icon='CHECKMARK')


def _draw_lines(layout: bpy.types.UILayout, task: Task, characters: int) -> None:
    if task.lines:
        column = layout.box().column(align=True)
        column.scale_y = 0.7
        for line in tuple(task.lines):
            column.label(text=line[:characters])


def _state(backend: client.Backend) -> list[str]:
    facts, settings = backend.facts, preferences()
    where = f" at {settings.remote_host}:{settings.remote_port}" if settings and settings.use_remote else ""
    lines = [f"Backend {facts.get('version')}{where}, extension {VERSION}"]
    lines.append(f"torch {facts.get('torch')}, Python {facts.get('python')}")
    lines.append(f"Device: {facts.get('device')} ({facts.get('rasterizer')}), {facts.get('threads')} threads")
    held = [(backend.memory.get(name), word) for name, word in (("process", ""), ("device", " on the GPU"))]
    if memory := ", ".join(f"{size / 1e6:.0f} MB{word}" for size, word in held if size is not None):
        lines.append(f"Memory in use: {memory}")
    return lines
