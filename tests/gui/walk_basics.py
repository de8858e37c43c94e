# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Installs the zip, imports an avatar, keys it, plays, orbits, undoes, renders, saves and opens it again."""

import os
import signal
import sys
import time

import bpy
import numpy as np

from .harness import Picture, Screen, Until, Walk, box_of, in_render, region_of
from .product import ADDON, SKIN, egg, face, import_avatar, install, open_sidebar, settled, shape_key

_LAST = 24  # frame
_ESC = 0.5  # seconds until a render has ended
_KEY = 0.3  # seconds from the order to press a key until Blender has it


def walk(screen: Screen) -> Walk:
    yield from install(screen)
    empty = yield "installed"
    yield from import_avatar(screen)
    yield from open_sidebar(screen)
    imported = yield "imported"
    view = screen.area()
    assert _changed(empty, imported, view) > 0.1, "the avatar is not to be seen"
    yield from _key_and_play(screen, view)
    yield from _orbit_and_undo(screen, view)
    yield from _save_and_reload(screen)
    yield from _render(screen)


def _key_and_play(screen: Screen, view: bpy.types.Area) -> Walk:
    scene = bpy.context.scene
    scene.frame_end = _LAST
    for frame, value in ((1, 0.0), (_LAST, 1.0)):
        scene.frame_set(frame)
        shape_key("jawOpen").value = value
        with screen.over():
            bpy.ops.headgas.key_expression(only_changed=False)
    keyed = yield "keyed"
    assert abs(shape_key("jawOpen").value - 1.0) < 1e-6
    scene.frame_set(1)
    rest = yield "first_frame"
    assert _changed(keyed, rest, view, 'UI') > 0.001, "the slider did not follow the timeline"
    screen.move(*_middle(view))
    screen.press("space")
    yield Until(lambda: screen.window.screen.is_animation_playing, "Space plays")
    yield Until(lambda: scene.frame_current > 3, "the timeline runs")
    yield "playing"
    screen.press("space")
    yield Until(lambda: not screen.window.screen.is_animation_playing, "Space stops")
    scene.frame_set(_LAST)


def _orbit_and_undo(screen: Screen, view: bpy.types.Area) -> Walk:
    region_3d = view.spaces.active.region_3d
    before, was = (yield "stopped"), region_3d.view_rotation.copy()
    x, y = _middle(view)
    yield from screen.drag((x, y), (x + 150, y + 60), button=2)
    yield Until(lambda: region_3d.view_rotation.rotation_difference(was).angle > 0.2, "the middle button orbits")
    yield from settled()
    orbited = yield "orbited"
    assert _changed(before, orbited, view) > 0.05
    with screen.over():
        bpy.ops.ed.undo_push(message="Before")
        bpy.ops.headgas.reset_expression('INVOKE_DEFAULT', True, scope='ALL')
    yield 0.3
    assert shape_key("jawOpen").value == 0.0
    screen.move(x, y)
    screen.press("ctrl+z")
    yield Until(lambda: shape_key("jawOpen").value > 0.9, "Ctrl Z brings the expression back")
    yield from face(screen)
    yield "undone"


def _render(screen: Screen) -> Walk:
    """F12 has the colours that were painted; the mouth opens; a killed backend is started anew."""
    scene = bpy.context.scene
    scene.render.engine, scene.view_settings.view_transform = 'HEADGAS', 'Standard'
    scene.render.resolution_x = scene.render.resolution_y = 320
    camera = scene.camera
    camera.location, camera.rotation_euler, camera.data.lens = (0.0, -0.6, 0.0), (np.pi / 2, 0.0, 0.0), 60.0
    scene.frame_set(1)
    forehead, lip = yield from _f12(screen, "rendered", (0.055, -0.06))
    assert np.abs(forehead - SKIN).max() <= 2, f"the forehead is {forehead}"
    scene.frame_set(_LAST)
    client = sys.modules[f"{ADDON}.client"]
    pid = client.running().pid
    os.kill(pid, signal.SIGKILL)
    (opened,) = yield from _f12(screen, "rendered_by_a_new_backend", (-0.06,))
    assert client.running().pid != pid
    assert np.abs(opened - lip).max() > 60, f"the mouth did not open: {lip}, then {opened}"
    yield from _esc(screen, client.running().pid)


def _esc(screen: Screen, backend: int) -> Walk:
    """Esc ends a render within half a second, whatever the backend does; longer where others use the cores, too."""
    shape_key("jawOpen").value = 0.5  # another picture than the last
    os.kill(backend, signal.SIGSTOP)
    try:
        yield from _start_render(screen)
        yield "rendering"
        screen.press("Escape")
        pressed = time.monotonic()
        yield Until(lambda: not bpy.app.is_job_running('RENDER'), "Esc ends the render", 10)
        seconds = time.monotonic() - pressed
    finally:
        os.kill(backend, signal.SIGCONT)
    busy = max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
    print(f"Esc took {seconds:.2f} seconds, the key's way included, on a machine that is {busy:.1f} times as busy")
    assert seconds < busy * (_ESC + _KEY), f"Esc took {seconds:.2f} seconds, {busy:.1f} would run for each core"


def _save_and_reload(screen: Screen) -> Walk:
    path = str(screen.folder / "saved.blend")
    with screen.over():
        bpy.ops.wm.save_as_mainfile(filepath=path)
        bpy.ops.wm.read_homefile(use_factory_startup=False)
    yield 0.5
    with screen.over():
        bpy.ops.wm.open_mainfile(filepath=path)
    yield Until(lambda: bpy.data.filepath == path, "the file is open")
    yield from open_sidebar(screen)
    bpy.context.scene.frame_set(_LAST)
    assert shape_key("jawOpen").value > 0.99
    yield from settled()
    yield "reloaded"


def _f12(screen: Screen, name: str, heights: tuple[float, ...]) -> Walk:
    """Renders a frame by the key, and gives the colours of the face at some heights. Closes the render's window.

    Only keys from now on: where a render begins while panels are drawn, Blender 4.3 takes Python for drawing ever
    after, and refuses operators that are not run by a key or a button.
    """
    windows = bpy.context.window_manager.windows
    yield from _start_render(screen)
    yield Until(lambda: not bpy.app.is_job_running('RENDER'), "the frame is rendered", 600)
    yield 0.5
    picture = yield name
    colors = [picture.around(*in_render(windows[1], egg(height))) for height in heights]
    screen.move(*in_render(windows[1], (0.0, 0.0, 0.0)))
    screen.press("Escape")
    yield Until(lambda: len(windows) == 1, "Esc closes the render's window")
    return colors


def _start_render(screen: Screen) -> Walk:
    """F12 until the render's window is there: a key is lost while nobody has the focus, after a window was closed."""
    windows = bpy.context.window_manager.windows
    for _ in range(20):
        if len(windows) == 1:
            screen.move(*_middle(screen.area()))
            screen.press("F12")
            yield 3.0
    yield Until(lambda: len(windows) > 1, "F12 renders")  # its job begins with the window


def _changed(one: Picture, other: Picture, area: bpy.types.Area, region: str = 'WINDOW') -> float:
    """The share of the region's pixels that differ between two pictures."""
    where = region_of(area, region)
    difference = np.abs(one.of(where).astype(int) - other.of(where)).max(-1)
    return float((difference > 12).mean())


def _middle(area: bpy.types.Area) -> tuple[float, float]:
    left, top, width, height = box_of(region_of(area))
    return left + width / 2, top + height / 2
