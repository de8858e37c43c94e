# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pictures of docs/rendering.md: `python3 scripts/rendering_pictures.py out/demo/run/avatar.safetensors`.

An avatar behind glasses and a hand, in a set that Cycles renders; the same in motion; and its Depth pass. Any avatar
with eyes' bones does; that of demo.py is in the documentation.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import build_extension
import environment

_STAGE = Path(__file__).resolve().parent / "demo_stages" / "film_set.py"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("avatar", type=Path)
    images = environment.ROOT / "docs" / "images"
    parser.add_argument("--out", type=Path, default=images, help="the folder to write (default: docs/images)")
    parser.add_argument("--samples", type=int, default=48, help="of Cycles, a pixel (default: 48)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        try:
            variables = {
                "BLENDER_USER_RESOURCES": folder,
                "HEADGAS_PYTHON": os.environ.get("HEADGAS_PYTHON") or str(environment.backend()),
                "HEADGAS_EXTENSION": str(build_extension.build(Path(folder) / "extension")),
            }
            command = [environment.demo_blender(), _STAGE, options.avatar.resolve(), options.out.resolve()]
            subprocess.run([*map(str, command), str(options.samples)], check=True, env=os.environ | variables)
        except environment.SetupError as error:
            print(f"rendering_pictures.py: {error}", file=sys.stderr)
            return 2
        except subprocess.CalledProcessError as error:
            return error.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
