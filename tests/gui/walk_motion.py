# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ways to move an avatar: solo and mute, mapping files, a phone, poses as assets; and its photographs beside it."""

import itertools
import json
import socket
import struct
import sys
from pathlib import Path

import bpy
import numpy as np

from .harness import Picture, Screen, Until, Walk, in_view, region_of
from .product import (
    ADDON,
    SKIN,
    WALL,
    avatar,
    egg,
    face,
    import_avatar,
    install,
    material,
    open_sidebar,
    settled,
    shape_key,
)

_LIP, _FOREHEAD, _CHEEKS = egg(-0.06), egg(0.055), (egg(-0.02, -0.045), egg(-0.02, 0.045))
_NEAR = 2  # of 255
_JAW_OPEN, _SMILES, _YAW = 17, (23, 24), 52  # places in a phone's packet
_PACKETS = 40


def walk(screen: Screen) -> Walk:
    yield from install(screen)
    yield from import_avatar(screen)
    yield from open_sidebar(screen)
    yield from _mute(screen)
    yield from _map(screen)
    yield from _live(screen)
    yield from _pose(screen)
    yield from _photographs(screen)


def _mute(screen: Screen) -> Walk:
    """What is muted rests; what plays alone is all that plays."""
    jaw, keys = shape_key("jawOpen"), avatar().data.shape_keys
    jaw.value = 1.0
    opened = yield from _lip(screen, "open")
    jaw.mute = True
    closed = yield from _lip(screen, "muted")
    assert np.abs(opened - closed).max() > 60, f"a muted channel plays: {opened}, {closed}"
    with screen.over():
        bpy.ops.headgas.solo_channel(channel="browInnerUp")
        assert [key.name for key in keys.key_blocks[1:] if not key.mute] == ["browInnerUp"]
        bpy.ops.headgas.solo_channel(channel="jawOpen")
    alone = yield from _lip(screen, "alone")
    assert np.abs(alone - opened).max() <= _NEAR, f"alone it does not play: {alone}"
    with screen.over():
        bpy.ops.headgas.solo_channel(channel="jawOpen")
    assert [key.name for key in keys.key_blocks if key.mute] == ["jawOpen"], "what was muted before is muted again"
    with screen.over():
        bpy.ops.headgas.unmute_all()
        bpy.ops.headgas.reset_expression(scope='ALL')
    assert not any(key.mute for key in keys.key_blocks) and jaw.value == 0.0


def _map(screen: Screen) -> Walk:
    """A file gives the avatar one channel for all of its mouth; it is saved, taken away and loaded again."""
    path, again = Path.home() / "mouth.json", Path.home() / "again.json"
    content = {"format": "headgas-mapping", "version": 1, "names_in": ["shout"], "names_out": ["jawOpen"]}
    path.write_text(json.dumps(content | {"matrix": [[1.0]]}), encoding="utf-8")
    with screen.over():
        bpy.ops.headgas.load_mapping('INVOKE_DEFAULT')
    yield from _browse(screen, path)
    closed = yield from _lip(screen, "mapped")
    shape_key("shout").value = 1.0
    opened = yield from _lip(screen, "shouting")
    assert np.abs(opened - closed).max() > 60, f"the mapping does nothing: {closed}, {opened}"
    with screen.over():
        bpy.ops.headgas.save_mapping('INVOKE_DEFAULT', licence="CC0-1.0")
    yield from _browse(screen, again)
    saved = json.loads(again.read_text(encoding="utf-8"))
    assert (saved["names_in"], saved["matrix"], saved["licence"]) == (["shout"], [[1.0]], "CC0-1.0")
    with screen.over():
        bpy.ops.headgas.clear_mapping()
    cleared = yield from _lip(screen, "cleared")
    assert np.abs(cleared - closed).max() <= _NEAR, f"the mapping still does something: {cleared}"
    with screen.over():
        bpy.ops.headgas.load_mapping('INVOKE_DEFAULT')
    yield from _browse(screen, again)
    loaded = yield from _lip(screen, "loaded_again")
    assert np.abs(loaded - opened).max() <= _NEAR
    with screen.over():
        bpy.ops.headgas.clear_mapping()
        bpy.ops.headgas.reset_expression(scope='ALL')


def _browse(screen: Screen, path: Path) -> Walk:
    """Chooses a file in the file browser that opens."""
    windows = bpy.context.window_manager.windows
    yield Until(lambda: len(windows) == 2, "the file browser is open")
    yield 1.0
    window = windows[1]
    params = next(area for area in window.screen.areas if area.type == 'FILE_BROWSER').spaces.active.params
    params.directory, params.filename = str(path.parent).encode(), path.name
    yield 0.5
    left, top, width, height = screen.box_of_window(window)
    screen.move(left + width / 2, top + height / 2)
    yield 0.5
    screen.press("Return")
    yield Until(lambda: len(windows) == 1, "the file browser is gone")


def _live(screen: Screen) -> Walk:
    """A phone opens the mouth and turns the head; what it sends becomes keys."""
    live = sys.modules[f"{ADDON}.rig.live"]
    settings = live.live_settings()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        settings.address, settings.port = free.getsockname()
    closed = yield from _lip(screen, "before_live")
    phone, head = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), avatar().parent.pose.bones["head"]
    rest = head.matrix.copy()
    with screen.over():
        bpy.ops.headgas.start_live()
    numbers = itertools.count()

    def send(share: float) -> bool:
        phone.sendto(_packet(next(numbers), share, 0.3 * share), (settings.address, settings.port))
        return live.session().lamp() == 'GREEN'

    yield Until(lambda: send(0.0), "the lamp is green")  # this pose is the head's zero
    with screen.over():
        bpy.ops.headgas.record_live()
    for step in range(1, _PACKETS + 1):
        send(step / _PACKETS)
        yield 1 / 60
    yield Until(lambda: shape_key("jawOpen").value > 0.999, "the last packet is shown")
    assert head.matrix.to_quaternion().rotation_difference(rest.to_quaternion()).angle > 0.2, "the head did not turn"
    yield from settled()
    yield "live"
    phone.close()
    with screen.over():
        bpy.ops.headgas.record_live()
        bpy.ops.headgas.stop_live()
    action = avatar().data.shape_keys.animation_data.action
    curve = next(curve for curve in action.fcurves if curve.data_path == 'key_blocks["jawOpen"].value')
    values = [point.co.y for point in curve.keyframe_points]
    assert len(values) > 5 and values == sorted(values) and values[-1] > 0.9, f"keys: {values}"
    for owner in (avatar().data.shape_keys, avatar().parent):
        owner.animation_data.action = None
    with screen.over():
        bpy.ops.headgas.reset_expression(scope='ALL')
    head.matrix_basis.identity()
    calm = yield from _lip(screen, "after_live")
    assert np.abs(calm - closed).max() <= _NEAR, f"{closed}, then {calm}"


def _pose(screen: Screen) -> Walk:
    """An expression becomes an asset; a double click on it gives the expression back."""
    shape_key("jawOpen").value = 1.0
    opened = yield from _lip(screen, "posed")
    rig = avatar().parent
    with screen.over():
        bpy.ops.headgas.add_face_bones()
        bpy.ops.headgas.save_pose_asset(pose_name="Shout")
        bpy.ops.headgas.reset_expression(scope='ALL')
        bpy.ops.object.select_all(action='DESELECT')
        rig.select_set(True)
        bpy.context.view_layer.objects.active = rig
        bpy.ops.object.mode_set(mode='POSE')
        bpy.ops.pose.select_all(action='DESELECT')
    assert shape_key("jawOpen").value == 0.0
    area = screen.area('PROPERTIES')
    area.ui_type = 'ASSETS'
    yield Until(lambda: area.spaces.active.params is not None, "the asset browser is there")
    area.spaces.active.params.asset_library_reference = 'LOCAL'
    area.spaces.active.show_region_toolbar = False
    yield 2.0
    window = region_of(area)
    yield "asset_browser"
    screen.double_click(window.x + 50, screen.window.height - window.y - window.height + 50)
    yield Until(lambda: shape_key("jawOpen").value > 0.99, "the asset gives the expression back")
    area.ui_type = 'PROPERTIES'
    posed = yield from _lip(screen, "pose_from_asset")
    assert np.abs(posed - opened).max() <= _NEAR, f"{opened}, then {posed}"
    with screen.over():
        bpy.ops.object.mode_set(mode='OBJECT')
        bpy.ops.headgas.reset_expression(scope='ALL')


def _photographs(screen: Screen) -> Walk:
    """They lie where the avatar does, in its colours; the wipe shows as much of them as it should."""
    with screen.over():
        bpy.ops.headgas.compare_with_capture(
            filepath=str(material(screen) / "photographs" / "capture.json"), use_size=True, start=1
        )
    scene, view = bpy.context.scene, screen.area()
    comparison = scene.camera.data.headgas_comparison
    yield 1.0
    yield from settled()
    under = yield "photograph_under"
    comparison.mode, comparison.position = 'WIPE', 0.5
    yield 0.5
    wiped = yield "photograph_wipe"
    for cheek in _CHEEKS:
        assert _distance(wiped, view, cheek, SKIN) <= _NEAR, f"a cheek is {_color(wiped, view, cheek)}, not {SKIN}"
    left, right = (_color(wiped, view, (x, 0.0, 0.1)) for x in (-0.11, 0.11))
    assert np.abs(left - WALL).max() <= _NEAR and np.abs(right - WALL).max() > 60, f"the wall is {left} and {right}"
    view.spaces.active.overlay.show_bones = False
    comparison.position = 1.0
    photograph = yield "photograph_alone"
    comparison.position = 0.0
    alone = yield "avatar_alone"
    same = [_is_skin(picture.of(region_of(view))) for picture in (photograph, alone)]
    share = (same[0] & same[1]).sum() / (same[0] | same[1]).sum()
    view.spaces.active.overlay.show_bones = True
    assert share > 0.95, f"photograph and avatar cover each other by {share:.3f}"
    assert _distance(under, view, _FOREHEAD, SKIN) <= _NEAR and _distance(under, view, (0.11, 0.0, 0.1), WALL) <= _NEAR
    comparison.mode = 'BESIDE'
    scene.frame_set(2)
    yield 1.0
    yield from settled()
    beside = (yield "photograph_beside").of(region_of(view))
    wall = np.abs(beside.astype(int) - WALL).max(-1) <= _NEAR
    width, height = (np.ptp(np.flatnonzero(wall.any(axis))) for axis in (0, 1))
    assert width > 50 and abs(width - height) <= 2, f"{width} × {height} pixels are seen of a square photograph"
    with screen.over():
        bpy.ops.headgas.clear_comparison()
    assert not bpy.data.images.get("0.png") and "photographs" not in (scene.camera.name if scene.camera else "")
    yield from face(screen)


def _packet(frame: int, share: float, yaw: float) -> bytes:
    """A datagram as the app sends it."""
    values = [0.0] * 61
    values[_JAW_OPEN], values[_YAW] = share, yaw
    for place in _SMILES:
        values[place] = 0.5 * share
    names = (b"3C2A5B1E-0000-4000-8000-0123456789AB", b"phone")
    texts = b"".join(struct.pack(">i", len(name)) + name for name in names)
    return b"\x06" + texts + struct.pack(">ifii", frame, 0.0, 60, 1) + struct.pack(">B61f", 61, *values)


def _lip(screen: Screen, name: str) -> Walk:
    """The colour of the lower lip once the viewport has settled."""
    yield 0.3
    yield from settled()
    return _color((yield name), screen.area(), _LIP)


def _is_skin(pixels: np.ndarray) -> np.ndarray:
    return np.abs(pixels.astype(int) - SKIN).max(-1) <= _NEAR


def _distance(picture: Picture, view: bpy.types.Area, point, color) -> float:
    return float(np.abs(_color(picture, view, point) - color).max())


def _color(picture: Picture, view: bpy.types.Area, point) -> np.ndarray:
    return picture.around(*in_view(view, point), half=3)
