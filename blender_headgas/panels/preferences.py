# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The extension's preferences: which backend, and how it is."""

import bpy

from ..client.launch import DEVICES
from ..rig.live import HeadGaSLiveSettings
from .backend import draw_backend, draw_installation
from .lines import characters_of


class HeadGaSPreferences(bpy.types.AddonPreferences):
    """How the backend is run"""

    bl_idname = str(__package__).rpartition(".")[0]

    backend_python: bpy.props.StringProperty(
        name="Backend Python",
        description="The Python that has the HeadGaS backend; empty to use HEADGAS_PYTHON or the extension's own .venv",
        subtype='FILE_PATH',
    )
    install_source: bpy.props.StringProperty(
        name="Install From",
        description="Where packages come from: the address of a package index, or a folder of wheels, which needs no "
        "network; empty for the usual ones, pypi.org and pytorch.org",
    )
    use_remote: bpy.props.BoolProperty(
        name="Another Machine",
        description="Render on a backend that was started on another machine, instead of one here",
    )
    remote_host: bpy.props.StringProperty(
        name="Host", description="Name or address of the other machine; localhost for a tunnel", default="localhost"
    )
    remote_port: bpy.props.IntProperty(
        name="Port", description="The backend's port over there, or the tunnel's here", default=7007, min=1, max=65535
    )
    remote_key: bpy.props.StringProperty(
        name="Key",
        description="The hexadecimal number in HEADGAS_KEY of the other machine. It proves who you are; what is sent "
        "can be read on the way, but in a tunnel",
        subtype='PASSWORD',
    )
    remote_pixels: bpy.props.EnumProperty(
        name="Pixels",
        description="How they travel",
        items=(
            ('LOSSLESS', "Packed", "Exact, and about a third of the size: for networks below 500 Mbit/s"),
            ('HALF', "Packed, Half Precision", "About an eighth of the size: colours rounded to 1/2048 of their value"),
            ('RAW', "As They Are", "For the fastest networks"),
        ),
        default='LOSSLESS',
    )
    threads: bpy.props.IntProperty(
        name="Threads", description="Threads of the backend; 0 lets the backend choose", default=0, min=0, max=256
    )
    device: bpy.props.EnumProperty(name="Device", description="Where the backend computes", items=DEVICES)
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

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        layout.use_property_split = True
        layout.prop(self, "use_remote")
        characters = characters_of(context.region)
        if self.use_remote:
            for name in ("remote_host", "remote_port", "remote_key", "remote_pixels"):
                layout.prop(self, name)
        else:
            layout.prop(self, "backend_python")
            layout.prop(self, "install_source")
            draw_installation(layout, characters)
            layout.prop(self, "device")
            layout.prop(self, "threads")
        layout.prop(self, "deadline")
        layout.prop(self, "flame_model")
        draw_backend(layout, characters)
