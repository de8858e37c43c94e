# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Blender's own panels that make sense with our engine: they list the engines that they are shown for."""

from collections.abc import Iterator

import bpy

ENGINE = 'HEADGAS'
_USELESS = {"RENDER_PT_simplify", "RENDER_PT_simplify_viewport", "RENDER_PT_simplify_render", "RENDER_PT_gpencil"}


def register() -> None:
    """Shows them for our engine too."""
    for panel in _panels():
        panel.COMPAT_ENGINES.add(ENGINE)


def unregister() -> None:
    """Leaves them as they were."""
    for panel in _panels():
        panel.COMPAT_ENGINES.discard(ENGINE)


def _panels() -> Iterator[type[bpy.types.Panel]]:
    """Those that every simple engine has: output, colour management, the camera's lens, …"""
    for panel in bpy.types.Panel.__subclasses__():
        if 'BLENDER_RENDER' in getattr(panel, "COMPAT_ENGINES", ()) and panel.__name__ not in _USELESS:
            yield panel
