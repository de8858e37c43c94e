# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looking after the backend: whatever takes long runs beside Blender, and the panels show how far it is."""

import time
from collections.abc import Callable
from typing import Any

import bpy

from .. import client
from ..client.launch import launch_settings, log_file
from ..client.tasks import Task
from ..core.errors import HeadGaSError
from ..core.messages import reportable
from ..rig.windows import redraw
from .reporting import is_rendering, reported

TASK = "backend"  # one at a time tests, restarts or stops it
_REFRESH = "memory"
_FRESH = 3.0  # seconds that the memory in use is shown for
_LOOK = 0.15  # seconds between two looks at a task


class BackendOperator(bpy.types.Operator):
    """An operator on the backend, one at a time"""

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        task = client.tasks.task(TASK)
        if is_rendering(cls):
            return False
        if task is not None and not task.done:
            cls.poll_message_set("Wait until that is done")
            return False
        return True


class HEADGAS_OT_test_backend(BackendOperator):
    """Start the backend if it does not run, and ask for its versions"""

    bl_idname = "headgas.test_backend"
    bl_label = "Test Backend"

    @reported
    def execute(self, _context: bpy.types.Context) -> set[str]:
        settings = launch_settings()
        return run_beside(self, TASK, lambda task: _tested(task, settings))


class HEADGAS_OT_restart_backend(BackendOperator):
    """End the backend, start it again and ask for its versions"""

    bl_idname = "headgas.restart_backend"
    bl_label = "Restart Backend"

    @reported
    def execute(self, _context: bpy.types.Context) -> set[str]:
        settings = launch_settings()

        def restart(task: Task) -> str:
            client.stop()
            return _tested(task, settings)

        return run_beside(self, TASK, restart)


class HEADGAS_OT_stop_backend(BackendOperator):
    """End the backend and free its memory; the next render starts it again"""

    bl_idname = "headgas.stop_backend"
    bl_label = "Stop Backend"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if client.running() is None:
            cls.poll_message_set("The backend does not run")
            return False
        return super().poll(context)

    @reported
    def execute(self, _context: bpy.types.Context) -> set[str]:
        def stop(task: Task) -> str:
            task.stage = "Stopping the backend"
            client.stop()
            return ""

        return run_beside(self, TASK, stop)


class HEADGAS_OT_cancel_task(bpy.types.Operator):
    """Give up what HeadGaS is doing"""

    bl_idname = "headgas.cancel_task"
    bl_label = "Cancel"
    bl_options = {'INTERNAL'}

    name: bpy.props.StringProperty(options={'HIDDEN', 'SKIP_SAVE'})

    def execute(self, _context: bpy.types.Context) -> set[str]:
        task = client.tasks.task(self.name)
        if task is None or task.done:
            return {'CANCELLED'}
        task.cancel()
        return {'FINISHED'}


class HEADGAS_OT_open_backend_log(bpy.types.Operator):
    """Open what the backend wrote in this session of Blender"""

    bl_idname = "headgas.open_backend_log"
    bl_label = "Open Log"

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        if not log_file().is_file():
            cls.poll_message_set("The backend has not run on this machine in this session")
            return False
        return True

    def execute(self, _context: bpy.types.Context) -> set[str]:
        return bpy.ops.wm.path_open(filepath=str(log_file()))


def run_beside(operator: bpy.types.Operator, name: str, work: Callable[[Task], Any]) -> set[str]:
    """Starts a task and follows it. With a window, panels show what becomes of it; without, the operator waits and
    reports the text that the task returns."""
    task = client.tasks.start(name, work)
    if not bpy.app.background:
        follow(task)
        return {'FINISHED'}
    task.wait()
    try:
        if said := task.outcome():
            operator.report({'INFO'}, str(said))
    except (HeadGaSError, client.BackendBug) as error:
        operator.report({'ERROR'}, reportable(error))
        return {'CANCELLED'}
    return {'FINISHED'}


def follow(task: Task) -> None:
    """Draws the panels anew while a task is at work, and once more at its end."""

    def look() -> float | None:
        redraw('PREFERENCES', 'VIEW_3D', 'PROPERTIES')  # which have panels that show the backend
        return None if task.done else _LOOK

    bpy.app.timers.register(look, first_interval=_LOOK, persistent=True)


def keep_fresh(backend: client.Backend) -> None:
    """Has the memory in use asked for again, beside Blender, when what is known of it is old."""
    task = client.tasks.task(_REFRESH)
    if time.monotonic() - backend.refreshed > _FRESH and (task is None or task.done) and not bpy.app.background:
        follow(client.tasks.start(_REFRESH, lambda _task: backend.refresh()))


def describe(facts: dict) -> str:
    """What the backend said about itself, in one line."""
    return ", ".join(
        f"{name} {facts[name]}" if name in ("version", "torch", "threads") else str(facts[name])
        for name in ("version", "device", "rasterizer", "torch", "threads")
        if facts.get(name) is not None
    )


def _tested(task: Task, settings: Any) -> str:
    task.stage = "Starting the backend"
    backend = client.backend(settings, lambda: task.cancelled)
    task.stage = "Asking the backend"
    backend.refresh()
    compiling = backend.compiling(lambda: task.cancelled)
    notice = backend.facts.get("notice")
    ready = f"Backend ready: {describe(backend.facts)}{compiling and ', ' + compiling}"
    return f"{ready}\n{notice}" if notice else ready
