# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""In Blender: walks through the window, step by step, with a picture of the screen at each.

A walk is a generator. It yields a name, and gets the `Picture` of that step; or seconds to wait; or an `Until`.
"""

import json
import os
import struct
import subprocess
import time
import traceback
import zlib
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from bpy_extras.object_utils import world_to_camera_view
from bpy_extras.view3d_utils import location_3d_to_region_2d
from mathutils import Vector

_TICK = 0.05  # seconds
_DRAWING = 0.6  # seconds, in which Blender draws its windows
_PROGRAM_LIMIT = 30  # seconds


@dataclass(frozen=True)
class Until:
    """Waits until a condition holds, for so many seconds at most; else the walk has failed."""

    holds: Callable[[], Any]
    what: str
    seconds: float = 180.0  # far more than it takes, even on a busy machine


@dataclass(frozen=True)
class Picture:
    """The screen at one step: pixels [H,W,3] uint8, row 0 on top."""

    path: Path
    pixels: np.ndarray

    def of(self, region: bpy.types.Region) -> np.ndarray:
        """The pixels [h,w,3] of a region of the main window."""
        left, top, width, height = box_of(region)
        return self.pixels[top : top + height, left : left + width]

    def around(self, x: float, y: float, half: int = 4) -> np.ndarray:
        """The mean colour [3] of a square about a point of the screen, 0 to 255."""
        left, top = round(x) - half, round(y) - half
        return self.pixels[top : top + 2 * half + 1, left : left + 2 * half + 1].reshape(-1, 3).mean(0)


Walk = Generator[str | float | Until, Picture | None, None]


@dataclass
class Screen:
    """Blender's window as somebody sits before it."""

    folder: Path
    steps: list[dict[str, Any]] = field(default_factory=list)
    _hand: subprocess.Popen | None = None  # on mouse and keys

    @property
    def window(self) -> bpy.types.Window:
        """The main window."""
        return bpy.context.window_manager.windows[0]

    def area(self, kind: str = 'VIEW_3D') -> bpy.types.Area:
        """The first area of a kind."""
        return next(area for area in self.window.screen.areas if area.type == kind)

    @contextmanager
    def over(self, kind: str = 'VIEW_3D') -> Iterator[bpy.types.Area]:
        """Operators run as if the mouse were over the first area of a kind."""
        area = self.area(kind)
        with bpy.context.temp_override(
            window=self.window, screen=self.window.screen, area=area, region=region_of(area)
        ):
            yield area

    def press(self, *keys: str) -> None:
        """Keys as xdotool calls them, one after the other."""
        self._act("key", "--delay", "60", *keys)

    def write(self, text: str) -> None:
        """Types a text."""
        self._act("type", "--delay", "30", text)

    def move(self, x: float, y: float) -> None:
        """The mouse to a point of the screen, in pixels from the upper left."""
        self._act(*_move(x - 1, y), *_move(x, y))

    def click(self, x: float, y: float, button: int = 1) -> None:
        """A click at a point of the screen."""
        self._act(*_move(x - 1, y), *_move(x, y), "sleep", "0.2", "click", str(button))

    def double_click(self, x: float, y: float) -> None:
        """Two clicks at a point of the screen."""
        self._act(*_move(x - 1, y), *_move(x, y), "sleep", "0.2", "click", "--repeat", "2", "--delay", "80", "1")

    def drag(self, start: tuple[float, float], end: tuple[float, float], button: int = 1) -> Walk:
        """Presses at `start`, lets go at `end`; slowly, for a busy Blender takes a quick one for nothing."""
        self._act(*_move(*start), "sleep", "0.2", "mousedown", str(button))
        yield 0.8
        for share in (0.3, 0.6, 1.0):
            self._act(*_move(*(a + share * (b - a) for a, b in zip(start, end, strict=True))))
            yield 0.3
        self._act("mouseup", str(button))
        yield 0.3

    def _act(self, *arguments: str) -> None:
        """Blender goes on meanwhile, as it does when somebody moves the mouse."""
        if self._hand is not None:
            self._hand.wait(_PROGRAM_LIMIT)
        self._hand = subprocess.Popen(["xdotool", *arguments])

    def redraw(self) -> None:
        """Has Blender draw all windows anew when it comes to it."""
        for window in bpy.context.window_manager.windows:
            for area in window.screen.areas:
                area.tag_redraw()

    def photograph(self, name: str) -> Picture:
        """Writes the screen as it is now."""
        path = self.folder / f"{len(self.steps):02d}_{name}.png"
        width, height = self.window.width, self.window.height
        raw = _run("import", "-window", "root", "-depth", "8", "rgb:-")
        pixels = np.frombuffer(raw, np.uint8).reshape(height, width, 3)
        write_png(path, pixels)
        return Picture(path, pixels)

    def keep(self, picture: Picture, name: str, box: tuple[int, int, int, int], percent: int = 75) -> None:
        """A picture for the manual: left, top, width and height of the screen, smaller, in 128 colours."""
        folder = self.folder / "manual"
        folder.mkdir(exist_ok=True)
        left, top, width, height = box
        part = ("-crop", f"{width}x{height}+{left}+{top}", "+repage", "-resize", f"{percent}%")
        _run("convert", str(picture.path), *part, "+dither", "-colors", "128", f"PNG8:{folder / name}.png")

    def box_of_window(self, window: bpy.types.Window) -> tuple[int, int, int, int]:
        """Left, top, width and height of a window on the screen, in pixels."""
        return window.x, self.window.height - window.y - window.height, window.width, window.height


def region_of(area: bpy.types.Area, kind: str = 'WINDOW') -> bpy.types.Region:
    """The first region of a kind."""
    return next(region for region in area.regions if region.type == kind)


def box_of(region: bpy.types.Region) -> tuple[int, int, int, int]:
    """Left, top, width and height of a region of the main window on the screen, in pixels."""
    height = bpy.context.window_manager.windows[0].height
    return region.x, height - region.y - region.height, region.width, region.height


def in_view(area: bpy.types.Area, point: Sequence[float]) -> tuple[float, float]:
    """Where on the screen a point of the world is in a 3D view."""
    region = region_of(area)
    x, y = location_3d_to_region_2d(region, area.spaces.active.region_3d, Vector(point))
    return region.x + x, bpy.context.window_manager.windows[0].height - 1 - region.y - y


def in_render(window: bpy.types.Window, point: Sequence[float]) -> tuple[float, float]:
    """Where on the screen a point of the world is in a window that shows the render of the scene's camera."""
    area = next(area for area in window.screen.areas if area.type == 'IMAGE_EDITOR')
    region = region_of(area)
    u, v, _ = world_to_camera_view(window.scene, window.scene.camera, Vector(point))
    x, y = region.view2d.view_to_region(u, v, clip=False)
    height = bpy.context.window_manager.windows[0].height
    return window.x + region.x + x, height - 1 - window.y - region.y - y


def write_png(path: Path, pixels: np.ndarray) -> None:
    """Writes pixels [H,W,3] uint8, row 0 on top, quickly."""
    height, width = pixels.shape[:2]
    rows = np.concatenate([np.zeros((height, 1), np.uint8), pixels.reshape(height, -1)], 1)  # 0: no filter

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(rows.tobytes(), 1))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + body + chunk(b"IEND", b""))


def start(walk: Callable[[Screen], Walk], folder: Path) -> None:
    """Runs a walk when the window is there, writes `results.json`, and ends Blender."""
    bpy.context.preferences.view.show_splash = False
    screen = Screen(folder)
    walker = _Walker(screen, walk(screen))
    bpy.app.timers.register(walker.tick, first_interval=1.0, persistent=True)


class _Walker:
    """Takes the next step of a walk whenever Blender has time."""

    def __init__(self, screen: Screen, walk: Walk) -> None:
        self._screen, self._walk = screen, walk
        self._wait: Until | None = None
        self._wish = ""  # a picture of this name, when the window is drawn
        self._since = self._last = time.monotonic()
        self._name = "start"

    def tick(self) -> float | None:
        try:
            if self._wait is None or self._wait.holds():
                return self._next()
            if time.monotonic() - self._since > self._wait.seconds:
                raise TimeoutError(f"not within {self._wait.seconds:.0f} s: {self._wait.what}")
            return _TICK
        except StopIteration:
            self._finish(None)
        except Exception:  # noqa: BLE001 - whatever went wrong is the test's result
            self._finish(traceback.format_exc())
        return None

    def _next(self) -> float:
        sent = self._pictured() if self._wish else None
        wish = self._walk.send(sent)
        self._wait, self._wish, now = None, "", time.monotonic()
        if isinstance(wish, str):
            self._wish = wish
            self._screen.redraw()
            return _DRAWING
        if isinstance(wish, Until):
            self._wait, self._since = wish, now
            return _TICK
        return float(wish)

    def _pictured(self) -> Picture:
        picture, now = self._screen.photograph(self._wish), time.monotonic()
        step = {"name": self._wish, "picture": picture.path.name, "seconds": round(now - self._last, 2)}
        self._screen.steps.append(step)
        self._last, self._name = now, self._wish
        self._write("Blender did not end the walk")
        return picture

    def _finish(self, failure: str | None) -> None:
        if failure is not None:
            picture = self._screen.photograph("failure")
            failure = f"after the step '{self._name}' (the screen: {picture.path}):\n{failure}"
        self._write(failure)
        try:
            with bpy.context.temp_override(window=self._screen.window):
                bpy.ops.wm.quit_blender()
        except RuntimeError:  # after a render Blender may refuse operators
            os._exit(0)

    def _write(self, failure: str | None) -> None:
        results = {"steps": self._screen.steps, "failure": failure}
        (self._screen.folder / "results.json").write_text(json.dumps(results, indent=1), encoding="utf-8")


def _move(x: float, y: float) -> tuple[str, ...]:
    return "mousemove", str(round(x)), str(round(y))


def _run(*command: str) -> bytes:
    return subprocess.run(command, check=True, capture_output=True, timeout=_PROGRAM_LIMIT).stdout
