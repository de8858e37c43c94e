# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""In Blender: builds the demo head and captures it: `capture.py OUT FRAMES`."""

import importlib
import sys
import time
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
    capture = importlib.import_module(f"{extension.PACKAGE}.capture")
    head = character.build_demo_character()
    character.add_studio(bpy.context.scene)
    bpy.ops.wm.save_as_mainfile(filepath=str(out / "character.blend"))
    started = time.monotonic()

    def progress(done: int, total: int) -> None:
        left = (time.monotonic() - started) / done * (total - done)
        print(f"\r      frame {done}/{total}, {left:.0f} s left ", end="", file=sys.stderr, flush=True)

    test = max(2, frames // _TEST_SHARE)
    folder = out / "capture"
    capture.capture_character(head, folder, frames=frames, test_frames=test, names=CHANNELS, progress=progress)
    print(file=sys.stderr)
    extension.leave()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
