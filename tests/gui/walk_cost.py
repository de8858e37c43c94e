# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an avatar costs Blender's main thread at each redraw, where it fills 512² and 1024² pixels of a viewport.

Writes `costs.json`. `scripts/bench.py --only viewport` makes rows of it.
"""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import bpy

from .harness import Screen, Walk, region_of
from .product import ADDON, face, import_avatar, install, settled, shape_key

_SIZES = (512, 1024)  # pixels of the picture's longer side
_REDRAWS, _FRAMES = 40, 12
_NEAR = 0.09  # metres from the egg's middle: it fills the view


@dataclass
class Redraw:
    """What one redraw took; milliseconds."""

    pixels: int = 0  # that were new to it: a frame's, or those of one of its strips
    moved: bool = False  # Blender had evaluated something: the avatars were looked up again
    wall: float = 0.0
    processor: float = 0.0  # of the main thread
    textures: float = 0.0  # to make them; of wall
    drawing: float = 0.0  # Blender's calls to draw; of wall


class Meter:
    """Times the overlay's part of every redraw."""

    def __init__(self) -> None:
        self.redraws: list[Redraw] = []
        overlay, shader = sys.modules[f"{ADDON}.overlay.overlay"], sys.modules[f"{ADDON}.overlay.shader"]
        draw, lines, texture, corners = overlay.Overlay.draw, overlay.Overlay.lines, shader._texture, shader._corners
        overlay.Overlay.draw = lambda drawn, context: self._all(Redraw(), lambda: draw(drawn, context))
        overlay.Overlay.lines = lambda drawn, context: self._all(self.redraws.pop(), lambda: lines(drawn, context))
        overlay.shown_avatars = self._looked_up(overlay.shown_avatars)
        shader._texture = self._texture(texture)
        shader._corners = lambda made: _Timed(corners(made), self)
        shader._corners.cache_clear = corners.cache_clear

    def _all(self, redraw: Redraw, run: Callable[[], Any]) -> Any:
        self.redraws.append(redraw)
        wall, processor = time.perf_counter(), time.thread_time()
        answer = run()
        redraw.processor += 1e3 * (time.thread_time() - processor)
        redraw.wall += 1e3 * (time.perf_counter() - wall)
        return answer

    def _looked_up(self, look: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*arguments: Any) -> Any:
            self.redraws[-1].moved = True
            return look(*arguments)

        return noted

    def _texture(self, make: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def timed(values: Any) -> Any:
            begun = time.perf_counter()
            made = make(values)
            redraw = self.redraws[-1]
            redraw.textures += 1e3 * (time.perf_counter() - begun)
            redraw.pixels += values.shape[0] * values.shape[1]
            return made

        return timed


@dataclass
class _Timed:
    """A batch, its draw calls timed."""

    batch: Any
    meter: Meter

    def draw(self, shader: Any) -> None:
        begun = time.perf_counter()
        self.batch.draw(shader)
        self.meter.redraws[-1].drawing += 1e3 * (time.perf_counter() - begun)


def walk(screen: Screen) -> Walk:
    yield from install(screen)
    yield from import_avatar(screen)
    yield from face(screen)
    with screen.over() as area:
        area.spaces.active.region_3d.view_distance = _NEAR
    meter, costs = Meter(), {}
    for size in _SIZES:
        bpy.context.scene.headgas_viewport.limit = size
        yield from settled()
        yield f"at_{size}"
        meter.redraws.clear()
        for _ in range(_REDRAWS):
            screen.redraw()
            yield 0.05
        still = [asdict(redraw) for redraw in meter.redraws]
        meter.redraws.clear()
        for number in range(_FRAMES):
            shape_key("jawOpen").value = 0.5 * (number % 2 + 1)
            yield from settled()
        most = max(redraw.pixels for redraw in meter.redraws)  # a strip of the finest frames; coarse ones are less
        fresh = [asdict(redraw) for redraw in meter.redraws if redraw.pixels > 0.95 * most]
        moved = [asdict(redraw) for redraw in meter.redraws if redraw.moved and not redraw.pixels]
        costs[size] = {"still": still, "moved": moved, "fresh": fresh}
    region = region_of(screen.area())
    content = {"view": [region.width, region.height], "gl": _gl(), "costs": costs}
    (screen.folder / "costs.json").write_text(json.dumps(content), encoding="utf-8")


def _gl() -> str:
    import gpu

    return f"{gpu.platform.renderer_get()}, {gpu.platform.version_get()}"
