# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures rendering and training: each row beside its slow twin, and against what the machine can do at best.

    python3 scripts/bench.py [--quick] [--device cuda] [--json out.json] [--only SUBJECTS] [--prototype DIR]

Needs nothing from the network where torch is installed; elsewhere it works in `.venv`, as demo.py does.
Exit codes: 0 done, 1 some rows failed, 2 something is missing, and which.
"""

import argparse
import importlib.util
import subprocess
import sys
from pathlib import Path

import environment

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "backend"))


def main() -> int:
    arguments = _arguments()
    if importlib.util.find_spec("torch") is None:
        try:
            python = environment.backend()
        except environment.SetupError as error:
            print(f"bench.py: {error}", file=sys.stderr)
            return 2
        return subprocess.run([str(python), *sys.argv], check=False).returncode
    from bench_rows.command import run

    return run(arguments)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--quick", action="store_true", help="shorter, and smaller where size does not matter")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write machine and rows to this file, too")
    parser.add_argument("--only", metavar="NAMES", help="some subjects, with commas between; a wrong one lists them")
    parser.add_argument("--prototype", type=Path, metavar="DIR", help="another rasterizer, nbsplat.py, to compare with")
    parser.add_argument("--capture", type=Path, metavar="DIR", help="exact poses, for --only refinement to disturb")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
