# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The avatar through parallel rays, in local view, through a zoomed and shifted camera, beside another, late, and not
to be had."""

import os
import signal
import sys

import bpy
import numpy as np
from mathutils import Vector

from .harness import Picture, Screen, Until, Walk, in_view
from .product import ADDON, SKIN, avatar, egg, face, import_avatar, install, material, open_sidebar, settled, shape_key

_FOREHEAD, _LIP = Vector(egg(0.055)), Vector(egg(-0.06))
_NEAR = 2  # of 255


def walk(screen: Screen) -> Walk:
    yield from install(screen)
    yield from import_avatar(screen)
    view = screen.area()
    region_3d = view.spaces.active.region_3d
    region_3d.view_perspective = 'ORTHO'
    yield 0.5
    yield from settled()
    _check((yield "orthographic"), view, _FOREHEAD)
    yield from _local_view(screen, view)
    yield from _camera(screen, view)
    yield from face(screen)
    yield from _late(screen, view)
    yield from _two(screen, view)
    yield from _none(screen, view)


def _local_view(screen: Screen, view: bpy.types.Area) -> Walk:
    mesh = bpy.data.meshes.new("speck")
    mesh.from_pydata([(0.3, 0.0, 0.0), (0.31, 0.0, 0.0), (0.3, 0.0, 0.01)], [], [(0, 1, 2)])
    speck = bpy.data.objects.new("speck", mesh)
    bpy.context.scene.collection.objects.link(speck)
    shown = avatar()
    for obj, is_seen in ((speck, False), (shown, True)):
        with screen.over():
            bpy.ops.object.select_all(action='DESELECT')
            obj.select_set(True)
            bpy.context.view_layer.objects.active = obj
            bpy.ops.view3d.localview(frame_selected=False)
        yield 0.5
        yield from settled()
        picture = yield f"local_view_of_{'the_avatar' if is_seen else 'another'}"
        assert (_distance(picture, view, _FOREHEAD) <= _NEAR) == is_seen, f"in local view: {not is_seen}"
        with screen.over():
            bpy.ops.view3d.localview(frame_selected=False)
    bpy.data.objects.remove(speck)


def _camera(screen: Screen, view: bpy.types.Area) -> Walk:
    """A shifted camera; its view zoomed, and moved within the window."""
    with screen.over():
        bpy.ops.headgas.set_up_scene()
    region_3d, camera = view.spaces.active.region_3d, bpy.context.scene.camera.data
    camera.shift_x, camera.shift_y = 0.12, -0.08
    region_3d.view_camera_zoom, region_3d.view_camera_offset = 14.0, (0.08, 0.05)
    assert region_3d.view_perspective == 'CAMERA'
    yield 1.0
    yield from settled()
    picture = yield "zoomed_and_shifted"
    _check(picture, view, _FOREHEAD)
    lips = _color(picture, view, _LIP)
    assert np.abs(lips - SKIN).max() > 20, f"no lips where they should be: {lips}"
    camera.shift_x = camera.shift_y = 0.0
    region_3d.view_camera_zoom, region_3d.view_camera_offset = 0.0, (0.0, 0.0)


def _late(screen: Screen, view: bpy.types.Area) -> Walk:
    """While the backend does not answer, the frame that is shown says which it is."""
    scene, running = bpy.context.scene, sys.modules[f"{ADDON}.client"].running()
    for frame, value in ((1, 0.0), (24, 1.0)):
        shape_key("jawOpen").value = value
        shape_key("jawOpen").keyframe_insert("value", frame=frame)
    scene.frame_set(1)
    yield 0.3
    yield from settled()
    early = yield "in_step"
    assert _lines(screen) == []
    os.kill(running.pid, signal.SIGSTOP)
    try:
        scene.frame_set(24)
        yield 1.0
        late = yield "late"
        assert _lines(screen)[-1] == "avatars of frame 1", _lines(screen)
        assert np.abs(_color(late, view, _LIP) - _color(early, view, _LIP)).max() <= _NEAR, "the last frame is gone"
    finally:
        os.kill(running.pid, signal.SIGCONT)
    yield from settled()
    caught_up = yield "caught_up"
    assert _lines(screen) == []
    assert np.abs(_color(caught_up, view, _LIP) - _color(early, view, _LIP)).max() > 60, "the mouth did not open"
    scene.frame_set(1)


def _two(screen: Screen, view: bpy.types.Area) -> Walk:
    """Of two avatars the nearer hides the farther."""
    with screen.over():
        bpy.ops.headgas.import_avatar(filepath=str(material(screen) / "head" / "avatar.safetensors"))
    mesh = bpy.context.view_layer.objects.active
    mover = mesh.parent or mesh
    for name, way in (("before", Vector((0.05, -0.15, 0.0))), ("behind", Vector((0.05, 0.3, 0.0)))):
        mover.location = way
        yield 0.5
        yield from settled()
        picture = yield f"another_{name}"
        lips = np.abs(_color(picture, view, _LIP + way) - SKIN).max()
        assert (lips > 20) == (name == "before"), f"another avatar {name}: its lips differ from skin by {lips}"
        _check(picture, view, _FOREHEAD)
        _check(picture, view, Vector(egg(0.0, 0.055)) + way)
    mover.location = (0.0, 0.0, 0.0)
    bpy.data.objects.remove(mesh)


def _none(screen: Screen, view: bpy.types.Area) -> Walk:
    """Without a backend the control mesh stands in, and the panel says what to do."""
    client = sys.modules[f"{ADDON}.client"]
    drawing = sys.modules[f"{ADDON}.overlay"].overlay()
    preferences = bpy.context.preferences.addons[ADDON].preferences
    preferences.backend_python = "/nowhere/python"
    client.stop()
    shape_key("jawOpen").value = 0.3
    yield from open_sidebar(screen)
    yield Until(lambda: drawing.failure, "the failure is told")
    yield 1.0
    picture = yield "no_backend"
    red, _, blue = _color(picture, view, _FOREHEAD)
    assert red > blue + 15, "the control mesh does not stand in in its colours"
    assert any("/nowhere" in line for line in _lines(screen)), _lines(screen)
    preferences.backend_python = ""
    bpy.ops.headgas.retry_viewport()
    yield from settled()
    _check((yield "backend_again"), view, _FOREHEAD)


def _lines(screen: Screen) -> list[str]:
    with screen.over():
        return sys.modules[f"{ADDON}.overlay"].overlay().lines(bpy.context)


def _check(picture: Picture, view: bpy.types.Area, point: Vector) -> None:
    assert _distance(picture, view, point) <= _NEAR, f"{_color(picture, view, point)}, not {SKIN}"


def _distance(picture: Picture, view: bpy.types.Area, point: Vector) -> float:
    return float(np.abs(_color(picture, view, point) - SKIN).max())


def _color(picture: Picture, view: bpy.types.Area, point: Vector) -> np.ndarray:
    return picture.around(*in_view(view, point))
