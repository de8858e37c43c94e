# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""From an avatar and a take to a rendered talking head in nine clicks, as the manual tells it; and its pictures."""

import shutil
from pathlib import Path

import bpy

from .harness import Screen, Until, Walk
from .product import install, material, settled

# Points of the screen, in pixels, where Blender 4.3 has these in its new file.
_FILE, _IMPORT, _ITS_MENU = (46, 13), (82, 311), (250, 311)
_AVATAR, _TAKE = (430, 478), (430, 499)  # in that menu
_FIRST_FILE = (450, 236)  # in the file browser, below the folders
_SET_UP = (1116, 485)  # in its sidebar
_FRAMES = 4


def walk(screen: Screen) -> Walk:
    yield from install(screen)
    home = Path.home()
    shutil.copy(material(screen) / "head" / "avatar.safetensors", home / "anna.safetensors")
    shutil.copy(material(screen) / "take.csv", home / "talk.csv")
    (home / "Documents").mkdir()
    with screen.over():
        bpy.ops.wm.read_homefile(use_factory_startup=False)
    yield 0.5
    screen.move(600, 500)
    screen.press("Delete")
    yield Until(lambda: "Cube" not in bpy.context.scene.objects, "Delete removes the cube")
    clicks = yield from _import(screen, _AVATAR, "avatar")
    yield Until(lambda: len(_avatars()) == 1, "the avatar is imported")
    clicks += yield from _import(screen, _TAKE, "take", option=_SET_UP)
    scene = bpy.context.scene
    yield Until(lambda: scene.render.engine == 'HEADGAS', "the take is imported and the scene set up")
    assert clicks == 9 and scene.frame_end == 48, (clicks, scene.frame_end)
    scene.frame_set(18)
    yield 0.5
    yield from settled()
    screen.keep((yield "viewport"), "talking_viewport", (0, 30, 1150, 850), 60)
    yield from _render(screen, home / "frames")


def _import(screen: Screen, entry: tuple[int, int], name: str, option: tuple[int, int] | None = None) -> Walk:
    """The file browser from the menu, and a file by a double click. Gives the number of clicks."""
    screen.click(*_FILE)
    yield 1.0
    screen.move(*_IMPORT)
    yield 1.0
    screen.move(*_ITS_MENU)
    yield 0.3
    screen.move(*entry)
    yield 0.3
    screen.keep((yield f"{name}_menu"), f"talking_{name}_menu", (0, 0, 640, 520))
    windows = bpy.context.window_manager.windows
    screen.click(*entry)
    yield Until(lambda: len(windows) == 2, "the file browser is open")
    yield 1.5
    clicks = 2
    if option is not None:
        screen.click(*option)
        yield 0.8
        clicks += 1
    screen.keep((yield f"{name}_browser"), f"talking_{name}", (395, 182, 857, 580))  # without the folder's path
    screen.double_click(*_FIRST_FILE)
    yield Until(lambda: len(windows) == 1, "the file browser is gone")
    return clicks + 2


def _render(screen: Screen, frames: Path) -> Walk:
    """Ctrl F12: the animation, here a few small frames of it."""
    scene = bpy.context.scene
    scene.render.filepath, scene.render.resolution_percentage = f"{frames}/", 30
    scene.frame_step = 48 // _FRAMES
    windows = bpy.context.window_manager.windows
    screen.press("ctrl+F12")
    yield Until(lambda: len(windows) > 1, "Ctrl F12 renders")
    yield Until(lambda: len(list(frames.glob("*.png"))) == _FRAMES, "all frames are rendered", 600)
    yield Until(lambda: not bpy.app.is_job_running('RENDER'), "rendering has ended")
    screen.keep((yield "rendered"), "talking_rendered", screen.box_of_window(windows[1]))
    assert len({path.read_bytes() for path in frames.glob("*.png")}) == _FRAMES, "the head does not talk"


def _avatars() -> list[bpy.types.Object]:
    return [obj for obj in bpy.context.scene.objects if obj.headgas.is_avatar]
