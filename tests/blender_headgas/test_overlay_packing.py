# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is left of a frame when it is packed for a texture."""

import numpy as np
import pytest
from bl_ext.user_default.headgas.client import Picture
from bl_ext.user_default.headgas.core.cameras import Camera
from bl_ext.user_default.headgas.overlay import packing
from bl_ext.user_default.headgas.overlay.packing import NOBODY, NORMAL, NOTHING, SHARED, WHITE, packed

_K = np.array([[50.0, 0, 40], [0, 50, 30], [0, 0, 1]])


def _packed(image, depth, coverage=None):
    height, width = depth.shape
    return packed(Picture(image, depth, coverage), Camera(np.eye(4), _K, width, height, 0.1))


def _unpacked(frame):
    """As the shaders do it, in float64: linear RGBA, metres, avatars."""
    first, second = np.moveaxis(frame.words.view(np.uint32) - np.uint32(NORMAL), -1, 0)
    codes = np.stack([first & 1023, first >> 10 & 1023, first >> 20, second >> 20], -1)
    depth = np.where(second & NOTHING == NOTHING, 1e10, frame.near + np.expm1((second & NOTHING) * frame.step))
    return (codes / WHITE) ** 2, depth, second >> 16 & NOBODY


def _srgb(linear):
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def test_colours_are_kept_better_than_a_screen_shows_them_and_depths_to_hundredths_of_millimetres():
    random = np.random.default_rng(0)
    image = random.random((70, 90, 4), np.float32)  # more rows than are packed at a time
    image[..., 3] = 1.0
    depth = 0.5 + 0.5 * random.random((70, 90), np.float32)
    linear, metres, _ = _unpacked(_packed(image, depth))
    assert np.abs(_srgb(linear[..., :3]) - _srgb(image[..., :3])).max() < 0.26 / 255
    assert (linear[..., 3] == 1.0).all() and np.abs(metres - depth).max() < 6e-6
    depth[0] = 100.0  # something far behind
    assert np.abs(_unpacked(_packed(image, depth))[1] - depth)[1:].max() < 6e-5


def test_highlights_are_kept_and_what_no_screen_shows_becomes_the_brightest():
    image = np.zeros((1, 3, 4), np.float32)
    image[0, :, 0], image[..., 3] = (-0.1, 1.5, 9.0), 1.0
    linear, *_ = _unpacked(_packed(image, np.ones((1, 3), np.float32)))
    assert linear[0, :, 0] == pytest.approx([0.0, 1.5, (1023 / WHITE) ** 2], abs=2e-3)


def test_words_are_floats_that_drivers_leave_alone():
    image = np.zeros((2, 2, 4), np.float32)
    image[0] = 9.0  # all bits set, then none
    words = _packed(image, np.full((2, 2), 1e10, np.float32)).words
    assert np.isfinite(words).all() and (words >= np.finfo(np.float32).tiny).all()


def test_only_what_is_seen_is_kept_and_its_camera_sees_it_where_it_was():
    image, depth = np.zeros((60, 80, 4), np.float32), np.full((60, 80), 1e10, np.float32)
    image[20:30, 50:79, 3], depth[20:30, 50:79] = 0.5, 2.0
    coverage = np.stack([image[..., 3], 0 * depth])
    frame = _packed(image, depth, coverage)
    assert frame.words.shape == (18, 34, 2)  # 4 pixels around, within the image
    assert (frame.camera.width, frame.camera.height) == (34, 18)
    assert frame.camera.K[:2, 2] == pytest.approx((40 - 46, 30 - 16))
    linear, metres, avatars = _unpacked(frame)
    assert (avatars[4:14, 4:33] == 0).all() and (avatars[:4] == NOBODY).all()
    assert (linear[4:14, 4:33, 3] > 0.49).all() and (metres[4:14, 4:33] == 2.0).all()
    assert (metres[:4] == 1e10).all() and (linear[:4] == 0.0).all()


def test_where_nothing_is_seen_a_pixel_of_nothing_is_left():
    frame = _packed(np.zeros((60, 80, 4), np.float32), np.full((60, 80), 1e10, np.float32))
    linear, metres, _ = _unpacked(frame)
    assert linear.shape == (1, 1, 4) and (linear == 0.0).all() and (metres == 1e10).all()


def test_each_pixel_says_which_of_the_first_avatars_it_shows():
    image, depth = np.ones((1, 20, 4), np.float32), np.ones((1, 20), np.float32)
    coverage = np.eye(20, dtype=np.float32)[:, None] * 0.5
    coverage[:2, 0, 19] = 0.49  # two share it
    avatars = _unpacked(_packed(image, depth, coverage))[2]
    assert avatars.tolist() == [[*range(NOBODY), *[NOBODY] * 5]]


def test_strips_are_alike_hold_the_whole_frame_and_rows_of_their_neighbours(monkeypatch):
    frame = _packed(np.ones((70, 90, 4), np.float32), np.ones((70, 90), np.float32))
    assert frame.strips() == [(0, 70)] and len(frame.rows(0, 70)) == 70
    monkeypatch.setattr(packing, "STRIP", 90 * 24)
    assert frame.strips() == [(0, 23), (23, 47), (47, 70)]
    assert [len(frame.rows(*strip)) for strip in frame.strips()] == [23 + SHARED, 24 + 2 * SHARED, 23 + SHARED]
    assert (frame.rows(23, 47) == frame.words[23 - SHARED : 47 + SHARED]).all()
