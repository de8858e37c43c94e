# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The manual's pictures of a training, of an avatar in the viewport, and of the preferences."""

import math

import bpy
from mathutils import Quaternion, Vector

from .harness import Screen, Until, Walk, box_of, region_of
from .product import ADDON, face, import_avatar, install, material, open_sidebar, settled, shape_key

_TITLE = 22  # pixels from the sidebar's upper edge to the middle of its first panel's title
_TRAINED = 60.0  # seconds of training, when its picture is taken
_ASIDE = Quaternion((0, 0, 1), math.radians(30)) @ Quaternion((1, 0, 0), math.radians(80))


def walk(screen: Screen) -> Walk:
    yield from install(screen)
    yield from open_sidebar(screen)
    yield from _training(screen)
    yield from import_avatar(screen)
    shape_key("jawOpen").value = 0.4
    yield from face(screen)
    screen.keep((yield "face"), "import", box_of(region_of(screen.area())), 60)
    yield from _viewport(screen)
    with screen.over():
        bpy.ops.preferences.addon_show(module=ADDON)
    windows = bpy.context.window_manager.windows
    yield Until(lambda: len(windows) == 2, "the preferences are open")
    yield 1.5
    screen.keep((yield "preferences"), "preferences", screen.box_of_window(windows[1]))


def _training(screen: Screen) -> Walk:
    """The checklist, then a training under way and its avatar so far."""
    settings = bpy.context.scene.headgas_training
    settings.capture, settings.folder = str(material(screen) / "capture"), str(screen.folder / "run")
    settings.length, settings.minutes, settings.device = 'TIME', 2 * _TRAINED / 60, 'CPU'
    settings.imports, settings.shows = False, False
    left, top, width, height = sidebar = box_of(region_of(screen.area(), 'UI'))
    screen.click(left + 120, top + _TITLE)
    yield 1.0
    with screen.over():
        bpy.ops.headgas.check_capture()
    yield 30.0
    screen.keep((yield "checked"), "train_check", sidebar)
    screen.click(left + 120, top + _TITLE)
    with screen.over():
        bpy.ops.headgas.train_avatar()
    yield _TRAINED
    with screen.over():
        bpy.ops.headgas.import_run(run=1)
    yield from face(screen)
    screen.keep((yield "training"), "train", box_of(region_of(screen.area())), 60)
    bpy.ops.headgas.control_run(run=1, wish='STOP')
    for obj in list(bpy.context.scene.objects):
        bpy.data.objects.remove(obj)
    yield 5.0


def _viewport(screen: Screen) -> Walk:
    """The avatar from the side, within a ring."""
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
