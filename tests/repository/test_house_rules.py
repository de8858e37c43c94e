# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules of the house: who imports whom, licences, clean code, versions that agree."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BACKEND = ROOT / "backend" / "headgas"
EXTENSION = ROOT / "blender_headgas"

# Read from the bottom: a room imports only from the rooms below it.
BACKEND_ROOMS = ["cli", "commands_rendering", "commands", "commands_captures", "doctor", "service", "evaluation"]
BACKEND_ROOMS += ["training", "exchange", "captures", "avatars", "splatting"]
EXTENSION_ROOMS = ["panels", "operators", "engine", "overlay", "rig", "capture", "character", "client", "core"]
# Single files that any room may use.
BACKEND_COMMON = {"errors", "devices", "files", "perceptual", "pickles", "shapes", "torch_files", "unpickling"}
BLENDER_MODULES = {"bpy", "bpy_extras", "mathutils", "gpu", "gpu_extras", "bl_ui", "bl_operators", "cycles"}
BLENDER_MODULES |= {"addon_utils", "blf", "numpy"}


def sources(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.py"))


def imported(path: Path, package: str, root: Path) -> set[str]:
    """Absolute names of every module that a file imports, at the top or within a function."""
    parts = [package, *path.relative_to(root).with_suffix("").parts]
    if parts[-1] == "__init__":
        parts.pop()
        inside = parts
    else:
        inside = parts[:-1]
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = inside[: len(inside) - node.level + 1]
            prefix = ".".join([*base, node.module] if node.module else base)
            found |= {f"{prefix}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("path", sources(BACKEND), ids=lambda p: str(p.relative_to(ROOT)))
def test_backend_knows_nothing_of_blender(path: Path) -> None:
    names = {name.split(".")[0] for name in imported(path, "headgas", BACKEND)}
    assert not names & {"bpy", "blender_headgas", "mathutils"}


@pytest.mark.parametrize("path", sources(EXTENSION), ids=lambda p: str(p.relative_to(ROOT)))
def test_extension_needs_blender_numpy_and_the_standard_library_alone(path: Path) -> None:
    names = {name.split(".")[0] for name in imported(path, "blender_headgas", EXTENSION)}
    assert names <= set(sys.stdlib_module_names) | BLENDER_MODULES | {"blender_headgas"}


@pytest.mark.parametrize(
    ("package", "root", "rooms"),
    [("headgas", BACKEND, BACKEND_ROOMS), ("blender_headgas", EXTENSION, EXTENSION_ROOMS)],
    ids=["backend", "extension"],
)
def test_rooms_import_only_from_rooms_below(package: str, root: Path, rooms: list[str]) -> None:
    wrong = []
    for path in sources(root):
        room = path.relative_to(root).parts[0].removesuffix(".py")
        if room not in rooms:
            continue
        for name in imported(path, package, root):
            parts = name.split(".")
            known = parts[0] == package and len(parts) > 1 and parts[1] in rooms
            if known and rooms.index(parts[1]) < rooms.index(room):
                wrong.append(f"{path.relative_to(ROOT)} imports {name}")
    assert not wrong


def test_core_runs_without_blender() -> None:
    for path in sources(EXTENSION / "core"):
        names = {name.split(".")[0] for name in imported(path, "blender_headgas", EXTENSION)}
        assert names <= set(sys.stdlib_module_names) | {"numpy", "blender_headgas"}, path


@pytest.mark.parametrize(
    "path",
    [path for folder in ("backend", "blender_headgas", "scripts", "tests") for path in sources(ROOT / folder)],
    ids=lambda p: str(p.relative_to(ROOT)),
)
def test_every_file_says_its_licence_and_subject(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("# SPDX-FileCopyrightText:")
    assert lines[1] == "# SPDX-License-Identifier: GPL-3.0-or-later"
    assert ast.get_docstring(ast.parse("\n".join(lines)))
    assert len(lines) <= 400


def test_versions_agree() -> None:
    def version(path: str, pattern: str) -> str:
        match = re.search(pattern, (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE)
        assert match, path
        return match[1]

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    manifest = tomllib.loads((ROOT / "blender_manifest.toml").read_text(encoding="utf-8"))["version"]
    assert version("backend/headgas/__init__.py", r'^__version__ = "(.+)"$') == project == manifest


@pytest.mark.parametrize("tool", [["ruff", "check", "."], ["pyright", "--warnings"]], ids=["ruff", "pyright"])
def test_code_is_clean(tool: list[str]) -> None:
    if tool[0] == "pyright" and shutil.which("node") is None:
        pytest.skip("pyright runs in Node.js, which is not on the PATH")
    finished = subprocess.run([sys.executable, "-m", *tool], cwd=ROOT, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stdout + finished.stderr
