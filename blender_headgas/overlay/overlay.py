# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The avatars in all 3D viewports: looks what they should show, asks the backend for it, draws what has arrived."""

import time
from typing import Any

import bpy
import numpy as np

from .. import client
from ..client.launch import launch_settings, render_deadline
from ..core.errors import HeadGaSError
from .avatars import ShownAvatar, shown_avatars
from .frames import AsyncFrames
from .settings import redraw_viewports, viewport_settings
from .views import MARGIN, View, around, is_cut, region_of
from .viewport import REST, Frame, Request, Viewport, request_for

_BUSY, _IDLE = 0.02, 0.5  # seconds between two looks for frames, and for changed files
_FORGET = 10.0  # seconds after which a viewport that is not drawn any more is forgotten
_GROWTH = 1.5  # of a margin that turned out too small
_WIDEST = 2.0  # of a box's diagonal: what reaches beyond is no head


class Overlay:
    """All of it; one in a Blender with windows."""

    def __init__(self) -> None:
        self._frames: AsyncFrames[Request, Frame] | None = None
        self._viewports: dict[int, Viewport] = {}  # by the region's address
        self._avatars: dict[tuple, list[ShownAvatar]] = {}  # by scene and view layer
        self._margins: dict[str, float] = {}  # by path
        self._stage = ""  # what the thread is doing, in the user's words
        self._failed: tuple[tuple, HeadGaSError] | None = None  # what was asked, and why it cannot be had
        self._deadline = 0.0
        self._closing = False

    # what Blender calls

    def draw(self, context: Any) -> None:
        """Draws the avatars of one viewport."""
        view = _view_of(context)
        avatars = self._shown_in(context)
        if not avatars or not viewport_settings(context.scene).show:
            self._viewports.pop(context.region.as_pointer(), None)
            return
        viewport = self._viewports.setdefault(context.region.as_pointer(), Viewport())
        viewport.drawn = time.monotonic()
        self._ask(context, viewport, view, avatars)
        viewport.draw(view)
        if not bpy.app.timers.is_registered(self._look):
            bpy.app.timers.register(self._look, first_interval=_BUSY)

    def evaluated(self) -> None:
        """Blender has evaluated something: what was known of the avatars may be wrong. Any thread."""
        self._avatars = {}

    def close(self) -> None:
        """Ends the thread and frees all textures."""
        self._closing = True
        if bpy.app.timers.is_registered(self._look):
            bpy.app.timers.unregister(self._look)
        if self._frames is not None:
            self._frames.close(2.0)
        self._viewports.clear()
        self._avatars = {}

    # what panels and operators call

    @property
    def settled(self) -> bool:
        """Whether all viewports show what they should, as finely as they should."""
        return not any(
            viewport.restless or viewport.shown is None or viewport.shown is not viewport.asked
            for viewport in self._viewports.values()
        )

    @property
    def failure(self) -> HeadGaSError | None:
        """Why there are no frames."""
        return self._failed[1] if self._failed else None

    @property
    def stage(self) -> str:
        """What the backend is doing for the viewports; empty when nothing."""
        return self._stage

    def retry(self) -> None:
        """Tries again after a failure."""
        self._failed = None
        for viewport in self._viewports.values():
            viewport.asked = None
        redraw_viewports()

    def _shown_in(self, context: Any) -> list[ShownAvatar]:
        key = context.scene.session_uid, context.view_layer.name
        if key not in self._avatars:
            depsgraph = context.evaluated_depsgraph_get()
            self._avatars[key] = shown_avatars(depsgraph)
        return [avatar for avatar in self._avatars[key] if avatar.visible_in(context.space_data)]

    def _ask(self, context: Any, viewport: Viewport, view: View, avatars: list[ShownAvatar]) -> None:
        """Asks for what the viewport should show, unless it is there or on its way."""
        posed = [avatar for avatar in avatars if avatar.posed is not None]
        looks = tuple(avatar.key for avatar in posed)
        corners = [self._corners(avatar) for avatar in posed]
        region = region_of(view, np.concatenate(corners)) if corners else None
        viewport.want((looks, view.key, region))
        if region is None:
            viewport.shown = viewport.asked = viewport.frame = viewport.card = None
            return
        fineness = viewport.fineness(region, viewport_settings(context.scene).limit)
        if viewport.is_asked(fineness) or bpy.app.is_job_running('RENDER'):
            return
        try:
            backend = launch_settings(avatar.posed.path for avatar in posed)
        except HeadGaSError as error:
            self._failed = (), error
            return
        cause = backend, tuple(look[:2] for look in looks)
        if self._failed is not None and self._failed[0] == cause:
            return
        self._failed = None
        middle = np.mean([c.mean(0) for c in corners], 0)
        moment = context.scene.frame_current_final
        placed = tuple(avatar.posed for avatar in posed)
        request = request_for(view, region, fineness, looks, moment, placed, middle, backend)
        viewport.asked = request
        self._deadline = render_deadline()
        if self._frames is None:
            self._frames = AsyncFrames(self._make)
        self._frames.ask(context.region.as_pointer(), request)

    def _corners(self, avatar: ShownAvatar) -> np.ndarray:
        """The corners [8,3] of what holds the avatar, in the world."""
        corners = around(avatar.corners, self._margins.get(str(avatar.posed.path), MARGIN))
        return corners @ avatar.matrix[:3, :3].T + avatar.matrix[:3, 3]

    def _make(self, request: Request) -> Frame:
        """In the thread: no bpy here."""
        try:
            if client.running() is None:
                self._stage = "starting the backend"
            backend = client.backend(request.backend, self._is_closing)
            while stage := backend.compiling(self._is_closing):
                self._stage = stage
                time.sleep(0.3)
            self._stage = "rendering"
            started = time.perf_counter()
            image, depth = backend.render(request.avatars, request.camera, self._deadline, self._is_closing)
            seconds = time.perf_counter() - started
        finally:
            self._stage = ""
        return Frame(image, depth, seconds, is_cut(image[..., 3], request.region, request.view))

    def _is_closing(self) -> bool:
        return self._closing

    def _look(self) -> float | None:
        """Takes what has arrived, and sees to it that it is drawn."""
        regions = {
            region.as_pointer(): region
            for window in bpy.context.window_manager.windows
            for area in window.screen.areas
            if area.type == 'VIEW_3D'
            for region in area.regions
        }
        for place, (request, answer) in (self._frames.collect() if self._frames else {}).items():
            self._take(place, request, answer)
            if place in regions:
                regions[place].tag_redraw()
        now = time.monotonic()
        busy = self._frames is not None and self._frames.busy
        for place, viewport in list(self._viewports.items()):
            if place not in regions:
                self._viewports.pop(place)
            elif REST <= now - viewport.changed < REST + 2 * _BUSY + 0.1 and not viewport.is_asked(1.0):
                regions[place].tag_redraw()
            busy |= now - viewport.changed < REST + 0.1
        if not self._viewports:
            return None
        return _BUSY if busy else _IDLE

    def _take(self, place: int, request: Request, answer: Frame | Exception) -> None:
        viewport = self._viewports.get(place)
        if isinstance(answer, Frame):
            if answer.cut:
                self._widen(request)
            if viewport is not None:
                viewport.take(request, answer)
        elif isinstance(answer, client.Cancelled):
            return
        elif isinstance(answer, HeadGaSError):
            self._failed = (request.backend, tuple(look[:2] for look in request.looks)), answer
            redraw_viewports()
        else:
            raise answer

    def _widen(self, request: Request) -> None:
        for avatar in request.avatars:
            margin = self._margins.get(str(avatar.path), MARGIN) * _GROWTH
            self._margins[str(avatar.path)] = min(margin, _WIDEST)


def _view_of(context: Any) -> View:
    data = context.region_data
    view, projection = np.array(data.view_matrix, np.float64), np.array(data.window_matrix, np.float64)
    return View(view, projection, context.region.width, context.region.height)
