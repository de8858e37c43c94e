# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starting, stopping and recording a phone that drives avatars."""

import bpy

from ..core.errors import HeadGaSError
from ..core.messages import reportable
from ..rig import live
from .reporting import reported
from .selection import has_avatar, selected_avatars, warn_of_drivers


class HEADGAS_OT_start_live(bpy.types.Operator):
    """Let the app Live Link Face drive the selected avatars"""

    bl_idname = "headgas.start_live"
    bl_label = "Start Live"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return has_avatar(cls, context)

    @reported
    def execute(self, context: bpy.types.Context) -> set[str]:
        avatars = selected_avatars(context)
        session = live.start(avatars)
        for avatar in avatars:
            warn_of_drivers(self, avatar)
        self.report({'INFO'}, f"Listening on port {session.port}")
        return {'FINISHED'}


class HEADGAS_OT_stop_live(bpy.types.Operator):
    """Stop listening; what was recorded is written"""

    bl_idname = "headgas.stop_live"
    bl_label = "Stop Live"
    bl_options = {'REGISTER', 'UNDO'}

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        return _running(cls)

    def execute(self, context: bpy.types.Context) -> set[str]:
        session = live.session()
        if session is not None and session.recording and not _write(self, session, context.scene):
            return {'CANCELLED'}
        live.stop()
        return {'FINISHED'}


class HEADGAS_OT_record_live(bpy.types.Operator):
    """Record what the phone sends; press again to write it as keys into new Actions, from the frame where it began"""

    bl_idname = "headgas.record_live"
    bl_label = "Record to Action"
    bl_options = {'REGISTER', 'UNDO'}

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        return _running(cls)

    def execute(self, context: bpy.types.Context) -> set[str]:
        session = live.session()
        if session is None:
            return {'CANCELLED'}
        if not session.recording:
            session.record(context.scene.frame_current)
            return {'FINISHED'}
        return {'FINISHED'} if _write(self, session, context.scene) else {'CANCELLED'}


def _write(operator: bpy.types.Operator, session: live.LiveSession, scene: bpy.types.Scene) -> bool:
    """Writes what was recorded; whether it could, else it goes on recording."""
    try:
        frames = session.finish(scene)
    except HeadGaSError as error:
        operator.report({'ERROR'}, reportable(error))
        return False
    if frames:
        operator.report({'INFO'}, f"Recorded {frames} frames")
    else:
        operator.report({'WARNING'}, "Nothing was recorded: no face arrived")
    return True


def _running(operator: type[bpy.types.Operator]) -> bool:
    if live.session() is None:
        operator.poll_message_set("Live is off: start it first")
        return False
    return True
