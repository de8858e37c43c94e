# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""In the backend: figures on the test frames, the comparison sheet and the animation as a GIF: `compare.py OUT`."""

import json
import os
import subprocess
import sys
from pathlib import Path

from PIL import Image

_FRAME_TIME = 40  # milliseconds; GIF counts in steps of ten
_SIZE = (320, 320)  # pixels of the GIF: small enough for a README


def main(out: Path) -> None:
    command = [sys.executable, "-m", "headgas", "evaluate", "--json", "--sheet", str(out / "comparison.png")]
    inputs = [str(out / "run" / "avatar.safetensors"), str(out / "capture")]
    finished = subprocess.run([*command, *inputs], check=True, stdout=subprocess.PIPE, text=True)
    frames = sorted((out / "frames").glob("*.png"))
    _replace(out / "animation.gif", [_small(path) for path in frames])
    unfinished = out / "summary.json.part"
    unfinished.write_text(json.dumps(json.loads(finished.stdout), indent=2), encoding="utf-8")
    os.replace(unfinished, out / "summary.json")


def _small(frame: Path) -> Image.Image:
    picture = Image.open(frame).convert("RGB").resize(_SIZE, Image.Resampling.LANCZOS)
    return picture.quantize(255, dither=Image.Dither.FLOYDSTEINBERG)


def _replace(path: Path, images: list[Image.Image]) -> None:
    unfinished = path.with_name(path.name + ".part")
    images[0].save(unfinished, format="GIF", save_all=True, append_images=images[1:], duration=_FRAME_TIME, loop=0)
    os.replace(unfinished, path)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
