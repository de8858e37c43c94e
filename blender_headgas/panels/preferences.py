# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The extension's preferences: which backend, and how it is."""

import bpy

from .. import client
from ..operators.service import describe
from ..rig.live import HeadGaSLiveSettings


class HeadGaSPreferences(bpy.types.AddonPreferences):
    """How the backend is run"""

    bl_idname = str(__package__).rpartition(".")[0]

    backend_python: bpy.props.StringProperty(
        name="Backend Python",
        description="The Python that has the HeadGaS backend; empty to use HEADGAS_PYTHON or the extension's own .venv",
        subtype='FILE_PATH',
    )
    threads: bpy.props.IntProperty(
        name="Threads", description="Threads of the backend; 0 lets the backend choose", default=0, min=0, max=256
    )
    device: bpy.props.EnumProperty(
        name="Device",
        description="Where the backend computes",
        items=(
            ('AUTO', "Automatic", "The GPU where there is one that the backend can use"),
            ('CPU', "CPU", "The processor"),
            ('CUDA', "CUDA", "An NVIDIA GPU"),
        ),
        default='AUTO',
    )
    deadline: bpy.props.IntProperty(
        name="Time Limit (Seconds)",
        description="Give up a frame after this time",
        default=600,
        min=5,
        soft_max=3600,
    )

    flame_model: bpy.props.StringProperty(
        name="FLAME Model",
        description="Your generic_model.pkl of FLAME, which avatars of some other programs are bound to; "
        "empty to use HEADGAS_FLAME",
        subtype='FILE_PATH',
    )

    live: bpy.props.PointerProperty(type=HeadGaSLiveSettings)

    def draw(self, _context: bpy.types.Context) -> None:
        layout = self.layout
        layout.use_property_split = True
        layout.prop(self, "backend_python")
        layout.prop(self, "device")
        layout.prop(self, "threads")
        layout.prop(self, "deadline")
        layout.prop(self, "flame_model")
        running = client.running()
        if running:
            layout.label(text=f"Backend ready: {describe(running.facts)}", icon='CHECKMARK')
            if running.facts.get("notice"):
                layout.label(text=running.facts["notice"], icon='ERROR')
        else:
            layout.label(text="The backend does not run; the first render starts it", icon='INFO')
        row = layout.row()
        row.operator("headgas.test_backend")
        row.operator("headgas.stop_backend")
