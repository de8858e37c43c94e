# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the extension's installable zip: `python scripts/build_extension.py [--output-dir dist]`. Needs no Blender."""

import argparse
import tomllib
import zipfile
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the zip format's first day: the same sources always make the same bytes


def file_name() -> str:
    """The zip's name: `<id>-<version>.zip`."""
    manifest = tomllib.loads((_ROOT / "blender_manifest.toml").read_text("utf-8"))
    return f"{manifest['id']}-{manifest['version']}.zip"


def build(output_dir: Path) -> Path:
    """Writes the zip with the manifest, the licence and the package's files at its top."""
    output_dir.mkdir(parents=True, exist_ok=True)
    target = output_dir / file_name()
    unfinished = target.with_name(target.name + ".part")
    with zipfile.ZipFile(unfinished, "w") as archive:
        for name, source in sorted(_contents().items()):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, source.read_bytes())
    unfinished.replace(target)
    return target


def _contents() -> dict[str, Path]:
    """The files of the zip by their names in it."""
    package = _ROOT / "blender_headgas"
    files = {
        path.relative_to(package).as_posix(): path
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith(".")
    }
    return files | {name: _ROOT / name for name in ("blender_manifest.toml", "LICENSE")}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output-dir", type=Path, default=_ROOT / "dist", help="default: dist")
    print(build(parser.parse_args().output_dir))
