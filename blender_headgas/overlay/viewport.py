# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""One viewport: what it wants, what it has, and what it draws meanwhile."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from mathutils import Matrix

from ..client import LaunchSettings, Picture, PosedAvatar, RemoteSettings
from ..core.cameras import Camera, PixelRegion
from ..core.inspection import Inspection
from .packing import PackedFrame
from .shader import Card
from .view_transform import Table
from .views import View, camera_for, fineness_of

_SEEN = 0.1  # alpha
REST = 0.25  # seconds without a change, after which a view counts as still


@dataclass(frozen=True, eq=False)
class Wish:
    """What a viewport should show."""

    looks: tuple  # of the avatars; equal where they are
    avatars: tuple[PosedAvatar, ...]
    held_out: tuple[bool, ...]  # which of them are holdouts
    view: View
    region: PixelRegion
    corners: np.ndarray  # [n,3], of the avatars' boxes in the world
    inspection: Inspection | None
    time: float  # the scene's frame
    basis: tuple = ()  # what it was made from

    @cached_property
    def pose(self) -> tuple:
        """Equal where the avatars are the same, and posed the same."""
        return self.looks, self.held_out

    @cached_property
    def key(self) -> tuple:
        """Equal where the picture would be the same, but for its fineness."""
        return self.looks, self.held_out, self.view.key, self.region, self.inspection


@dataclass(frozen=True, eq=False)
class Request:
    """A wish as the backend is asked for it."""

    wish: Wish
    fineness: float
    backend: LaunchSettings | RemoteSettings
    deadline: float  # seconds

    @cached_property
    def camera(self) -> Camera:
        """The camera of the region."""
        return camera_for(self.wish.view, self.wish.region, self.fineness)

    @property
    def cause(self) -> tuple:
        """Equal where a failure would be the same."""
        return self.backend, tuple(look[:2] for look in self.wish.looks), self.wish.inspection


@dataclass(frozen=True, eq=False)
class Frame:
    """What the backend made of a request."""

    picture: Picture
    card: Card  # without textures
    seconds: float
    cut: bool  # whether the region was too small for the avatars


@dataclass(eq=False)
class Viewport:
    """What is known of one viewport between two redraws."""

    wish: Wish | None = None
    changed: float = 0.0  # when the wish last did; seconds of time.monotonic
    limit: int = 1024  # pixels of a frame's longer side
    autostart: bool = True  # whether the backend is started for it
    is_on: bool = True  # whether it is to show frames; else control meshes stand in for the avatars
    asked: Request | None = None
    shown: Request | None = None
    frame: Frame | None = None
    pace: float | None = None  # seconds per pixel
    problems: Sequence[str] = ()  # why avatars cannot be shown
    _view: View | None = None
    _seen: tuple[Matrix, Matrix, int, int] | None = None  # what the view was made from
    _spent: Card | None = None  # of the frame before; the next takes its memory
    _coming: tuple[Request, Frame] | None = None  # it has arrived, and has not all of its textures yet

    @property
    def restless(self) -> bool:
        """Whether the wish has just changed."""
        return time.monotonic() - self.changed < REST

    @property
    def is_stale(self) -> bool:
        """Whether the avatars are shown as they were, not as they are."""
        if self.shown is None or self.wish is None or self.shown.wish is self.wish:
            return False
        return self.shown.wish.pose != self.wish.pose

    def see(self, view: Matrix, projection: Matrix, width: int, height: int) -> View:
        """How it sees the world: the same `View` until it sees otherwise, by more than the last bit of a number."""
        if self._view is None or self._seen != (view, projection, width, height):
            self._seen = view.copy(), projection.copy(), width, height
            self._view = View(np.array(view, np.float64), np.array(projection, np.float64), width, height)
        return self._view

    def want(self, wish: Wish | None) -> None:
        """Notes what the viewport should show now."""
        if wish is self.wish:
            return
        if (wish and wish.key) != (self.wish and self.wish.key):
            self.changed = time.monotonic()
        self.wish = wish
        if wish is None:
            self.asked = self.shown = self.frame = self._spent = self._coming = None

    def missing(self) -> float | None:
        """How finely to render now; None where such a frame is there or on its way."""
        if self.wish is None:
            return None
        fineness = fineness_of(self.wish.region, self.limit, self.restless, self.pace)
        asked = self.asked
        if asked is not None and asked.wish.key == self.wish.key and asked.fineness >= fineness:
            return None
        return fineness

    def take(self, request: Request, frame: Frame) -> None:
        """A frame has arrived; `fill` takes it in."""
        self._coming = request, frame
        self.pace = frame.seconds / frame.picture.depth.size

    @property
    def filling(self) -> bool:
        """Whether redraws are needed to take in the frame that has arrived."""
        return self._coming is not None

    def fill(self) -> None:
        """Takes in a part of the frame that has arrived; the last one is shown until it is whole. For each redraw."""
        if self._coming is None:
            return
        if self._spent is not None:
            self._spent.shed()
        if self._coming[1].card.fill():
            self._spent = self.frame and self.frame.card
            self.shown, self.frame = self._coming
            self._coming = None

    def covers(self, x: float, y: float) -> bool:
        """Whether the last frame shows an avatar at a place of the viewport; without a frame, its region counts."""
        if self.wish is None:
            return False
        region = self.shown.wish.region if self.shown else self.wish.region
        right, up = (x - region.x) / region.width, (y - region.y) / region.height
        if not (0 <= right < 1 and 0 <= up < 1):
            return False
        if self.frame is None:
            return True
        alpha = self.frame.picture.image[..., 3]
        return bool(alpha[-1 - int(up * alpha.shape[0]), int(right * alpha.shape[1])] > _SEEN)

    def draw(
        self, table: Table | None, opacities: tuple[float, float], outlines: Sequence[tuple[int, Sequence[float]]]
    ) -> None:
        """Draws the last frame as seen from where the viewport is now, with lines around some of its avatars.

        opacities: where it is nearest, and behind something else.
        outlines: places in the request's avatars, and colours for Card.draw_outline.
        """
        if self.frame is None or self.shown is None or self.wish is None:
            return
        to_clip = self.wish.view.to_clip
        plain = self.shown.wish.inspection is None or self.shown.wish.inspection.mode == "color"
        self.frame.card.draw(to_clip, table if plain else None, *opacities)
        for avatar, color in outlines:
            test = 'ALWAYS' if opacities[1] > 0.0 else 'LESS_EQUAL'
            self.frame.card.draw_outline(to_clip, avatar, color, max(1.0, 2 * self.shown.fineness), test)


def card_of(frame: PackedFrame, request: Request) -> Card:
    """The card of a frame, ready for the view that was asked for. Any thread may make it: Blender does not draw yet."""
    camera = request.camera
    distance = float((camera.viewmat @ np.append(request.wish.corners.mean(0), 1.0))[2])
    card = Card(frame, distance if camera.orthographic else max(distance, camera.near))
    card.look(request.wish.view.to_clip)
    return card
