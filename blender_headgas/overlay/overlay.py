# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The avatars in all 3D viewports: looks what they should show, asks the backend for it, draws what has arrived."""

from pathlib import Path
from typing import Any

import bpy
import numpy as np

from .. import client
from ..client.launch import launch_settings, render_deadline
from ..core.errors import HeadGaSError
from ..rig.windows import areas, redraw
from . import view_transform
from .avatars import ShownAvatar, shown_avatars
from .frames import AsyncFrames
from .making import FrameMaker
from .outlines import outlines_of
from .settings import HeadGaSViewportSettings, viewport_settings
from .stand_in import StandIns
from .viewport import Frame, Request, Viewport, Wish
from .views import MARGIN, View, around, region_of

_BUSY, _IDLE = 0.02, 0.5  # seconds between two looks for frames, and for changed files
_BEHIND_WIRES = 0.5  # opacity
_GROWTH, _WIDEST = 1.5, 2.0  # of a margin that turned out too small; of a box's diagonal


class Overlay:
    """All of it; one in a Blender with windows."""

    def __init__(self) -> None:
        self._maker = FrameMaker()
        self._frames: AsyncFrames[Request, Frame] = AsyncFrames(self._maker.make)
        self._viewports: dict[int, Viewport] = {}  # by the region's address
        self._avatars: dict[tuple, list[ShownAvatar]] = {}  # by scene and view layer
        self._margins: dict[str, float] = {}  # by path
        self._stand_ins = StandIns()
        self._tables: dict[tuple, view_transform.Table] = {}
        self._tables_wanted: dict[tuple, str] = {}  # the scene's name
        self._failed: tuple[tuple, Exception] | None = None  # what was asked, and why it cannot be had
        self.waits = ""  # why nothing is asked for

    def draw(self, context: Any) -> None:
        """Draws the avatars of one viewport. Called by Blender, in the viewport's own 3D space."""
        avatars = self._shown_in(context)
        settings, place = viewport_settings(context.scene), context.region.as_pointer()
        if not avatars:
            self._viewports.pop(place, None)
            return
        viewport, data = self._viewports.setdefault(place, Viewport()), context.region_data
        view = viewport.see(data.view_matrix, data.window_matrix, context.region.width, context.region.height)
        posed = [avatar for avatar in avatars if avatar.posed is not None]
        viewport.problems = [avatar.problem for avatar in avatars if avatar.problem]
        viewport.limit, viewport.autostart, viewport.is_on = settings.limit, settings.autostart, settings.show
        viewport.want(self._wish(context, settings, viewport, view, posed) if viewport.is_on else None)
        if viewport.missing() is not None and not bpy.app.timers.is_registered(self._ask_all):
            bpy.app.timers.register(self._ask_all)  # as soon as this is drawn: waking a thread may take milliseconds
        viewport.fill()
        if viewport.is_on and viewport.frame is not None and self._failed is None:
            table = self._table(context.scene) if settings.use_view_transform else None
            viewport.draw(table, _opacities(context.space_data.shading), outlines_of(context, viewport, posed))
        else:
            for avatar in avatars:
                self._stand_ins.draw(avatar.mesh.data, avatar.matrix)
        if not bpy.app.timers.is_registered(self._look):
            bpy.app.timers.register(self._look, first_interval=_BUSY)

    def lines(self, context: Any) -> list[str]:
        """What the user of a viewport has to know, a line each; nothing when all is well."""
        viewport = self._viewports.get(context.region.as_pointer())
        if viewport is None:
            return []
        lines = list(viewport.problems)
        if not viewport.is_on:
            return lines
        waits = self.waits and f"{self.waits}: the sidebar's tab HeadGaS starts it"
        lines += [line for line in (self.failure, waits, self._maker.stage()) if line]
        if viewport.shown and viewport.wish and viewport.is_stale and self._failed is None:
            shown, now = viewport.shown.wish.time, viewport.wish.time
            state = "avatars are out of date" if self.waits else "avatars are being updated"
            lines.append(f"avatars of frame {shown:g}" if shown != now else state)
        if viewport.frame is not None and viewport.frame.picture.legend:
            lines.append(viewport.frame.picture.legend)
        return [part for line in lines for part in line.splitlines()]

    def evaluated(self) -> None:
        """Blender has evaluated something: what was known of the avatars may be wrong. Any thread may call it."""
        self._avatars = {}

    def loaded(self) -> None:
        """Another file, or another state of it."""
        self.evaluated()
        self._stand_ins.clear()

    def close(self) -> None:
        """Ends the thread and frees all textures."""
        self._maker.close()
        for timer in (self._look, self._ask_all):
            if bpy.app.timers.is_registered(timer):
                bpy.app.timers.unregister(timer)
        self._frames.close(2.0)
        self._viewports.clear()
        self._stand_ins.clear()
        self._tables.clear()
        self._avatars = {}

    @property
    def failure(self) -> str:
        """Why there are no frames, and what to do; empty where there are."""
        return str(self._failed[1]) if self._failed else ""

    @property
    def stage(self) -> str:
        """What the backend does for the viewports; empty when nothing."""
        return self._maker.stage()

    @property
    def settled(self) -> bool:
        """Whether all viewports show what they should, as finely as they should."""
        return not any(
            v.wish is not None and (v.restless or v.shown is not v.asked or v.missing() is not None)
            for v in self._viewports.values()
        )

    def covers(self, region: bpy.types.Region, x: float, y: float) -> bool:
        """Whether an avatar is drawn at a place of a viewport, in pixels from its lower left corner."""
        viewport = self._viewports.get(region.as_pointer())
        return viewport is not None and viewport.covers(x, y)

    def retry(self) -> None:
        """Tries again after a failure."""
        self._failed = None
        for viewport in self._viewports.values():
            viewport.asked = None
        redraw()

    def _shown_in(self, context: Any) -> list[ShownAvatar]:
        depsgraph = context.view_layer.depsgraph
        if depsgraph is None:  # not evaluated yet
            return []
        key = context.scene.session_uid, context.view_layer.name
        if key not in self._avatars:
            self._avatars[key] = shown_avatars(depsgraph, context.view_layer)
        return [avatar for avatar in self._avatars[key] if avatar.visible_in(context.space_data, depsgraph)]

    def _wish(
        self,
        context: Any,
        settings: HeadGaSViewportSettings,
        viewport: Viewport,
        view: View,
        avatars: list[ShownAvatar],
    ) -> Wish | None:
        """What a viewport should show, the wish that it has where nothing differs; None where nothing is in sight."""
        time, inspection = context.scene.frame_current_final, settings.inspection
        basis = view, tuple(avatars), time, inspection, tuple(self._margins.items())
        if viewport.wish is not None and viewport.wish.basis == basis:
            return viewport.wish
        if not avatars:
            return None
        corners = np.concatenate([self._box(avatar) for avatar in avatars])
        region = region_of(view, corners)
        if region is None:
            return None
        return Wish(
            looks=tuple(avatar.key for avatar in avatars),
            avatars=tuple(avatar.posed for avatar in avatars if avatar.posed is not None),
            held_out=tuple(avatar.is_holdout for avatar in avatars),
            view=view,
            region=region,
            corners=corners,
            inspection=inspection,
            time=time,
            basis=basis,
        )

    def _box(self, avatar: ShownAvatar) -> np.ndarray:
        """The corners [8,3] of what holds an avatar, in the world."""
        box = around(avatar.corners, self._margins.get(avatar.key[0], MARGIN))
        return box @ avatar.matrix[:3, :3].T + avatar.matrix[:3, 3]

    def _ask_all(self) -> None:
        """Asks for what viewports should show, unless it is there or on its way. Called by Blender, between redraws."""
        told = self.waits, self._failed
        for place, viewport in self._viewports.items():
            self._ask(place, viewport)
        if told != (self.waits, self._failed):
            redraw()

    def _ask(self, place: int, viewport: Viewport) -> None:
        fineness = viewport.missing()
        if fineness is None or viewport.wish is None or bpy.app.is_job_running('RENDER'):
            return
        self.waits = ""
        if not viewport.autostart and client.running() is None:
            self.waits = "The backend does not run"
            return
        try:
            backend = launch_settings(Path(avatar.path) for avatar in viewport.wish.avatars)
        except HeadGaSError as error:
            if self.failure != str(error):
                self._failed = (), error
            return
        request = Request(viewport.wish, fineness, backend, render_deadline())
        if self._failed is not None and self._failed[0] == request.cause:
            return
        self._failed = None
        viewport.asked = request
        self._frames.ask(place, request)

    def _table(self, scene: bpy.types.Scene) -> view_transform.Table | None:
        """The table of the scene's view transform; where there is none yet, it is made before the next redraw."""
        key = view_transform.look_of(scene)
        if key not in self._tables:
            self._tables_wanted[key] = scene.name
        return self._tables.get(key)

    def _look(self) -> float | None:
        """Takes what has arrived, and sees to it that it is drawn. Called by Blender, between redraws."""
        regions = _regions()
        for place, (request, answer) in self._frames.collect().items():
            self._take(place, request, answer)
            if place in regions:
                regions[place].tag_redraw()
        self._make_tables()
        busy = self._frames.busy
        for place, viewport in list(self._viewports.items()):
            busy |= viewport.restless or viewport.filling
            if place not in regions:
                self._viewports.pop(place)
            elif viewport.filling:
                regions[place].tag_redraw()
            elif self._failed is None and not viewport.restless and viewport.missing() is not None:
                regions[place].tag_redraw()  # it has come to rest, and what it shows is coarse
        if any(avatar.is_outdated for avatars in self._avatars.values() for avatar in avatars):
            self._avatars = {}
            redraw()
        if not self._viewports:
            return None
        return _BUSY if busy else _IDLE

    def _take(self, place: int, request: Request, answer: Frame | Exception) -> None:
        viewport = self._viewports.get(place)
        if isinstance(answer, Frame):
            if answer.cut:
                for avatar in request.wish.avatars:
                    margin = self._margins.get(str(avatar.path), MARGIN) * _GROWTH
                    self._margins[str(avatar.path)] = min(margin, _WIDEST)
            if viewport is not None and viewport.wish is not None:
                viewport.take(request, answer)
        elif not isinstance(answer, client.Cancelled):
            self._failed = request.cause, answer
            self._frames.forget()
            redraw()
            if not isinstance(answer, HeadGaSError):
                raise answer

    def _make_tables(self) -> None:
        wanted, self._tables_wanted = self._tables_wanted, {}
        for key, name in wanted.items():
            if name in bpy.data.scenes:
                self._tables = {key: view_transform.table_of(bpy.data.scenes[name])}
                redraw()


def _opacities(shading: bpy.types.View3DShading) -> tuple[float, float]:
    """Of avatars where nothing is nearer, and behind what is: of meshes that one sees through, one sees through both.

    In the X-ray of wires, Blender knows the depths of the wires; since 4.4 it knows those of the faces between them.
    """
    if shading.type == 'SOLID' and shading.show_xray:
        return shading.xray_alpha, shading.xray_alpha
    if shading.type == 'WIREFRAME' and shading.show_xray_wireframe and bpy.app.version >= (4, 4, 0):
        return 1.0, _BEHIND_WIRES
    return 1.0, 0.0


def _regions() -> dict[int, bpy.types.Region]:
    """The regions of all 3D viewports by their addresses."""
    return {
        region.as_pointer(): region
        for area in areas('VIEW_3D')
        for region in area.regions
        if region.type == 'WINDOW'
    }
