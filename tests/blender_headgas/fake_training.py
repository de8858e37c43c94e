# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for `headgas check`, `compare`, `track` and `train`: it writes their files and heeds what it is told.

It trains until it is told to stop, or until the file `die` or `finish` lies in the run's folder.
"""

import base64
import json
import os
import sys
import time
from pathlib import Path

_FOUND = {
    "problems": [], "warnings": ["Never moves in training: tongueOut"], "frames": {"train": 30, "test": 6},
    "sizes": [{"width": 32, "height": 32, "frames": 36}], "matte": [0.3, 0.4], "kind": "ARKit",
    "parameters": [{"name": "jawOpen", "low": 0.0, "high": 1.0, "frames": 9, "seldom": False}],
    "views": {"yaw": [-20.0, 25.0], "pitch": [-5.0, 5.0], "distance": [0.5, 0.6]}, "pictures": [],
}  # fmt: skip

_PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="  # a PNG


def main() -> None:
    """The command that the arguments ask for."""
    command = sys.argv[4:]  # after -P -m headgas
    if command[0] == "check":
        _check(Path(command[1]))
    elif command[0] == "train":
        _train(Path(command[command.index("--out") + 1]), "--resume" in command)
    elif command[0] == "compare":
        _compare(Path(command[1]), Path(command[command.index("--out") + 1]))
    elif command[0] == "track":
        _track(Path(command[1]), Path(command[command.index("--out") + 1]), command)
    else:
        sys.exit(f"the stand-in knows no {command[0]}")


def _check(capture: Path) -> None:
    if (capture / "broken").exists():
        print(json.dumps(_FOUND | {"problems": [f"{capture}: frame 3 has no matte."]}))
        sys.exit(2)
    if (capture / "crash").exists():
        sys.exit("headgas: out of memory")
    print(json.dumps(_FOUND | {"pictures": [str(path) for path in capture.glob("*.png")]}))


def _compare(capture: Path, out: Path) -> None:
    if (capture / "crash").exists():
        sys.exit("headgas: out of memory")
    (out / "comparison.png").write_bytes(base64.b64decode(_PIXEL))


def _track(video: Path, out: Path, command: list[str]) -> None:
    print(" 42%  Looking for the face: frame 3 of 7", file=sys.stderr, flush=True)
    while video.read_bytes() == b"long":
        time.sleep(0.02)
    if video.read_bytes() == b"empty":
        print("headgas: Only 0 of 7 frames can be used.\nFilm one face.", file=sys.stderr)
        sys.exit(2)
    out.mkdir()
    (out / "tracking.html").write_text(" ".join(command))
    (out / "tracking.json").write_text(json.dumps({"advice": ["You never turned your head right."]}))


def _train(folder: Path, resumes: bool) -> None:
    print("a line of the log", file=sys.stderr, flush=True)
    step = 100 if resumes else 0
    (folder / "resume.safetensors").write_bytes(b"state")
    with (folder / "metrics.jsonl").open("a") as metrics:
        while (wish := _wish(folder)) != "stop" and not (folder / "finish").exists():
            if (folder / "die").exists():
                sys.exit("headgas: nothing left on the disk")
            if wish == "train":
                step += 1
                metrics.write(json.dumps({"elapsed": step / 10, "psnr": 20 + step / 100}) + "\n")
                metrics.flush()
            _tell(folder, "paused" if wish == "pause" else "training", step)
            time.sleep(0.02)
    (folder / "resume.safetensors").unlink()
    _tell(folder, "stopped" if wish == "stop" else "finished", step)


def _wish(folder: Path) -> str:
    try:
        return json.loads((folder / "control.json").read_text())["wish"]
    except OSError:
        return "train"


def _tell(folder: Path, state: str, step: int) -> None:
    told = {"state": state, "pid": os.getpid(), "updated": time.time(), "iteration": step, "psnr": 20 + step / 100}
    told |= {"progress": min(1.0, step / 1000), "iterations_per_second": 50.0, "seconds_left": 61.0, "gaussians": 7}
    part = folder / "status.json.part"
    part.write_text(json.dumps(told))
    os.replace(part, folder / "status.json")


if __name__ == "__main__":
    main()
