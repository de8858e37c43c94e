# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a viewport is rendered: a region that holds the avatars, through the viewport's own camera."""

import numpy as np
import pytest
from bl_ext.user_default.headgas.core.cameras import PixelRegion
from bl_ext.user_default.headgas.overlay.packing import STRIP
from bl_ext.user_default.headgas.overlay.views import View, around, camera_for, fineness_of, is_cut, region_of

_WIDTH, _HEIGHT = 640, 480
_BOX = np.array([[x, y, z] for x in (-0.1, 0.1) for y in (-0.1, 0.1) for z in (-0.15, 0.15)])
_PERSPECTIVE = np.array([[1.8, 0, 0.1, 0], [0, 2.4, -0.2, 0], [0, 0, -1.02, -0.0202], [0, 0, -1, 0]])  # with a shift
_PARALLEL = np.array([[3.0, 0, 0, 0.1], [0, 4.0, 0, -0.2], [0, 0, -0.01, -0.2], [0, 0, 0, 1]])


def _view(projection, distance=1.0, sideways=0.0) -> View:
    """From the front, a camera at (sideways, -distance, 0)."""
    looking = np.array([[1.0, 0, 0, -sideways], [0, 0, 1, 0], [0, -1, 0, -distance], [0, 0, 0, 1]])
    return View(looking, projection, _WIDTH, _HEIGHT)


def _seen(view, points) -> np.ndarray:
    """Where OpenGL draws points, in pixels from the lower left corner."""
    clip = np.c_[points, np.ones(len(points))] @ view.to_clip.T
    return (clip[:, :2] / clip[:, 3:] + 1) / 2 * (view.width, view.height)


@pytest.mark.parametrize("projection", [_PERSPECTIVE, _PARALLEL], ids=["perspective", "orthographic"])
@pytest.mark.parametrize("fineness", [1.0, 0.5])
def test_the_region_holds_the_avatar_and_its_camera_sees_what_the_viewport_sees(projection, fineness):
    view = _view(projection)
    region = region_of(view, _BOX)
    pixels = _seen(view, _BOX)
    assert region is not None and region.width < _WIDTH
    assert (pixels >= (region.x, region.y)).all()
    assert (pixels <= (region.x + region.width, region.y + region.height)).all()
    camera = camera_for(view, region, fineness)
    assert (camera.width, camera.height) == (region.width * fineness, region.height * fineness)
    points = _BOX @ camera.viewmat[:3, :3].T + camera.viewmat[:3, 3]
    x, y = (points[:, :2] / (1.0 if camera.orthographic else points[:, 2:])).T
    u, v = camera.K[0, 0] * x + camera.K[0, 2], camera.K[1, 1] * y + camera.K[1, 2]
    assert u / fineness + region.x == pytest.approx(pixels[:, 0])
    assert (region.height - v / fineness) + region.y == pytest.approx(pixels[:, 1])


@pytest.mark.parametrize(("projection", "near", "far"), [(_PERSPECTIVE, 0.01, 1.01), (_PARALLEL, -80.0, 120.0)])
def test_clipping_planes_are_the_viewport_s(projection, near, far):
    camera = camera_for(_view(projection), PixelRegion(0, 0, 16, 16), 1.0)
    assert (camera.near, camera.far) == pytest.approx((near, far))


def test_a_far_plane_that_single_precision_cannot_tell_is_far():
    projection = _PERSPECTIVE.copy()
    projection[2, 2:] = -1.0, -0.002
    assert camera_for(_view(projection), PixelRegion(0, 0, 16, 16), 1.0).far > 1e5


def test_what_is_out_of_sight_has_no_region():
    assert region_of(_view(_PERSPECTIVE, sideways=5.0), _BOX) is None
    assert region_of(_view(_PERSPECTIVE, distance=-1.0), _BOX) is None  # behind the camera


def test_a_head_around_the_camera_may_be_anywhere():
    assert region_of(_view(_PERSPECTIVE, distance=0.0), _BOX) == PixelRegion(0, 0, _WIDTH, _HEIGHT)


def test_a_margin_grows_a_box_on_every_side():
    wide = around(_BOX, 0.5)
    pad = 0.5 * np.linalg.norm([0.2, 0.2, 0.3])
    assert wide.max(0) == pytest.approx(_BOX.max(0) + pad) and wide.min(0) == pytest.approx(_BOX.min(0) - pad)


def test_frames_are_coarse_only_while_something_moves_and_the_backend_is_slow():
    region, slow, fast = PixelRegion(0, 0, 800, 400), 1e-5, 1e-9  # seconds per pixel
    assert fineness_of(region, 1600, restless=False, pace=slow) == 1.0
    assert fineness_of(region, 400, restless=False, pace=slow) == 0.5
    assert fineness_of(region, 1600, restless=True, pace=fast) == 1.0
    assert fineness_of(region, 1600, restless=True, pace=slow) == 0.25
    assert fineness_of(region, 1600, restless=True, pace=4e-7) == 0.5
    assert fineness_of(region, 1600, restless=True, pace=None) == 0.25


def test_an_avatar_that_reaches_the_edge_of_its_region_is_cut_and_at_the_viewport_s_edge_it_is_not():
    view, alpha = _view(_PERSPECTIVE), np.zeros((32, 48), np.float32)
    assert not is_cut(alpha, PixelRegion(100, 100, 48, 32), view)
    alpha[0, 20] = 0.5  # the upper edge: row 0 is on top
    assert is_cut(alpha, PixelRegion(100, 100, 48, 32), view)
    assert not is_cut(alpha, PixelRegion(100, _HEIGHT - 32, 48, 32), view)
    assert is_cut(alpha[::-1], PixelRegion(100, _HEIGHT - 32, 48, 32), view)
    assert not is_cut(alpha[::-1], PixelRegion(100, 0, 48, 32), view)


def test_what_moves_is_as_fine_as_one_redraw_takes_in():
    for side in (512, 1024, 4096):
        for pace in (None, 1e-12):
            fineness = fineness_of(PixelRegion(0, 0, side, side), side, restless=True, pace=pace)
            assert 0 < fineness <= 1 and (side * fineness) ** 2 <= STRIP * 1.000001
    assert fineness_of(PixelRegion(0, 0, 512, 512), 512, restless=True, pace=1e-12) == 1.0
