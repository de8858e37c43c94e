# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What comes onto the screen: colours, occlusion, outlines, stand-ins; and the whole overlay with a stand-in backend.

Blender draws without a window since 5.1 only.
"""

import time
from types import SimpleNamespace

import bpy
import gpu
import numpy as np
import pytest
from avatar_files import write_avatar
from bl_ext.user_default.headgas import client
from bl_ext.user_default.headgas.client import Picture
from bl_ext.user_default.headgas.core.cameras import Camera
from bl_ext.user_default.headgas.overlay import packing, shader
from bl_ext.user_default.headgas.overlay.overlay import Overlay, _opacities
from bl_ext.user_default.headgas.overlay.packing import packed
from bl_ext.user_default.headgas.overlay.shader import Card
from bl_ext.user_default.headgas.overlay.stand_in import StandIns
from bl_ext.user_default.headgas.overlay.view_transform import Table
from mathutils import Matrix

pytestmark = pytest.mark.skipif(not hasattr(gpu, "init"), reason="this Blender draws in windows only")
_SIZE = 64  # pixels
_FRONT = np.array([[1.0, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, -1.0], [0, 0, 0, 1]])  # from (0, -1, 0), OpenGL's axes
_CAMERA = np.diag([1.0, -1.0, -1.0, 1.0]) @ _FRONT
_PERSPECTIVE = np.array([[2.0, 0, 0, 0], [0, 2.0, 0, 0], [0, 0, -1.02, -0.202], [0, 0, -1, 0]])  # 0.1 to 10.1 m
_PARALLEL = np.array([[2.0, 0, 0, 0], [0, 2.0, 0, 0], [0, 0, -0.2, -1.02], [0, 0, 0, 1]])


@pytest.fixture
def screen():
    """Draws into 64 pixels: screen(function, depth of what is there) gives [H,W,4], row 0 at the bottom."""
    gpu.init()
    buffer = gpu.types.GPUOffScreen(_SIZE, _SIZE, format='RGBA32F')

    def draw(function, depth=1.0):
        with buffer.bind():
            target = gpu.state.active_framebuffer_get()
            target.clear(color=(0, 0, 0, 0), depth=depth)
            function()
            pixels = target.read_color(0, 0, _SIZE, _SIZE, 4, 0, 'FLOAT')
        return np.array(pixels.to_list(), np.float32).reshape(_SIZE, _SIZE, 4)

    yield draw
    shader.free()


def _camera(orthographic=False) -> Camera:
    K = np.array([[float(_SIZE), 0, _SIZE / 2], [0, _SIZE, _SIZE / 2], [0, 0, 1]])
    return Camera(_CAMERA, K, _SIZE, _SIZE, 0.1, orthographic)


def _picture() -> tuple[np.ndarray, np.ndarray]:
    """An opaque square of many colours at 1 m, and nothing around it."""
    image = np.zeros((_SIZE, _SIZE, 4), np.float32)
    depth = np.full((_SIZE, _SIZE), 1e10, np.float32)
    image[16:40, 16:48, :3] = np.random.default_rng(0).random((24, 32, 3))
    image[16:40, 16:48, 3], depth[16:40, 16:48] = 1.0, 1.0
    return image, depth


def _card(orthographic=False) -> Card:
    return _filled(packed(Picture(*_picture()), _camera(orthographic)))


def _filled(frame) -> Card:
    card = Card(frame, 1.0)
    while not card.fill():
        pass
    return card


def _on_screen(linear) -> np.ndarray:
    """What has to be written for Blender to show a scene-linear colour as sRGB."""
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055) ** 2.2


@pytest.mark.parametrize("orthographic", [False, True])
def test_through_the_camera_that_took_it_a_frame_keeps_every_pixel_s_colour(screen, orthographic):
    to_clip = (_PARALLEL if orthographic else _PERSPECTIVE) @ _FRONT
    drawn = screen(lambda: _card(orthographic).draw(to_clip, None))[::-1]
    image, _ = _picture()
    assert np.abs(drawn[..., 3] - image[..., 3]).max() < 1e-3
    assert np.abs(drawn[..., :3] - _on_screen(image[..., :3])).max() < 2e-3


@pytest.mark.parametrize("projection", [_PERSPECTIVE, _PARALLEL], ids=["perspective", "orthographic"])
def test_what_is_nearer_hides_the_avatar_and_what_is_farther_does_not(screen, projection):
    image, depth = _picture()
    depth[-1, -1], image[-1, -1, 3] = 3.0, 1.0  # far behind the rest

    def depth_at(metres):
        clip = projection @ (0, 0, -metres, 1)
        return float(clip[2] / clip[3] / 2 + 0.5)

    def drawn(metres):
        card = _filled(packed(Picture(image, depth), _camera(projection is _PARALLEL)))
        return screen(lambda: card.draw(projection @ _FRONT, None), depth_at(metres))[..., 3]

    assert drawn(0.9998).max() == 0.0  # 0.2 mm before it
    assert drawn(1.0002)[24:48, 16:48].min() > 0.999 and drawn(1.0002)[0, -1] == 0.0


def test_a_frame_in_strips_looks_as_if_it_were_whole(screen, monkeypatch):
    aside, seen = np.eye(4), []
    aside[:2, 3] = 0.0123, 0.0321  # between pixels
    for strip in (packing.STRIP, 300):
        monkeypatch.setattr(packing, "STRIP", strip)
        card = _card()
        to_clip = _PERSPECTIVE @ aside @ _FRONT

        def draw(card=card, to_clip=to_clip):
            card.draw(to_clip, None, 0.5)
            card.draw_outline(to_clip, 0, (1.0, 0.5, 0.0), 2.5)

        seen.append(screen(draw))
    assert len(_card()._strips) == 5 and seen[0].max() == 1.0
    assert np.abs(seen[0] - seen[1]).max() < 1e-3


def test_seen_from_elsewhere_the_last_frame_stands_where_the_avatar_stood(screen):
    aside = np.eye(4)
    aside[0, 3] = 0.125  # metres; 64 pixels per metre at 1 m
    here = screen(lambda: _card().draw(_PERSPECTIVE @ _FRONT, None))
    there = screen(lambda: _card().draw(_PERSPECTIVE @ aside @ _FRONT, None))
    assert np.abs(there[:, 8:, 3] - here[:, :-8, 3]).max() < 1e-3


def test_a_coarse_frame_covers_what_a_fine_one_covers(screen):
    image, depth = (values[::2, ::2] for values in _picture())
    K = _camera().K.copy()
    K[:2] /= 2
    coarse = _filled(packed(Picture(image, depth), Camera(_CAMERA, K, _SIZE // 2, _SIZE // 2, 0.1)))
    drawn = screen(lambda: coarse.draw(_PERSPECTIVE @ _FRONT, None))[::-1, :, 3]
    assert (np.abs(drawn - _picture()[0][..., 3]) < 0.01).mean() > 0.9
    assert drawn[18:38, 18:46].min() > 0.99 and drawn[:14].max() == 0.0


def test_a_table_replaces_colours(screen):
    steps = np.linspace(0, 1, 9, dtype=np.float32)
    blue, green, red = np.meshgrid(steps, steps, steps, indexing="ij")
    swapped = Table(np.stack([green, red, blue], -1), reach=1.0)
    drawn = screen(lambda: _card().draw(_PERSPECTIVE @ _FRONT, swapped))[::-1]
    expected = _on_screen(_picture()[0][..., [1, 0, 2]])
    assert np.abs(drawn[..., :3] - expected).max() < 5e-3


def test_one_sees_through_as_far_as_one_is_to(screen):
    full = screen(lambda: _card().draw(_PERSPECTIVE @ _FRONT, None))
    half = screen(lambda: _card().draw(_PERSPECTIVE @ _FRONT, None, 0.5))
    assert np.abs(half - full / 2).max() < 1e-3


def test_behind_what_one_sees_through_an_avatar_is_as_opaque_as_asked(screen):
    front = screen(lambda: _card().draw(_PERSPECTIVE @ _FRONT, None, 1.0, 0.25))
    behind = screen(lambda: _card().draw(_PERSPECTIVE @ _FRONT, None, 1.0, 0.25), 0.5)
    assert front[..., 3].max() > 0.999 and np.abs(behind - front / 4).max() < 1e-3


@pytest.mark.parametrize(
    ("kind", "xray", "expected"),
    [('SOLID', False, (1.0, 0.0)), ('SOLID', True, (0.5, 0.5)), ('WIREFRAME', True, (1.0, 0.5)),
     ('WIREFRAME', False, (1.0, 0.0)), ('MATERIAL', True, (1.0, 0.0))],
)  # fmt: skip
def test_meshes_that_one_sees_through_hide_nothing(kind, xray, expected):
    shading = SimpleNamespace(type=kind, show_xray=xray, show_xray_wireframe=xray, xray_alpha=0.5)
    assert _opacities(shading) == expected


def test_an_outline_goes_around_one_avatar_alone(screen):
    image, depth = _picture()
    coverage = np.stack([image[..., 3], np.zeros_like(depth)])
    coverage[:, :, 32:] = coverage[::-1, :, 32:].copy()  # the right half is the second avatar's
    card, color = _filled(packed(Picture(image, depth, coverage), _camera())), (1.0, 0.5, 0.0)
    drawn = screen(lambda: card.draw_outline(_PERSPECTIVE @ _FRONT, 0, color, 2.0))[::-1]
    line = drawn[..., 3] > 0.5
    assert drawn[line] == pytest.approx(np.tile((*color, 1.0), (line.sum(), 1)))
    assert line[14:16, 20:30].all() and line[20:36, 14:16].all()
    assert not line[16:40, 16:32].any() and not line[:, 36:].any() and not line[:13].any()


def test_a_control_mesh_stands_in_with_its_colours_and_depth(screen, scene, tmp_path):
    bpy.ops.headgas.import_avatar(filepath=str(write_avatar(tmp_path / "anna.safetensors")))
    mesh = bpy.context.object

    def draw():
        gpu.matrix.load_matrix(Matrix(_FRONT.tolist()))
        gpu.matrix.load_projection_matrix(Matrix(_PERSPECTIVE.tolist()))
        StandIns().draw(mesh.data, np.eye(4))

    drawn = screen(draw)
    assert 0.02 < (drawn[..., 3] > 0).mean() < 0.5 and np.ptp(drawn[drawn[..., 3] > 0][:, :3]) > 0.1
    assert screen(draw, 0.5)[..., 3].max() == 0.0


@pytest.fixture
def viewport(scene, service, tmp_path, screen):
    """An overlay, and a 3D viewport before an avatar: what Blender would give it."""
    bpy.ops.headgas.import_avatar(filepath=str(write_avatar(tmp_path / "half.safetensors")))
    data = SimpleNamespace(view_matrix=Matrix(_FRONT.tolist()), window_matrix=Matrix(_PERSPECTIVE.tolist()))
    region = SimpleNamespace(as_pointer=lambda: 1, width=_SIZE, height=_SIZE)
    area = next(area for area in bpy.context.window_manager.windows[0].screen.areas if area.type == 'VIEW_3D')
    overlay = Overlay()

    def context():
        bpy.context.view_layer.update()
        overlay.evaluated()
        return SimpleNamespace(
            scene=scene, view_layer=bpy.context.view_layer, preferences=bpy.context.preferences,
            region=region, region_data=data, space_data=area.spaces.active,
        )  # fmt: skip

    def draw():
        gpu.matrix.load_matrix(Matrix(_FRONT.tolist()))
        gpu.matrix.load_projection_matrix(Matrix(_PERSPECTIVE.tolist()))
        drawn = screen(lambda: overlay.draw(context()))
        overlay._ask_all()  # as Blender's timer does, which does not run here
        return drawn

    yield SimpleNamespace(overlay=overlay, draw=draw, context=context, mesh=bpy.context.object)
    overlay.close()


def _settle(viewport, seconds=30):
    """Draws until nothing is missing. Blender's timers do not run here."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        drawn = viewport.draw()
        for place, (request, answer) in viewport.overlay._frames.collect().items():
            viewport.overlay._take(place, request, answer)
        if viewport.overlay.failure or (viewport.overlay.settled and not viewport.overlay._frames.busy):
            return viewport.draw()
        time.sleep(0.02)
    return drawn


def test_a_stand_in_is_seen_until_the_backend_s_frame_is_there(viewport, service):
    first = viewport.draw()
    assert 0.02 < (first[..., 3] > 0).mean()
    drawn = _settle(viewport)
    frame = viewport.overlay._viewports[1].frame.picture
    assert np.abs(frame.image[..., 3] - 0.5).max() < 1e-6 and viewport.overlay.failure == ""
    shown = drawn[..., 3] > 0
    assert np.abs(drawn[shown][:, 3] - 0.5).max() < 1e-3 and shown.sum() == frame.depth.size
    asked = service.requests[-1]
    assert asked["camera"]["width"] < _SIZE * 2 and asked["coverage"] is False


def test_another_pose_makes_a_new_frame_and_until_then_the_old_one_is_called_old(viewport, service):
    _settle(viewport)
    assert viewport.overlay.lines(viewport.context()) == []
    bpy.context.scene.frame_set(7)
    viewport.mesh.data.shape_keys.key_blocks["jawOpen"].value = 0.9
    viewport.draw()
    assert viewport.overlay.lines(viewport.context()) == ["avatars of frame 1"]
    _settle(viewport)
    assert viewport.overlay.lines(viewport.context()) == []
    assert service.requests[-1]["avatars"][0]["expression"][0] == pytest.approx(0.9)


def test_a_failure_is_told_once_the_stand_in_stays_and_trying_again_works(viewport, service):
    service.misbehave("die at start")
    drawn = _settle(viewport)
    assert "stopped unexpectedly" in viewport.overlay.failure and (drawn[..., 3] == 1.0).any()
    frames, end = viewport.overlay._frames, time.monotonic() + 30
    while frames.busy and time.monotonic() < end:  # what was in the making
        frames.collect()
        time.sleep(0.01)
    for _ in range(3):
        viewport.draw()
    assert not frames.busy  # it does not insist
    assert any("stopped unexpectedly" in line for line in viewport.overlay.lines(viewport.context()))
    service.misbehave("")
    viewport.overlay.retry()
    _settle(viewport)
    assert viewport.overlay.failure == "" and viewport.overlay._viewports[1].frame is not None


def test_without_automatic_start_nothing_is_started(viewport, service):
    bpy.context.scene.headgas_viewport.autostart = False
    viewport.draw()
    assert viewport.overlay.waits and not viewport.overlay._frames.busy


def test_nobody_says_that_avatars_are_being_updated_while_no_backend_runs(viewport, service):
    _settle(viewport)
    client.stop()
    bpy.context.scene.headgas_viewport.autostart = False
    viewport.mesh.data.shape_keys.key_blocks["jawOpen"].value = 0.9
    viewport.draw()
    said, state = viewport.overlay.lines(viewport.context())
    assert "tab HeadGaS starts it" in said and state == "avatars are out of date"


def test_a_frame_is_asked_for_whatever_changes_and_nothing_is_while_nothing_does(viewport, service):
    """The head turns, grows and smiles, and the view moves: in place, as Blender changes its matrices."""
    _settle(viewport)
    view, keys = viewport.context().region_data.view_matrix, viewport.mesh.data.shape_keys.key_blocks
    for change in (
        lambda: setattr(keys["mouthSmileLeft"], "value", 0.3),
        lambda: setattr(viewport.mesh.parent, "rotation_euler", (0.0, 0.0, 0.2)),
        lambda: setattr(viewport.mesh.parent, "scale", (1.2, 1.2, 1.2)),
        lambda: setattr(view, "translation", (0.05, 0.0, -1.0)),
    ):
        viewport.draw()
        assert not viewport.overlay._frames.busy, "nothing has changed"
        before = service.requests[-1]
        change()
        _settle(viewport)
        after = service.requests[-1]
        assert (after["avatars"], after["camera"]) != (before["avatars"], before["camera"])


def test_an_inspection_is_asked_for_and_its_legend_shown(viewport, service):
    settings = bpy.context.scene.headgas_viewport
    settings.mode, settings.fraction = 'DEPTH', 0.5
    _settle(viewport)
    asked = service.requests[-1]["inspect"]
    assert (asked["mode"], asked["fraction"], asked["scale"]) == ("depth", 0.5, 1.0)
    assert "depth" in viewport.overlay.lines(viewport.context())


def test_a_hidden_avatar_leaves_nothing_behind(viewport, service):
    _settle(viewport)
    viewport.mesh.hide_set(True)
    assert viewport.draw()[..., 3].max() == 0.0 and viewport.overlay._viewports == {}
