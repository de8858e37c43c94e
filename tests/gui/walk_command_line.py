# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program `blender -b`: sequences, killed backends, killed Blenders, a farm's command lines, EEVEE.

The window only prepares the shot. It is the one place with a Blender that has a command line and an exit code.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import bpy
import numpy as np

from .harness import Screen, Until, Walk
from .product import ADDON, install, material, shape_key

_LAST = 24  # frame
_SIDE = 96  # pixels
_ROOT = Path(__file__).resolve().parents[2]


def walk(screen: Screen) -> Walk:
    yield from install(screen)
    with screen.over():
        bpy.ops.headgas.import_avatar(filepath=str(material(screen) / "head" / "avatar.safetensors"))
    _prepare(screen)
    yield "prepared"
    yield from _whole_sequence(screen)
    yield from _broken_backend(screen)
    yield from _killed_backend(screen)
    yield from _killed_blender(screen)
    yield from _farm(screen)
    yield from _eevee(screen)


def _prepare(screen: Screen) -> None:
    """A shot in which no two frames are alike, and preferences that have the extension."""
    scene = bpy.context.scene
    for frame, value in ((1, 0.0), (_LAST, 1.0)):
        shape_key("jawOpen").value = value
        shape_key("jawOpen").keyframe_insert("value", frame=frame)
    camera = scene.camera
    camera.location, camera.rotation_euler, camera.data.lens = (0.0, -0.6, 0.0), (np.pi / 2, 0.0, 0.0), 60.0
    render = scene.render
    render.engine, render.film_transparent, scene.view_settings.view_transform = 'HEADGAS', True, 'Standard'
    render.resolution_x = render.resolution_y = _SIDE
    render.use_overwrite, render.use_placeholder = False, True
    scene.frame_start, scene.frame_end = 1, _LAST
    with screen.over():
        bpy.ops.wm.save_userpref()
        bpy.ops.wm.save_as_mainfile(filepath=str(_shot(screen)))


def _shot(screen: Screen) -> Path:
    return screen.folder / "shot.blend"


class _Blender:
    """One `blender` that renders the shot."""

    def __init__(self, screen: Screen, name: str, *arguments: str, python: str = "", line: list[str] | None = None):
        self.out, self._log = screen.folder / name, screen.folder / f"{name}.log"
        command = line or ["blender", "-b", str(_shot(screen)), "-o", str(self.out / "####"), *arguments]
        variables = os.environ | ({"HEADGAS_PYTHON": python} if python else {})
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=variables)

    @property
    def said(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")

    @property
    def files(self) -> list[Path]:
        return sorted(self.out.glob("*")) if self.out.is_dir() else []

    def ends(self, code: int) -> Walk:
        """Waits for the end, and looks at the exit code and at what is left of it."""
        yield Until(lambda: self.process.poll() is not None, f"{self.out.name} ends", 300)
        assert self.process.returncode == code, f"{self.out.name} ended with {self.process.returncode}:\n{self.said}"
        yield Until(lambda: not self.backends(), "its backend is gone", 20)

    def backends(self) -> list[int]:
        """The process numbers of the backends that it has started; the window, process 1, inherits what it leaves."""
        own = sys.modules[f"{ADDON}.client"].running()
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                words = (folder / "cmdline").read_bytes().split(b"\0")
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, ValueError):  # it ended meanwhile
                continue
            if b"serve" in words and parent in (self.process.pid, 1) and (own is None or own.pid != int(folder.name)):
                found.append(int(folder.name))
        return found


def _pixels(path: Path) -> np.ndarray:
    image = bpy.data.images.load(str(path))
    values = np.empty(len(image.pixels), np.float32)
    image.pixels.foreach_get(values)
    bpy.data.images.remove(image)
    return values


def _whole_sequence(screen: Screen) -> Walk:
    """All frames, each another; the exit code is 0 and nothing stays alive."""
    blender = _Blender(screen, "whole", "-a")
    yield from blender.ends(0)
    assert [path.name for path in blender.files] == [f"{frame:04d}.png" for frame in range(1, _LAST + 1)]
    frames = [_pixels(path) for path in blender.files]
    assert all(frame.max() > 0.5 for frame in frames) and all(
        np.abs(one - other).max() > 0 for one, other in zip(frames, frames[1:], strict=False)
    )


def _is_as_whole(screen: Screen, path: Path) -> bool:
    return bool(np.abs(_pixels(path) - _pixels(screen.folder / "whole" / path.name)).max() == 0)


def _broken_backend(screen: Screen) -> Walk:
    """A failed frame is no file, ends the job, and is named; also where the command line asks for single frames."""
    for name, arguments in (("broken", ("-a",)), ("broken_frames", ("-f", "1..3"))):
        blender = _Blender(screen, name, *arguments, python="/bin/false")
        yield from blender.ends(1)
        assert not blender.files and "Frame 1: " in blender.said and "Frame 2" not in blender.said, blender.said


def _killed_backend(screen: Screen) -> Walk:
    """Killed once it is started again; killed twice it ends the job, and every file is a right frame."""
    blender = _Blender(screen, "killed_once", "-a")
    yield Until(lambda: len(blender.files) > 2 and blender.backends(), "it renders")
    os.kill(blender.backends()[0], signal.SIGKILL)
    yield from blender.ends(0)
    assert "It is started again" in blender.said, blender.said
    assert len(blender.files) == _LAST and all(_is_as_whole(screen, path) for path in blender.files)
    blender = _Blender(screen, "killed_twice", "-a")
    yield Until(lambda: len(blender.files) > 2 and blender.backends(), "it renders")
    while blender.process.poll() is None:
        for pid in blender.backends():
            os.kill(pid, signal.SIGKILL)
        yield 0.05
    yield from blender.ends(1)
    files = blender.files
    assert 1 < len(files) < _LAST and all(_is_as_whole(screen, path) for path in files), blender.said
    assert f"Frame {len(files) + 1}: " in blender.said, blender.said


def _killed_blender(screen: Screen) -> Walk:
    """What a killed Blender was making is made by the next; its backend ends, too."""
    blender = _Blender(screen, "resumed", "-a")
    yield Until(lambda: len(blender.files) > 4 and blender.files[-1].stat().st_size == 0, "it makes a frame")
    blender.process.kill()
    yield from blender.ends(-signal.SIGKILL)
    made = {path: path.stat().st_mtime_ns for path in blender.files[:4]}
    assert len(blender.files) < _LAST
    blender = _Blender(screen, "resumed", "-a")
    yield from blender.ends(0)
    assert len(blender.files) == _LAST and all(_is_as_whole(screen, path) for path in blender.files)
    assert all(path.stat().st_mtime_ns == since for path, since in made.items())


def _farm(screen: Screen) -> Walk:
    """The worker's command lines: the doctor, two chunks at once, the check; and a machine without the extension."""
    out = screen.folder / "farm"
    settings = {"frames": "1-8", "chunk_size": 4, "format": "PNG", "blendfile": str(_shot(screen))}
    settings["render_output_path"] = str(out / "######")
    command = [os.environ["HEADGAS_PYTHON"], str(_ROOT / "tests" / "farm.py"), json.dumps(settings)]
    compiled = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    tasks = json.loads(compiled.stdout)
    if tasks is None:
        print("No Node.js here: the farm's command lines are not tried")
        return
    lines = {task["name"]: task["command"] for task in tasks}
    names = list(lines)
    for together in (names[:1], names[1:-1], names[-1:]):
        blenders = [_Blender(screen, f"farm_{name}", line=lines[name]) for name in together]
        for blender in blenders:
            yield from blender.ends(0)
    assert [path.name for path in sorted(out.iterdir())] == [f"{frame:06d}.png" for frame in range(1, 9)]
    for frame in range(1, 9):
        expected = _pixels(screen.folder / "whole" / f"{frame:04d}.png")
        assert np.abs(_pixels(out / f"{frame:06d}.png") - expected).max() == 0
    (out / "000003.png").unlink()
    bare = ["blender", "--factory-startup", *lines[names[1]][1:]]
    for line in (lines[names[-1]], bare):
        blender = _Blender(screen, "farm_fails", line=line)
        yield from blender.ends(1)
    assert not (out / "000003.png").exists(), "a machine without the extension rendered something else"


def _eevee(screen: Screen) -> Walk:
    """EEVEE with avatars, where this Blender has graphics."""
    script = _ROOT / "tests" / "gui" / "eevee.py"
    line = ["blender", "-b", str(_shot(screen)), "--python-exit-code", "1", "--python", str(script), "--"]
    started = time.monotonic()
    blender = _Blender(screen, "eevee", line=[*line, str(screen.folder / "eevee")])
    yield from blender.ends(0)
    print(blender.said, f"\nEEVEE took {time.monotonic() - started:.0f} seconds")
