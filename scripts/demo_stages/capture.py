# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""In Blender: builds the demo head and captures it as a user does: `capture.py OUT FRAMES`."""

import importlib
import json
import sys
import threading
from pathlib import Path

import bpy
import extension

_TEST_SHARE = 7  # one test frame for so many training frames
_SIDES = ("Left", "Right")
# A hundred frames show twenty movements well; all 52 would appear about once each.
CHANNELS = (
    "jawOpen", "mouthLeft", "mouthRight", "mouthFunnel", "mouthPucker", "cheekPuff", "browInnerUp",
    *(name + side for side in _SIDES for name in (
        "browDown", "browOuterUp", "eyeBlink", "eyeLookIn", "eyeLookOut", "mouthSmile", "mouthFrown",
    )),
)  # fmt: skip


def main(out: Path, frames: int) -> None:
    extension.install()
    character = importlib.import_module(f"{extension.PACKAGE}.character")
    scene = bpy.context.scene
    head = character.build_demo_character()
    character.add_studio(scene)
    _render_quickly(scene)
    settings = scene.headgas_capture
    settings.character, settings.folder = head, str(out / "capture")
    settings.frames, settings.test_frames, settings.samples = frames, max(2, frames // _TEST_SHARE), 12
    bpy.ops.headgas.find_capture_channels()
    for row in settings.channels:
        row.use = row.name in CHANNELS
    bpy.ops.wm.save_as_mainfile(filepath=str(out / "character.blend"))
    with _Progress(out / "capture" / "capture.status.json"):
        bpy.ops.headgas.capture_character()  # in a Blender of its own; without a window it waits for it
    extension.leave()


def _render_quickly(scene: bpy.types.Scene) -> None:
    """How light travels in a scene without glass."""
    cycles = scene.cycles
    cycles.max_bounces, cycles.diffuse_bounces, cycles.glossy_bounces = 4, 2, 2
    cycles.transparent_max_bounces = 4
    cycles.caustics_reflective = cycles.caustics_refractive = False


class _Progress:
    """Tells how far a capture is for as long as one waits for it."""

    def __init__(self, status: Path) -> None:
        self._status, self._ended = status, threading.Event()
        self._thread = threading.Thread(target=self._tell)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        print(file=sys.stderr)

    def _tell(self) -> None:
        done = 0
        while not self._ended.wait(0.5):
            try:
                told = json.loads(self._status.read_text(encoding="utf-8"))
            except (OSError, ValueError):
                continue  # it has not begun
            if told["rendered"] and told["done"] != done:
                done = told["done"]
                left = (told["total"] - told["done"]) * told["seconds"] / told["rendered"]
                text = f"\r      frame {told['done']}/{told['total']}, {left:.0f} s left "
                print(text, end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
