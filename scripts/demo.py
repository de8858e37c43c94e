# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole job on this machine, from nothing: `python3 scripts/demo.py [--out out/demo] [--budget 150s]`.

Builds the demo head in Blender, captures it with Cycles, trains an avatar, imports it into a new scene through the
extension, animates its shape keys and renders the sequence with the HeadGaS engine. Each part is the product's own.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import build_extension
import environment

STAGES = Path(__file__).resolve().parent / "demo_stages"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=environment.ROOT / "out" / "demo", help="default: out/demo")
    parser.add_argument("--budget", default="150s", help="training time (default: 150s)")
    parser.add_argument("--frames", type=int, default=104, help="training frames to capture (default: 104)")
    options = parser.parse_args()
    started = time.monotonic()
    try:
        demo = Demo(options.out.resolve())
        demo.run(options.budget, options.frames)
    except environment.SetupError as error:
        print(f"demo.py: {error}", file=sys.stderr)
        return 2
    except subprocess.CalledProcessError as error:
        print(f"demo.py: this stage failed (exit code {error.returncode}); its messages are above.", file=sys.stderr)
        return 1
    demo.conclude(time.monotonic() - started)
    return 0


class Demo:
    """The stages, their folder and how long each took."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.seconds: dict[str, float] = {}

    def run(self, budget: str, frames: int) -> None:
        out = self.out
        out.mkdir(parents=True, exist_ok=True)
        self._begin("setting up Python environments")
        backend, blender = environment.backend(), environment.demo_blender()
        extension = build_extension.build(out / "extension")
        # Blender gets settings of its own: the user's are not touched.
        variables = {
            "BLENDER_USER_RESOURCES": str(out / "blender-settings"),
            "HEADGAS_PYTHON": str(backend),
            "HEADGAS_EXTENSION": str(extension),
        }
        self._begin("building the demo head and capturing it with Cycles")
        self._in_blender(blender, STAGES / "capture.py", out, frames, variables=variables)
        self._begin(f"training an avatar for {budget}")
        self._call(backend, "-m", "headgas", "train", out / "capture", "--out", out / "run", "--budget", budget)
        self._begin("animating the avatar in Blender and rendering 48 frames")
        self._in_blender(blender, STAGES / "animate.py", out, variables=variables)
        self._begin("comparing with the captured frames")
        self._call(backend, STAGES / "compare.py", out)
        self._end()

    def _begin(self, stage: str) -> None:
        self._end()
        print(f"\n[{len(self.seconds) + 1}/5] {stage}", flush=True)
        self._stage, self._started = stage, time.monotonic()

    def _end(self) -> None:
        if hasattr(self, "_stage"):
            self.seconds[self._stage] = round(time.monotonic() - self._started, 1)
            print(f"      {self.seconds[self._stage]:.0f} s", flush=True)

    def _call(self, python: Path, *arguments: object) -> None:
        subprocess.run([str(python), *map(str, arguments)], check=True, stdin=subprocess.DEVNULL)

    def _in_blender(self, python: Path, *arguments: object, variables: dict[str, str]) -> None:
        """Progress and errors come through; Blender's own chatter goes to a log."""
        command = [str(python), *map(str, arguments)]
        with (self.out / "blender.log").open("ab") as log:
            subprocess.run(command, check=True, env=os.environ | variables, stdin=subprocess.DEVNULL, stdout=log)

    def conclude(self, total: float) -> None:
        out = self.out
        summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
        capture = json.loads((out / "capture" / "capture.json").read_text(encoding="utf-8"))
        summary |= {"stages": self.seconds, "total_seconds": round(total, 1), "captured": capture["rendered"]}
        unfinished = out / "summary.json.part"
        unfinished.write_text(json.dumps(summary, indent=2), encoding="utf-8")
        os.replace(unfinished, out / "summary.json")
        print(f"\nDone in {total / 60:.1f} minutes.")
        print(f"Test frames: PSNR {summary['psnr']:.2f} dB, SSIM {summary['ssim']:.4f}")
        self._tell_speed(summary, capture)
        for name, what in (
            ("animation.gif", "the avatar, animated in Blender and rendered by the HeadGaS engine"),
            ("comparison.png", "captured | avatar | error"),
            ("animation.blend", "the scene; open it in Blender with the extension installed"),
            (f"extension/{build_extension.file_name()}", "in Blender: Preferences > Get Extensions > …"),
            ("run/avatar.safetensors", "the avatar; File > Import > HeadGaS Avatar"),
            ("capture", "the captured frames"),
            ("summary.json", "all figures"),
        ):
            print(f"  {out / name}\n      {what}")
        print("Try next: open animation.blend, move the sliders of the control mesh, press F12. docs/ has the manual.")

    def _tell_speed(self, summary: dict, capture: dict) -> None:
        """The character in Cycles beside its avatar, at the same size."""
        rendered, size = capture["rendered"], capture["frames"][0]["width"]
        if "seconds_per_frame" not in rendered:  # the capture was there already
            return
        seconds, rate = rendered["seconds_per_frame"], summary["frames_per_second"]
        print(
            f"A frame of {size}² pixels: the character in Cycles ({rendered['samples']} samples) {seconds:.2f} s, "
            f"its avatar {1 / rate:.4f} s ({rate:.0f} a second): {seconds * rate:.0f} times as fast"
        )


if __name__ == "__main__":
    sys.exit(main())
