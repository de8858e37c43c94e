# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The avatar in the viewport: its colours in every shading mode, among meshes, in other views, without a backend."""

import os
import signal
import sys
from collections.abc import Sequence

import bpy
import numpy as np

from .harness import Picture, Screen, Until, Walk, in_view
from .product import ADDON, SKIN, egg, face, import_avatar, install, settled, shape_key

_FOREHEAD, _LIP, _CHEEK = egg(0.055), egg(-0.06), egg(-0.01, 0.05)
_NEAR = 2  # of 255, between the colour that was painted and the one on the screen
_MESH = (0.0, 0.8, 0.0)


def walk(screen: Screen) -> Walk:
    yield from install(screen)
    yield from import_avatar(screen)
    view = screen.area()
    imported = yield "imported"
    _check(imported, view, _FOREHEAD, SKIN)
    yield from _follow(screen, view, imported)
    yield from _occlude(screen, view)
    yield from _shade(screen, view)
    yield from _turn(screen, view)
    yield from _lose(screen, view)
    client = sys.modules[f"{ADDON}.client"]
    with screen.over():
        bpy.ops.preferences.addon_disable(module=ADDON)
    yield 0.5
    assert client.running() is None and not hasattr(bpy.types, "HEADGAS_PT_render")
    gone = yield "unregistered"
    assert _distance(gone, view, _FOREHEAD, SKIN) > 20, "the avatar is still drawn"
    red, _, blue = _color(gone, view, _FOREHEAD)
    assert red > blue + 15, f"its brown mesh is not seen either: {_color(gone, view, _FOREHEAD)}"
    with screen.over():
        bpy.ops.preferences.addon_enable(module=ADDON)
    yield 1.0
    yield from settled()
    _check((yield "enabled_again"), view, _FOREHEAD, SKIN)


def _follow(screen: Screen, view: bpy.types.Area, closed: Picture) -> Walk:
    """A shape key opens the mouth."""
    shape_key("jawOpen").value = 1.0
    yield 0.3
    yield from settled()
    opened = yield "mouth_open"
    before, after = (_color(picture, view, _LIP) for picture in (closed, opened))
    assert np.abs(before - after).max() > 60, f"the mouth did not open: {before}, then {after}"
    _check(opened, view, _FOREHEAD, SKIN)
    shape_key("jawOpen").value = 0.0


def _occlude(screen: Screen, view: bpy.types.Area) -> Walk:
    """A green plane before the left cheek, and one behind the head."""
    material = bpy.data.materials.new("green")
    material.diffuse_color = (*_MESH, 1.0)
    planes = []
    for name, (x, y, z), size in (("before", (_CHEEK[0], -0.2, _CHEEK[2]), 0.03), ("behind", (0.0, 0.3, 0.0), 0.3)):
        corners = [(x + a * size, y, z + b * size) for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
        mesh = bpy.data.meshes.new(name)
        mesh.from_pydata(corners, [], [(0, 1, 2, 3)])
        mesh.materials.append(material)
        planes.append(bpy.data.objects.new(name, mesh))
        bpy.context.scene.collection.objects.link(planes[-1])
    yield 0.5
    yield from settled()
    picture = yield "occluded"
    _check(picture, view, _FOREHEAD, SKIN)
    for point in (_CHEEK, (0.2, 0.3, 0.0)):
        red, green, _ = _color(picture, view, point)
        assert green > red + 60, f"the plane is hidden: {_color(picture, view, point)}"
    yield from _occlude_in_wireframe(screen, view)
    for plane in planes:
        bpy.data.objects.remove(plane)


def _occlude_in_wireframe(screen: Screen, view: bpy.types.Area) -> Walk:
    """A wire before the cheek lies over it; without X-ray its plane hides the cheek."""
    shading = view.spaces.active.shading
    shading.type = 'WIREFRAME'
    yield 1.0
    picture, wire = (yield "wires"), in_view(view, (_CHEEK[0] - 0.03, -0.2, _CHEEK[2]))  # the middle of an edge
    assert np.abs(picture.around(*wire, half=3) - SKIN).max() > 20, "the nearer wire is not seen"
    _check(picture, view, _CHEEK, SKIN)
    shading.show_xray_wireframe = False
    yield 1.0
    assert _distance((yield "hidden_wires"), view, _CHEEK, SKIN) > 60, "the plane does not hide the cheek"
    shading.show_xray_wireframe, shading.type = True, 'SOLID'


def _shade(screen: Screen, view: bpy.types.Area) -> Walk:
    shading = view.spaces.active.shading
    for kind in ('WIREFRAME', 'MATERIAL', 'SOLID'):
        shading.type = kind
        yield 1.0
        yield from settled()
        _check((yield kind.lower()), view, _FOREHEAD, SKIN)


def _turn(screen: Screen, view: bpy.types.Area) -> Walk:
    """The camera's view, and four views at once."""
    with screen.over():
        bpy.ops.headgas.set_up_scene()
    yield 1.0
    yield from settled()
    _check((yield "camera"), view, _FOREHEAD, SKIN)
    yield from face(screen)
    with screen.over():
        bpy.ops.screen.region_quadview()
    yield 1.0
    yield from settled()
    picture = yield "four_views"
    quarters = [picture.of(region) for region in view.regions if region.type == 'WINDOW']
    skin = [float((np.abs(quarter.astype(int) - SKIN).max(-1) <= _NEAR).mean()) for quarter in quarters]
    assert len(skin) == 4 and all(share > 0.005 for share in skin), f"the share of skin in each view: {skin}"
    with screen.over():
        bpy.ops.screen.region_quadview()
    yield from face(screen)


def _lose(screen: Screen, view: bpy.types.Area) -> Walk:
    """A backend that is killed comes back by itself."""
    client = sys.modules[f"{ADDON}.client"]
    pid = client.running().pid
    os.kill(pid, signal.SIGKILL)
    shape_key("jawOpen").value = 0.5
    yield Until(lambda: client.running() is not None and client.running().pid != pid, "the backend comes back", 600)
    yield from settled()
    _check((yield "backend_back"), view, _FOREHEAD, SKIN)


def _check(picture: Picture, view: bpy.types.Area, point: Sequence[float], color: Sequence[float]) -> None:
    assert _distance(picture, view, point, color) <= _NEAR, f"{_color(picture, view, point)}, not {color}"


def _distance(picture: Picture, view: bpy.types.Area, point: Sequence[float], color: Sequence[float]) -> float:
    return float(np.abs(_color(picture, view, point) - color).max())


def _color(picture: Picture, view: bpy.types.Area, point: Sequence[float]) -> np.ndarray:
    return picture.around(*in_view(view, point))
