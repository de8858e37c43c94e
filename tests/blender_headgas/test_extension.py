# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The extension as a package: its zip, its registration, its version."""

import importlib.util
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import bpy
import pytest

import build_extension

ROOT = Path(__file__).resolve().parents[2]
ADDON = "bl_ext.user_default.headgas"


def _package_tool() -> Path:
    """Blender's own command line for extensions; plain Python."""
    folder = Path(importlib.util.find_spec("bpy").origin).parent
    return next(folder.glob("*/scripts/addons_core/bl_pkg/cli/blender_ext.py"))


def test_blender_s_own_tool_accepts_the_zip(tmp_path):
    archive = build_extension.build(tmp_path)
    unpacked = tmp_path / "unpacked"
    zipfile.ZipFile(archive).extractall(unpacked)
    for target in (archive, unpacked):
        result = subprocess.run(
            [sys.executable, str(_package_tool()), "validate", str(target)], capture_output=True, text=True, check=False
        )
        assert result.returncode == 0, result.stdout + result.stderr


def test_the_zip_is_the_same_every_time_and_holds_no_rubbish(tmp_path):
    first, second = (build_extension.build(tmp_path / name).read_bytes() for name in "ab")
    assert first == second
    names = zipfile.ZipFile(tmp_path / "a" / "headgas-0.1.0.zip").namelist()
    assert {"blender_manifest.toml", "__init__.py", "LICENSE", "client/backend.py"} <= set(names)
    assert not [
        name for name in names if "__pycache__" in name or name.startswith(("/", "..")) or name.endswith(".pyc")
    ]
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["headgas-0.1.0.zip"]


@pytest.fixture
def enabled():
    """Leaves the extension enabled, whatever the test does to it."""
    yield
    bpy.ops.preferences.addon_enable(module=ADDON)


def _traces() -> dict[str, object]:
    """Everything that an extension could leave behind in Blender."""
    types = bpy.types
    drawn = [cls for cls in (*types.Menu.__subclasses__(), *types.Panel.__subclasses__()) if hasattr(cls, "draw")]
    bases = (types.Operator, types.Panel, types.UIList, types.PropertyGroup, types.RenderEngine, types.Menu)
    bases += (types.AddonPreferences, types.FileHandler)
    owners = (types.Object, types.Scene, types.Key, types.WindowManager)
    return {
        "types": set(dir(types)),
        "operators": set(dir(bpy.ops.headgas)),
        "classes": {c.__name__ for base in bases for c in base.__subclasses__() if getattr(c, "is_registered", False)},
        "menus": {cls.__name__: list(cls._dyn_ui_initialize()) for cls in drawn},
        "engines": {cls.__name__: set(getattr(cls, "COMPAT_ENGINES", ())) for cls in types.Panel.__subclasses__()},
        "properties": {owner.__name__: set(owner.bl_rna.properties.keys()) for owner in owners},
        "handlers": {
            name: list(handlers)
            for name in dir(bpy.app.handlers)
            if isinstance(handlers := getattr(bpy.app.handlers, name), list)
        },
    }


def test_registering_three_times_leaves_nothing(service, enabled):
    bpy.ops.preferences.addon_disable(module=ADDON)
    without = _traces()
    assert not without["operators"] and 'HEADGAS' not in without["types"]
    for _ in range(3):
        bpy.ops.preferences.addon_enable(module=ADDON)
        active = _traces()
        assert "HEADGAS_PT_render" in active["types"] and active["operators"]
        assert bpy.ops.headgas.test_backend() == {'FINISHED'}
        client = sys.modules[f"{ADDON}.client"]
        assert client.running() is not None
        bpy.ops.preferences.addon_disable(module=ADDON)
        assert client.running() is None
        for kind, trace in _traces().items():
            assert trace == without[kind], kind


def test_output_and_camera_panels_show_for_our_engine():
    assert 'HEADGAS' in bpy.types.RENDER_PT_format.COMPAT_ENGINES
    assert 'HEADGAS' in bpy.types.DATA_PT_lens.COMPAT_ENGINES


def test_the_client_speaks_of_the_manifest_s_version():
    from bl_ext.user_default.headgas.client import protocol

    manifest = tomllib.loads((ROOT / "blender_manifest.toml").read_text("utf-8"))
    assert manifest["version"] == protocol.VERSION
    assert "blender" not in manifest["name"].lower()
