# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Has the backend make frames, in a thread: nothing here knows Blender."""

import time

from .. import client
from ..client import Backend, Picture
from .packing import packed
from .viewport import Frame, Request, card_of
from .views import is_cut

_LOOK = 0.3  # seconds between two questions while kernels are compiled
_LONG = 1.0  # seconds; what takes less is not worth a word


class FrameMaker:
    """Makes frames, and says what it is doing."""

    def __init__(self) -> None:
        self._stage, self._since = "", 0.0
        self._closing = False

    def stage(self) -> str:
        """What it has been doing for a while, in the user's words; empty when nothing."""
        return self._stage if self._stage and time.monotonic() - self._since > _LONG else ""

    def close(self) -> None:
        """Lets go of what it waits for."""
        self._closing = True

    def make(self, request: Request) -> Frame:
        """The frame of a request.

        Raises:
            HeadGaSError, BackendBug, Cancelled: as the client does.
        """
        try:
            if client.running() is None:
                self._begin("Starting the backend")
            picture, started = client.ask(
                request.backend, lambda backend: self._rendered(backend, request), self._is_closing, self._begin
            )
        finally:
            self._stage = ""
        wish = request.wish
        cut = is_cut(picture.image[..., 3], wish.region, wish.view)
        picture = without_holdouts(picture, wish.held_out)
        card = card_of(packed(picture, request.camera), request)
        return Frame(picture, card, time.perf_counter() - started, cut)

    def _rendered(self, backend: Backend, request: Request) -> tuple[Picture, float]:
        """The picture, and when it was begun, of time.perf_counter()."""
        self._wait_for_kernels(backend)
        self._begin("Rendering")
        wish, started = request.wish, time.perf_counter()
        coverage = len(wish.avatars) > 1
        picture = backend.render(
            wish.avatars, request.camera, request.deadline, self._is_closing, wish.inspection, coverage
        )
        return picture, started

    def _wait_for_kernels(self, backend: Backend) -> None:
        while (stage := backend.compiling(self._is_closing)) and not self._closing:
            self._begin(stage[0].upper() + stage[1:])
            time.sleep(_LOOK)

    def _begin(self, stage: str) -> None:
        if stage != self._stage:
            self._stage, self._since = stage, time.monotonic()

    def _is_closing(self) -> bool:
        return self._closing


def without_holdouts(picture: Picture, held_out: tuple[bool, ...]) -> Picture:
    """The picture with black in place of the avatars that are holdouts."""
    if not any(held_out):
        return picture
    image, coverage = picture.image.copy(), picture.coverage
    if coverage is None:
        image[..., :3] = 0.0
    else:
        kept = sum(plane for plane, is_out in zip(coverage, held_out, strict=True) if not is_out)
        image[..., :3] *= (kept / coverage.sum(0).clip(1e-6))[..., None]
    return picture._replace(image=image)
