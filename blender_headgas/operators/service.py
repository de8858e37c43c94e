# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looking after the backend."""

import bpy

from .. import client
from ..client.launch import launch_settings
from ..core.errors import HeadGaSError
from ..core.messages import reportable


class HEADGAS_OT_test_backend(bpy.types.Operator):
    """Start the backend if it does not run, and ask for its versions"""

    bl_idname = "headgas.test_backend"
    bl_label = "Test Backend"

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        return _not_rendering(cls)

    def execute(self, _context: bpy.types.Context) -> set[str]:
        try:
            backend = client.backend(launch_settings())
            backend.call("ping", {})
            compiling = backend.compiling()
        except (HeadGaSError, client.BackendBug) as error:
            self.report({'ERROR'}, reportable(error))
            return {'CANCELLED'}
        self.report({'INFO'}, f"Backend ready: {describe(backend.facts)}{compiling and ', ' + compiling}")
        if backend.facts.get("notice"):
            self.report({'WARNING'}, backend.facts["notice"])
        return {'FINISHED'}


class HEADGAS_OT_stop_backend(bpy.types.Operator):
    """End the backend and free its memory; the next render starts it again"""

    bl_idname = "headgas.stop_backend"
    bl_label = "Stop Backend"

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        if client.running() is None:
            cls.poll_message_set("The backend does not run")
            return False
        return _not_rendering(cls)

    def execute(self, _context: bpy.types.Context) -> set[str]:
        client.stop()
        return {'FINISHED'}


def describe(facts: dict) -> str:
    """What the backend said about itself, in one line."""
    return ", ".join(
        f"{name} {facts[name]}" if name in ("version", "torch", "threads") else str(facts[name])
        for name in ("version", "device", "rasterizer", "torch", "threads")
        if facts.get(name) is not None
    )


def _not_rendering(operator: type[bpy.types.Operator]) -> bool:
    if bpy.app.is_job_running('RENDER'):
        operator.poll_message_set("Wait until the render has finished")
        return False
    return True
