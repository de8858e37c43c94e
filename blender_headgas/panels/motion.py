# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Motion in the 3D view's sidebar: a live phone, baking, other avatars that do the same, photographs."""

import bpy

from ..rig import live
from ..rig.photographs import is_missing
from .lines import characters_of, draw_error, draw_text
from .sidebar import AvatarPart

_LAMPS = {'GREEN': 'COLORSET_03_VEC', 'YELLOW': 'COLORSET_09_VEC', 'RED': 'COLORSET_01_VEC'}  # coloured squares


class HEADGAS_PT_live(AvatarPart):
    """A phone with the app Live Link Face drives the selected avatars"""

    bl_idname = "HEADGAS_PT_live"
    bl_label = "Live"

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        layout.use_property_split = True
        session, settings = live.session(), live.live_settings()
        column = layout.column()
        column.enabled = session is None
        column.prop(settings, "address")
        column.prop(settings, "port")
        column.prop(settings, "sender")
        if settings.address.startswith("127."):
            text = "A phone needs this computer's address, or 0.0.0.0"
            draw_text(column, text, characters_of(context.region), 'INFO')
        column = layout.column(heading="Head")
        column.prop(settings, "use_head", text="Turn")
        part = column.column()
        part.active = settings.use_head
        part.prop(settings, "use_zero")
        part.prop(settings, "sideways")
        if session is None:
            layout.operator("headgas.start_live", icon='PLAY')
            return
        row = layout.row(align=True)
        row.operator("headgas.stop_live", icon='PAUSE')
        text = "Stop and Write Keys" if session.recording else "Record to Action"
        row.operator("headgas.record_live", text=text, icon='REC')
        _draw_reception(layout.column(align=True), session, characters_of(context.region))


class HEADGAS_PT_motion(AvatarPart):
    """Keys from what drives the selected avatars, and performances of several avatars"""

    bl_idname = "HEADGAS_PT_motion"
    bl_label = "Bake and Transfer"

    def draw(self, _context: bpy.types.Context) -> None:
        column = self.layout.column(align=True)
        column.operator("headgas.bake", icon='KEYFRAME')
        column.operator("headgas.unbake", icon='DRIVER')
        column = self.layout.column(align=True)
        column.operator("headgas.bake_sequence", text="Bake Sequence…", icon='POINTCLOUD_DATA')
        column.operator("headgas.bake_native", icon='OUTLINER_OB_POINTCLOUD')
        column = self.layout.column(align=True)
        column.operator("headgas.transfer_performance", icon='COPYDOWN')
        column.operator("headgas.unlink_performance", icon='UNLINKED')


class HEADGAS_PT_photographs(AvatarPart):
    """The photographs of a capture in the camera's view"""

    bl_idname = "HEADGAS_PT_photographs"
    bl_label = "Photographs"

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        layout.operator("headgas.compare_with_capture", icon='IMAGE_REFERENCE')
        camera = context.scene.camera
        comparison = camera.data.headgas_comparison if camera and camera.type == 'CAMERA' else None
        if comparison and comparison.photographs:
            layout.prop(comparison, "folder", text="")
            layout.row().prop(comparison, "mode", expand=True)
            if comparison.mode == 'WIPE':
                layout.prop(comparison, "position")
            if is_missing(camera.data, context.scene):
                draw_error(layout, "This frame's photograph is missing", characters_of(context.region))
        layout.operator("headgas.clear_comparison", icon='X')


def _draw_reception(column: bpy.types.UILayout, session: live.LiveSession, characters: int) -> None:
    """The lamp, and what it knows."""
    reception, lamp = session.reception, session.lamp()
    if session.failure:
        text = session.failure
    elif lamp == 'GREEN':
        text = f"{reception.sender}: {session.rate()} packets/s" + ("" if reception.sees_face else ", no face")
    elif lamp == 'RED':
        text = reception.problem.splitlines()[0]
    else:
        text = f"Waiting on port {session.port}"
    draw_text(column, text, characters, _LAMPS[lamp])
    counts = {"lost": reception.lost, "late": reception.late, "not understood": reception.malformed}
    if any(counts.values()):
        text = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
        draw_text(column, text, characters, 'BLANK1')
    others = [name for name in reception.senders if name != reception.sender]
    if others:
        draw_text(column, f"Also sending: {', '.join(others)}", characters, 'BLANK1')
    if not any(session.avatars()):
        column.label(text="The avatar is gone", icon='ERROR')
