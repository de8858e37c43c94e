# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Blender's own panels that make sense with our engine: they list the engines that they are shown for."""

from collections.abc import Iterator

import bpy

ENGINE = 'HEADGAS'
CYCLES_ENGINE = 'HEADGAS_CYCLES'
_USELESS = {"RENDER_PT_simplify", "RENDER_PT_simplify_viewport", "RENDER_PT_simplify_render", "RENDER_PT_gpencil"}
_USELESS |= {"RENDER_PT_freestyle", "VIEWLAYER_PT_freestyle"}
_BORROWED = {"EEVEE_WORLD_PT_surface", "EEVEE_MATERIAL_PT_context_material", "EEVEE_MATERIAL_PT_surface"}
_BORROWED |= {"VIEWLAYER_PT_filter", "VIEWLAYER_PT_override"}


def register() -> None:
    """Shows them for our engines too: with Cycles, all that Cycles has."""
    for panel in _panels():
        panel.COMPAT_ENGINES.add(ENGINE)
    for panel in _cycles_panels():
        panel.COMPAT_ENGINES.add(CYCLES_ENGINE)


def unregister() -> None:
    """Leaves them as they were."""
    for panel in _panels():
        panel.COMPAT_ENGINES.discard(ENGINE)
    for panel in _cycles_panels():
        panel.COMPAT_ENGINES.discard(CYCLES_ENGINE)


def _cycles_panels() -> Iterator[type[bpy.types.Panel]]:
    """Those that Cycles has; some inherit the set of engines of a base, which then is the one that is changed."""
    waiting = list(bpy.types.Panel.__subclasses__())
    while waiting:
        panel = waiting.pop()
        waiting += panel.__subclasses__()
        if 'CYCLES' in getattr(panel, "COMPAT_ENGINES", ()):
            yield panel


def _panels() -> Iterator[type[bpy.types.Panel]]:
    """Those of every simple engine (output, colours, the camera's lens, …), the world's and the material's."""
    for panel in bpy.types.Panel.__subclasses__():
        simple = 'BLENDER_RENDER' in getattr(panel, "COMPAT_ENGINES", ()) and panel.__name__ not in _USELESS
        if simple or panel.__name__ in _BORROWED:
            yield panel
