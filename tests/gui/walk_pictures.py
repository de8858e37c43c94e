# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The manual's pictures of an avatar in the viewport, and of the preferences."""

import math

import bpy
from mathutils import Quaternion, Vector

from .harness import Screen, Walk, box_of, region_of
from .product import ADDON, face, import_avatar, install, open_sidebar, settled, shape_key

_ASIDE = Quaternion((0, 0, 1), math.radians(30)) @ Quaternion((1, 0, 0), math.radians(80))


def walk(screen: Screen) -> Walk:
    yield from install(screen)
    yield from open_sidebar(screen)
    yield from import_avatar(screen)
    with screen.over():
        bpy.ops.wm.save_as_mainfile(filepath=str(screen.folder / "head.blend"))  # links become relative
    shape_key("jawOpen").value = 0.4
    yield from face(screen)
    screen.keep((yield "face"), "import", box_of(region_of(screen.area())), 60)
    yield from _within_a_ring(screen)
    yield from _preferences(screen)


def _within_a_ring(screen: Screen) -> Walk:
    """The avatar from the side, partly behind a mesh and partly before it."""
    head = next(obj for obj in bpy.context.scene.objects if obj.headgas.is_avatar)
    middle = head.matrix_world @ (sum(map(Vector, head.bound_box), Vector()) / 8)
    with screen.over() as area:
        bpy.ops.mesh.primitive_torus_add(
            major_radius=0.17, minor_radius=0.012, location=middle, rotation=(0.35, 0.25, 0.0)
        )
        bpy.ops.object.select_all(action='DESELECT')
        area.spaces.active.region_3d.view_rotation = _ASIDE
    yield 0.5
    yield from settled()
    screen.keep((yield "ring"), "viewport", box_of(region_of(screen.area())), 60)


def _preferences(screen: Screen) -> Walk:
    """The extension's part of the preferences, below the lines that name its folder on this machine."""
    bpy.context.preferences.active_section = 'ADDONS'
    bpy.context.window_manager.addon_search = "HeadGaS"
    with screen.over():
        bpy.ops.preferences.addon_expand(module=ADDON)
    area = screen.area()
    area.ui_type = 'PREFERENCES'
    yield 1.0
    left, _, width, _ = box_of(region_of(area))
    # Points of the screen where Blender 4.3 has that part.
    screen.keep((yield "preferences"), "preferences", (left + 172, 280, width - 180, 392))
