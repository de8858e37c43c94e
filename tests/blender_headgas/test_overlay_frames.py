# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames from a thread: the newest wins, viewports take turns, nobody waits."""

import threading
import time
from dataclasses import replace
from pathlib import Path

import blf
import numpy as np
import pytest
from bl_ext.user_default.headgas.client import LaunchSettings, Picture
from bl_ext.user_default.headgas.core.cameras import PixelRegion
from bl_ext.user_default.headgas.overlay.frames import AsyncFrames
from bl_ext.user_default.headgas.overlay.making import without_holdouts
from bl_ext.user_default.headgas.overlay.packing import packed
from bl_ext.user_default.headgas.overlay.status import wrapped
from bl_ext.user_default.headgas.overlay.viewport import Frame, Request, Viewport, Wish, card_of
from bl_ext.user_default.headgas.overlay.views import View
from mathutils import Matrix


class Maker:
    """Makes nothing until it is allowed to, and notes what it was asked for."""

    def __init__(self) -> None:
        self.asked, self.begun, self._allowed = [], threading.Semaphore(0), threading.Semaphore(0)

    def __call__(self, request):
        self.asked.append(request)
        self.begun.release()
        assert self._allowed.acquire(timeout=10)
        if request == "bad":
            raise ValueError(request)
        return f"frame of {request}"

    def finish(self, count=1):
        self._allowed.release(count)


@pytest.fixture
def maker():
    return Maker()


@pytest.fixture
def frames(maker):
    frames = AsyncFrames(maker)
    yield frames
    maker.finish(100)
    frames.close(10.0)


def _collected(frames, count):
    """What has arrived once there is that much."""
    found, end = {}, time.monotonic() + 10
    while len(found) < count and time.monotonic() < end:
        found |= frames.collect()
        time.sleep(0.001)
    return found


def test_the_newest_request_of_a_viewport_wins(frames, maker):
    frames.ask(1, "a")
    assert maker.begun.acquire(timeout=10)
    for request in "bcd":
        frames.ask(1, request)
    assert frames.busy and frames.collect() == {}
    maker.finish(2)
    assert maker.begun.acquire(timeout=10)
    end = time.monotonic() + 10
    while frames.busy and time.monotonic() < end and not (found := frames.collect()).get(1, ("",))[0] == "d":
        time.sleep(0.001)
    assert found == {1: ("d", "frame of d")} and maker.asked == ["a", "d"]
    assert not frames.busy


def test_a_viewport_that_never_rests_leaves_the_others_their_turn(frames, maker):
    frames.ask(1, "first")
    assert maker.begun.acquire(timeout=10)
    frames.ask(1, "1a")
    frames.ask(2, "2a")
    frames.ask(1, "1b")  # keeps its turn, and does not go back to the end of the queue
    for newer in "cd":
        maker.finish()
        assert maker.begun.acquire(timeout=10)
        frames.ask(1, f"1{newer}")
    assert maker.asked == ["first", "1b", "2a"]


def test_a_failure_is_an_answer_and_the_next_request_works(frames, maker):
    frames.ask(1, "bad")
    maker.finish(2)
    request, answer = _collected(frames, 1)[1]
    assert request == "bad" and isinstance(answer, ValueError)
    frames.ask(1, "good")
    assert _collected(frames, 1) == {1: ("good", "frame of good")}


def test_closing_ends_the_thread_and_forgets_what_waits(maker):
    frames = AsyncFrames(maker)
    frames.ask(1, "a")
    assert maker.begun.acquire(timeout=10)
    frames.ask(1, "b")
    maker.finish(2)
    frames.close(10.0)
    assert maker.asked == ["a"]
    assert "headgas-overlay" not in [thread.name for thread in threading.enumerate() if thread is frames._thread]


def _frame(request, image, depth):
    picture = Picture(image, depth)
    return Frame(picture, card_of(packed(picture, request.camera), request), 1.0, False)


def test_a_viewport_wants_a_coarse_frame_at_once_and_a_fine_one_when_it_has_come_to_rest():
    view = View(np.eye(4), np.eye(4), 640, 480)
    wish = Wish((), (), (), view, PixelRegion(0, 0, 320, 320), np.zeros((8, 3)), None, 1.0)
    viewport = Viewport()
    viewport.want(wish)
    assert viewport.missing() == 0.25 and not viewport.is_stale
    viewport.asked = request = Request(wish, 0.25, LaunchSettings((), Path()), 1.0)
    assert viewport.missing() is None
    image, depth = np.zeros((80, 80, 4), np.float32), np.zeros((80, 80), np.float32)
    viewport.take(request, _frame(request, image, depth))
    viewport._coming[1].card.fill = lambda: True  # textures are for where Blender draws
    viewport.fill()
    viewport.want(wish)  # the same: no new beginning
    viewport.changed -= 1.0
    assert viewport.missing() == 1.0
    viewport.want(replace(wish, looks=("another pose",)))
    assert viewport.missing() == 0.25 and viewport.is_stale
    viewport.want(None)
    assert viewport.missing() is None and viewport.frame is None


def test_a_view_is_the_same_until_anything_of_it_changes():
    view, projection = Matrix.Rotation(0.3, 4, 'X'), Matrix.Translation((1.0, 2.0, 3.0))
    viewport = Viewport()
    first = viewport.see(view, projection, 640, 480)
    assert np.array_equal(first.view, np.array(view)) and np.array_equal(first.projection, np.array(projection))
    assert viewport.see(view.copy(), projection.copy(), 640, 480) is first
    for matrix in (view, projection):  # Blender changes them in place
        for row, column in np.ndindex(4, 4):
            seen = viewport.see(view, projection, 640, 480)
            matrix[row][column] += 1e-5
            changed = viewport.see(view, projection, 640, 480)
            assert changed is not seen and changed.key != seen.key
    assert np.array_equal(changed.view, np.array(view)) and np.array_equal(changed.projection, np.array(projection))
    assert viewport.see(view, projection, 641, 480).width == 641
    assert viewport.see(view, projection, 641, 481).height == 481


def test_the_last_frame_is_shown_until_the_next_has_all_of_its_textures():
    view = View(np.eye(4), np.eye(4), 640, 480)
    wish = Wish((), (), (), view, PixelRegion(0, 0, 20, 20), np.zeros((8, 3)), None, 1.0)
    viewport, requests = Viewport(), [Request(wish, share, LaunchSettings((), Path()), 1.0) for share in (0.5, 1.0)]
    viewport.want(wish)
    image, parts = np.zeros((10, 20, 4), np.float32), iter((True, False, False, True))
    for request in requests:
        viewport.take(request, _frame(request, image, image[..., 0]))
        viewport._coming[1].card.fill = lambda: next(parts)
        assert viewport.filling
        viewport.fill()
    assert viewport.shown is requests[0] and viewport.filling
    viewport.fill()
    assert viewport.shown is requests[0]
    viewport.fill()
    assert viewport.shown is requests[1] and not viewport.filling
    first, second = viewport._spent, viewport.frame.card
    viewport.fill()  # nothing to do
    assert viewport.shown is requests[1] and viewport.frame.card is second
    given_back = []
    first.shed = lambda: given_back.append(first)
    viewport.take(request, _frame(request, image, image[..., 0]))
    viewport._coming[1].card.fill = lambda: not given_back.pop()  # its memory is free just then
    viewport.fill()
    assert viewport._spent is first and not given_back


def test_a_click_is_on_an_avatar_where_its_picture_is_opaque():
    view = View(np.eye(4), np.eye(4), 640, 480)
    wish = Wish((), (), (), view, PixelRegion(100, 200, 40, 20), np.zeros((8, 3)), None, 1.0)
    viewport = Viewport()
    viewport.want(wish)
    assert viewport.covers(101, 201) and not viewport.covers(99, 201) and not viewport.covers(101, 220)
    image = np.zeros((10, 20, 4), np.float32)  # half as fine
    image[0, 19, 3] = 1.0  # the upper right corner: row 0 is on top
    request = Request(wish, 0.5, LaunchSettings((), Path()), 1.0)
    viewport.take(request, _frame(request, image, image[..., 0]))
    viewport._coming[1].card.fill = lambda: True
    viewport.fill()
    assert viewport.covers(139, 219) and not viewport.covers(139, 201) and not viewport.covers(101, 219)


def test_holdouts_are_black_where_they_are_seen_and_leave_the_others_alone():
    image = np.full((1, 3, 4), 0.5, np.float32)
    image[..., 3] = 1.0
    coverage = np.array([[[1.0, 0.0, 0.5]], [[0.0, 1.0, 0.5]]], np.float32)
    picture = Picture(image, np.ones((1, 3), np.float32), coverage)
    assert without_holdouts(picture, (False, False)) is picture
    held_out = without_holdouts(picture, (True, False)).image
    assert held_out[0, :, 0] == pytest.approx([0.0, 0.5, 0.25]) and (held_out[..., 3] == 1.0).all()
    alone = without_holdouts(picture._replace(coverage=None), (True,)).image
    assert (alone[..., :3] == 0.0).all() and (alone[..., 3] == 1.0).all()


def test_what_is_wider_than_a_viewport_goes_on_in_the_next_line():
    short, long = "a word", "Parameters: " + ", ".join(f"mouthSmileLeft{number}" for number in range(20))
    blf.size(0, 11)
    width = blf.dimensions(0, long)[0] / 3
    first, *lines = wrapped([short, long], width)
    assert first == short and 3 <= len(lines) <= 5 and " ".join(lines) == long
    assert max(blf.dimensions(0, line)[0] for line in lines) < 1.2 * width
    assert len(wrapped([long], -50.0)) > 10
