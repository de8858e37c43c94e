# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the extension's installable zip: `python scripts/build_extension.py [--output-dir dist]`. Needs no Blender."""

import argparse
import tomllib
from pathlib import Path

import build_wheel

_ROOT = Path(__file__).resolve().parents[1]


def file_name() -> str:
    """The zip's name: `<id>-<version>.zip`."""
    manifest = tomllib.loads((_ROOT / "blender_manifest.toml").read_text("utf-8"))
    return f"{manifest['id']}-{manifest['version']}.zip"


def build(output_dir: Path) -> Path:
    """Writes the zip with the manifest, the licence and the package's files at its top, and the backend's wheel."""
    output_dir.mkdir(parents=True, exist_ok=True)
    target = output_dir / file_name()
    unfinished = target.with_name(target.name + ".part")
    unfinished.write_bytes(build_wheel.packed(dict(sorted(_contents().items()))))
    unfinished.replace(target)
    return target


def _contents() -> dict[str, bytes]:
    """The files of the zip by their names in it; in backend/, what the extension installs elsewhere by itself."""
    package = _ROOT / "blender_headgas"
    files = {
        path.relative_to(package).as_posix(): path.read_bytes()
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith(".")
    }
    files |= {name: (_ROOT / name).read_bytes() for name in ("blender_manifest.toml", "LICENSE")}
    name, wheel = build_wheel.build()
    return files | {f"backend/{name}": wheel, "backend/requirements.txt": (_ROOT / "requirements.txt").read_bytes()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output-dir", type=Path, default=_ROOT / "dist", help="default: dist")
    print(build(parser.parse_args().output_dir))
