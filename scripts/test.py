# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sets up what is missing and runs every test: `python3 scripts/test.py [pytest arguments]`.

The backend's tests run in `.venv`; the extension's run once in each Blender version whose Python is on this machine,
the seam's in the newest of these; three of these runs at a time. A real Blender window, of an older version, comes
last: gui_test.py. With pytest arguments, what they select runs wherever it belongs.
"""

import os
import subprocess
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from pathlib import Path

import environment
import gui_test

_NO_TESTS = gui_test.NO_TESTS  # pytest's exit code when the arguments select nothing here
_BLENDER_PACKAGES = ("pytest==9.2.0",)
_BACKEND_TESTS = ("tests/headgas", "tests/repository")
_BLENDER_TESTS = ("tests/blender_headgas",)
_SEAM_TESTS = ("tests/contract",)
_AT_A_TIME = 3  # runs; each waits for other programs now and then


def main() -> int:
    arguments = sys.argv[1:]
    try:
        backend = environment.backend(environment.TEST_PACKAGES)
        blenders = {v: environment.blender(v, _BLENDER_PACKAGES) for v in environment.BLENDER_PYTHONS}
    except environment.SetupError as error:
        print(f"test.py: {error}", file=sys.stderr)
        return 2
    started = time.monotonic()
    results: dict[str, int] = {}
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        runs: dict[Future[tuple[int, str]], str] = {}
        runs[pool.submit(_pytest, backend, _BACKEND_TESTS, arguments, {})] = "backend"
        newest = [version for version, python in blenders.items() if python is not None][-1:]
        for version, python in reversed(blenders.items()):  # the longest first
            if python is None:
                wanted = ".".join(map(str, environment.BLENDER_PYTHONS[version]))
                print(f"\nBlender {version}: skipped, no Python {wanted} on this machine", flush=True)
                continue
            folders = _BLENDER_TESTS + (_SEAM_TESTS if version in newest else ())
            run = pool.submit(_pytest, python, folders, arguments, {"HEADGAS_PYTHON": str(backend)})
            runs[run] = f"Blender {version}"
        print(f"Testing {', '.join(runs.values())}; each shows its results when it ends", flush=True)
        for run in as_completed(runs):
            results[runs[run]], output = run.result()
            print(f"\n=== {runs[run]}, after {time.monotonic() - started:.0f} seconds\n{output}", flush=True)
    if not arguments:  # alone: software draws the window with all cores
        print("\n=== Blender's window", flush=True)
        results["Blender's window"] = gui_test.run(backend)
    print()
    for name, code in results.items():
        print(f"{name}: {'no tests' if code == _NO_TESTS else 'passed' if code == 0 else 'FAILED'}")
    print(f"{time.monotonic() - started:.0f} seconds")
    if set(results.values()) == {_NO_TESTS}:
        return _NO_TESTS
    return max(code for code in (0, *results.values()) if code != _NO_TESTS)


def _pytest(
    python: Path, folders: tuple[str, ...], arguments: list[str], variables: dict[str, str]
) -> tuple[int, str]:
    """Runs pytest on the arguments' own paths that lie in `folders`, else on all of these: exit code and output."""
    options = [a for a in arguments if not _is_test_path(a)]
    paths = [a for a in arguments if _is_test_path(a)]
    here = [p for p in paths if p.replace("\\", "/").startswith(folders)]
    if paths and not here:
        return _NO_TESTS, ""
    selected = here or [folder for folder in folders if (environment.ROOT / folder).is_dir()]
    command = [str(python), "-m", "pytest", *options, *selected]
    finished = subprocess.run(
        command,
        check=False,
        cwd=environment.ROOT,
        env=os.environ | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )
    return abs(finished.returncode), finished.stdout


def _is_test_path(argument: str) -> bool:
    return not argument.startswith("-") and (environment.ROOT / argument.split("::", maxsplit=1)[0]).exists()


if __name__ == "__main__":
    sys.exit(main())
