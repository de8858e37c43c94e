# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Track Video…: the file browser, the panel while it looks for the face and cuts it out, and what it says then."""

import json
import sys
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from .harness import Screen, Until, Walk, box_of, region_of, write_png
from .product import ADDON, install, only_panel, pixels_of

_VIEWS = Path(__file__).resolve().parents[2] / "docs" / "images" / "demo_character.png"  # six, 320 pixels each
_SHIFTS = (-8, 0, 8)  # pixels
_LIMIT = 600  # seconds, on a busy machine


def walk(screen: Screen) -> Walk:
    yield from install(screen)
    film = _film(screen.folder / "film")
    yield from only_panel(screen, "HEADGAS_PT_training")
    yield "panel"
    yield from _choose(screen, film)
    yield 3.0
    yield "tracking"
    folder, settings = film.with_name("film capture"), bpy.context.scene.headgas_training
    yield Until(lambda: settings.capture or _task().done, "the pictures are tracked", _LIMIT)
    yield 1.0
    picture = yield "tracked"
    if "is not installed" in str(_task().error):
        print("The face tracker is not on this machine, and Blender may not download it: not tried")
        return
    assert Path(settings.capture) == folder, str(_task().error)
    facts = json.loads((folder / "tracking.json").read_text(encoding="utf-8"))
    assert facts["frames"]["train"] + facts["frames"]["test"] > 14 and facts["advice"], facts["frames"]
    assert (folder / "tracking.html").is_file() and bpy.ops.headgas.open_tracking_report.poll()
    left, top, width, _ = box_of(region_of(screen.area(), 'UI'))
    screen.keep(picture, "track_video", (left, top, width - 24, 498))  # below, it names a folder of this machine


def _film(folder: Path) -> Path:
    """The demo head from six sides, shifted about."""
    folder.mkdir()
    sides = pixels_of(_VIEWS)[..., :3]
    views = [sides[y : y + 320, x : x + 320] for y in (0, 320) for x in (0, 320, 640)]
    for number, (view, shift) in enumerate((view, shift) for view in views for shift in _SHIFTS):
        write_png(folder / f"{number:04d}.png", (np.roll(view, shift, (0, 1)) * 255 + 0.5).astype(np.uint8))
    return folder


def _choose(screen: Screen, film: Path) -> Walk:
    """One picture of the folder in the file browser."""
    windows = bpy.context.window_manager.windows
    with screen.over():
        bpy.ops.headgas.track_video('INVOKE_DEFAULT')
    yield Until(lambda: len(windows) == 2, "the file browser is open")
    yield 1.5
    browser, area = windows[1], windows[1].screen.areas[0]
    area.spaces.active.params.directory = str(film).encode()
    yield 1.0
    area.spaces.active.params.filename = "0000.png"
    yield "browser"
    with bpy.context.temp_override(window=browser, area=area):
        bpy.ops.file.execute()
    yield Until(lambda: len(windows) == 1, "the file browser is gone")


def _task() -> Any:
    return sys.modules[f"{ADDON}.client.tasks"].task("track")
