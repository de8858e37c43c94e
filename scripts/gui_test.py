# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drives a real Blender window through the walks of tests/gui: `python3 scripts/gui_test.py [WALK …]`.

Pictures of each step are left in out/gui. Where this machine can have no such window it says why, and ends with 5 as
pytest does when there is no test to run.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import build_extension
import environment
import window

OUT = environment.ROOT / "out" / "gui"
USUAL = ("basics", "viewport", "talking_head", "training")  # what test.py has the time for
WALKS = (*USUAL, "objects", "views", "motion", "captures", "tracking", "command_line")
NO_TESTS = 5
SCREENS = {"cost": (1252, 1162)}  # walks that need another screen, in pixels
_LIMIT = 900  # seconds for a walk, on a busy machine


def run(backend: Path, walks: tuple[str, ...] = USUAL, avatar: Path | None = None) -> int:
    """Runs the walks, with another avatar than the painted one if one is given.

    Returns 0, 1 when one failed, or NO_TESTS where there can be no window.
    """
    reason = window.why_not()
    if not reason:
        try:
            window.set_up()
        except environment.SetupError as error:  # no network, a full disk
            reason = str(error)
    if reason:
        print(f"Blender's window: skipped, {reason}", flush=True)
        return NO_TESTS
    shutil.rmtree(OUT, ignore_errors=True)
    build_extension.build(OUT)
    _make_material(backend, OUT / "material")
    if avatar is not None:
        shutil.copy(avatar, OUT / "material" / "head" / "avatar.safetensors")
    return max([_walk(name, backend) for name in walks])


def _make_material(backend: Path, folder: Path) -> None:
    variables = os.environ | {"PYTHONPATH": str(environment.ROOT / "backend")}
    command = [str(backend), str(environment.ROOT / "tests" / "gui" / "material.py"), str(folder)]
    subprocess.run(command, check=True, env=variables, timeout=_LIMIT)


def _walk(name: str, backend: Path) -> int:
    """Runs one walk and says how it went."""
    folder, started = OUT / name, time.monotonic()
    folder.mkdir()
    script = environment.ROOT / "tests" / "gui" / "main.py"
    size = SCREENS.get(name, window.SIZE)
    code = window.run(folder, script, [name, str(folder)], backend, _LIMIT, size)
    seconds = time.monotonic() - started
    results = folder / "results.json"
    found = json.loads(results.read_text(encoding="utf-8")) if results.is_file() else {"steps": [], "failure": None}
    failure = found["failure"]
    if failure is None and (code != 0 or not results.is_file()):
        ended = f"had not ended after {_LIMIT} s" if code is None else f"ended with {code}"
        failure = f"Blender {ended}; its output: {folder / 'blender.log'}"
    outcome = "passed" if failure is None else "FAILED"
    print(f"{name}: {outcome}, {len(found['steps'])} steps, {seconds:.0f} seconds, pictures in {folder}", flush=True)
    if failure is not None:
        print(failure, flush=True)
    return 0 if failure is None else 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # ends Blender, too
    parser.add_argument("walks", nargs="*", metavar="WALK", help=f"default: {' '.join(WALKS)}")
    parser.add_argument(
        "--pictures", type=Path, metavar="AVATAR", help="write the pictures of docs/manual.md that show this avatar"
    )
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.walks) - set(WALKS))
    if unknown:
        parser.error(f"there is no walk {', '.join(unknown)}")
    try:
        backend = Path(os.environ.get("HEADGAS_PYTHON") or environment.backend(environment.TEST_PACKAGES))
        if arguments.pictures is None:
            return run(backend, tuple(arguments.walks) or WALKS)
        code = run(backend, ("talking_head", "pictures"), arguments.pictures)
        for picture in OUT.glob("*/manual/*.png"):
            if picture.name in (environment.ROOT / "docs" / "manual.md").read_text(encoding="utf-8"):
                shutil.copy(picture, environment.ROOT / "docs" / "images")
        return code
    except environment.SetupError as error:
        print(f"gui_test.py: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
