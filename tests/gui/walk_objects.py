# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""An avatar as an object like others: deleted and undone, selected by box and lasso, seen through, inspected."""

import bpy
import numpy as np

from .harness import Picture, Screen, Until, Walk, box_of, in_view, region_of
from .product import SKIN, avatar, egg, face, import_avatar, install, open_sidebar, settled

_FOREHEAD, _LIP, _CHIN, _CHEEK = egg(0.055), egg(-0.054), egg(-0.08), egg(-0.01, 0.05)
_NEAR = 2  # of 255
_GREEN = (0.0, 0.8, 0.0)


def walk(screen: Screen) -> Walk:
    yield from install(screen)
    yield from import_avatar(screen)
    yield from open_sidebar(screen)
    yield from face(screen)
    yield from _delete(screen)
    yield from _select(screen)
    yield from _see_through(screen)
    yield from _inspect(screen)


def _delete(screen: Screen) -> Walk:
    """By the key, and back by another."""
    view = screen.area()
    with screen.over():
        bpy.ops.ed.undo_push(message="Before")
    screen.move(*_middle(view))
    yield 0.3
    screen.press("Delete")
    yield Until(lambda: not _avatars(), "Delete removes the avatar")
    yield 0.5
    assert _distance((yield "deleted"), view, _FOREHEAD, SKIN) > 60, "the deleted avatar is still drawn"
    screen.press("ctrl+z")
    yield Until(lambda: len(_avatars()) == 1, "Ctrl Z brings it back")
    yield from settled()
    assert _distance((yield "undeleted"), view, _FOREHEAD, SKIN) <= _NEAR, "it is not drawn any more"
    screen.press("ctrl+shift+z")
    yield Until(lambda: not _avatars(), "Ctrl Shift Z deletes it again")
    screen.press("ctrl+z")
    yield Until(lambda: len(_avatars()) == 1, "Ctrl Z brings it back again")
    yield from settled()


def _select(screen: Screen) -> Walk:
    """Box, lasso and circle take it with what they hold of its middle, and leave it where they hold nothing."""
    view, mesh = screen.area(), avatar()
    x, y = _middle(view)
    with screen.over():
        bpy.ops.object.select_all(action='DESELECT')
    yield 0.3
    screen.press("b")
    yield 0.3
    yield from screen.drag((x - 120, y - 120), (x + 120, y + 120))
    yield Until(mesh.select_get, "a box about it selects the avatar")
    yield "boxed"
    region = region_of(view)
    x, y = region.width // 2, region.height // 2
    around, aside = ((x - 60, y - 60), (x + 60, y - 60), (x, y + 60)), ((20, 20), (60, 20), (40, 60))
    for corners, wanted in ((aside, False), (around, True)):
        path = [{"name": "", "loc": corner, "time": 0.0} for corner in corners]
        (left, low), (right, high) = np.min(corners, 0).tolist(), np.max(corners, 0).tolist()
        with screen.over():
            bpy.ops.view3d.select_lasso(path=path, mode='SET')
            assert mesh.select_get() == wanted, f"lasso {corners}: {not wanted}"
            bpy.ops.object.select_all(action='DESELECT')
            bpy.ops.view3d.select_box(xmin=left, xmax=right, ymin=low, ymax=high, mode='SET', wait_for_input=False)
            assert mesh.select_get() == wanted, f"box {corners}: {not wanted}"
            bpy.ops.object.select_all(action='DESELECT')
            bpy.ops.view3d.select_circle(x=(left + right) // 2, y=(low + high) // 2, radius=40, mode='SET')
            assert mesh.select_get() == wanted, f"circle {corners}: {not wanted}"
    yield 0.3
    view.spaces.active.shading.type = 'WIREFRAME'
    yield 0.5
    yield from settled()
    yield "selected_in_wireframe"
    view.spaces.active.shading.type = 'SOLID'


def _see_through(screen: Screen) -> Walk:
    """X-ray: a mesh before the avatar and the avatar are seen through each other."""
    view, material = screen.area(), bpy.data.materials.new("green")
    material.diffuse_color = (*_GREEN, 1.0)
    x, _, z = _CHEEK
    corners = [(x + a * 0.03, -0.2, z + b * 0.03) for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
    mesh = bpy.data.meshes.new("before")
    mesh.from_pydata(corners, [], [(0, 1, 2, 3)])
    mesh.materials.append(material)
    plane = bpy.data.objects.new("before", mesh)
    bpy.context.scene.collection.objects.link(plane)
    yield 0.3
    yield from settled()
    covered = _color((yield "covered"), view, _CHEEK)
    view.spaces.active.shading.show_xray = True
    yield 0.5
    through = _color((yield "x_ray"), view, _CHEEK)
    red, green, _ = through
    assert covered[1] > covered[0] + 60, f"the plane is hidden: {covered}"
    assert red > covered[0] + 20 and green > np.array(SKIN)[1] * 0.5, f"not both are seen: {through}"
    view.spaces.active.shading.show_xray = False
    bpy.data.objects.remove(plane)
    yield from settled()


def _inspect(screen: Screen) -> Walk:
    """Opacity, feature basis and the influence of a parameter."""
    view, settings = screen.area(), bpy.context.scene.headgas_viewport
    seen = {}
    settings.parameter = "jawOpen"
    for mode in ('OPACITY', 'FEATURES', 'INFLUENCE'):
        settings.mode = mode
        yield 0.3
        yield from settled()
        picture = yield mode.lower()
        seen[mode] = [_color(picture, view, point) for point in (_FOREHEAD, _LIP, _CHIN)]
    assert np.min(seen['OPACITY']) > 250, f"it is not opaque: {seen}"
    assert np.abs(seen['FEATURES'][0] - seen['FEATURES'][1]).max() > 60, f"lip and forehead are alike: {seen}"
    assert seen['INFLUENCE'][0].max() < 20 and seen['INFLUENCE'][2][0] > 60, f"the jaw does not move the chin: {seen}"
    settings.mode = 'COLOR'
    yield from settled()


def _avatars() -> list[bpy.types.Object]:
    return [obj for obj in bpy.context.scene.objects if obj.headgas.is_avatar]


def _distance(picture: Picture, view: bpy.types.Area, point, color) -> float:
    return float(np.abs(_color(picture, view, point) - color).max())


def _color(picture: Picture, view: bpy.types.Area, point) -> np.ndarray:
    return picture.around(*in_view(view, point))


def _middle(area: bpy.types.Area) -> tuple[float, float]:
    left, top, width, height = box_of(region_of(area))
    return left + width / 2, top + height / 2
