# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""One viewport: what it wants, what it has, and what it draws meanwhile."""

import time
from dataclasses import dataclass, field

import numpy as np

from ..client import LaunchSettings, PosedAvatar
from ..core.cameras import PinholeCamera, PixelRegion
from .shader import Card
from .views import View, camera_for, fineness_of

REST = 0.25  # seconds without a change, after which a view counts as still


@dataclass(frozen=True, eq=False)
class Request:
    """One frame of one viewport."""

    looks: tuple  # of the avatars
    view: View
    region: PixelRegion
    fineness: float
    time: float  # the scene's frame
    avatars: tuple[PosedAvatar, ...]
    camera: PinholeCamera
    distance: float  # metres to the avatars' middle
    backend: LaunchSettings

    @property
    def key(self) -> tuple:
        """Equal where the picture would be the same but for its fineness."""
        return self.looks, self.view.key, self.region


@dataclass(frozen=True, eq=False)
class Frame:
    """What the backend made of a request."""

    image: np.ndarray  # [H,W,4] float32, scene-linear, premultiplied, row 0 on top
    depth: np.ndarray  # [H,W] float32, metres
    seconds: float
    cut: bool  # whether the region was too small for the avatars


@dataclass(eq=False)
class Viewport:
    """What is known of one viewport between two redraws."""

    wanted: tuple = ()
    changed: float = 0.0  # when `wanted` last did; seconds of time.monotonic
    asked: Request | None = None
    shown: Request | None = None
    frame: Frame | None = None  # until it is on the GPU
    card: Card | None = None
    pace: float | None = None  # seconds per pixel
    drawn: float = field(default_factory=time.monotonic)

    @property
    def restless(self) -> bool:
        """Whether what it wants has just changed."""
        return time.monotonic() - self.changed < REST

    def want(self, key: tuple) -> None:
        """Notes what the viewport should show now."""
        if key != self.wanted:
            self.wanted, self.changed = key, time.monotonic()

    def fineness(self, region: PixelRegion, limit: int) -> float:
        """How finely to render now."""
        return fineness_of(region, limit, self.restless, self.pace)

    def is_asked(self, fineness: float) -> bool:
        """Whether what it wants is on its way or there, as fine or finer."""
        return self.asked is not None and self.asked.key == self.wanted and self.asked.fineness >= fineness

    def take(self, request: Request, frame: Frame) -> None:
        """A frame has arrived."""
        self.shown, self.frame = request, frame
        self.pace = frame.seconds / frame.depth.size

    def draw(self, view: View) -> None:
        """Draws the last frame, seen from where the viewport is now."""
        if self.frame is not None and self.shown is not None:
            self.card = Card(self.frame.image, self.frame.depth, self.shown.camera, self.shown.distance)
            self.frame = None
        if self.card is not None:
            self.card.draw(view.to_clip)


def request_for(
    view: View,
    region: PixelRegion,
    fineness: float,
    looks: tuple,
    moment: float,
    avatars: tuple[PosedAvatar, ...],
    middle: np.ndarray,
    backend: LaunchSettings,
) -> Request:
    """A request; `middle` [3] is the avatars' middle in the world."""
    camera = camera_for(view, region, fineness)
    distance = max(float((camera.viewmat @ np.append(middle, 1.0))[2]), camera.near)
    return Request(looks, view, region, fineness, moment, avatars, camera, distance, backend)
