# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""One Blender for a run of tests: the built extension installed as a user would, a scene, and a clean end.

The conftest.py of each folder whose tests need Blender takes its hooks and fixtures from here.
"""

import importlib.util
import os
import sys
import tempfile
from pathlib import Path

import pytest

ADDON = "bl_ext.user_default.headgas"
ROOT = Path(__file__).resolve().parents[1]
HAS_BPY = importlib.util.find_spec("bpy") is not None
collect_ignore_glob = [] if HAS_BPY else ["test_*.py"]
sys.path.insert(0, str(ROOT))  # beside the installed extension, for tests of single modules

if HAS_BPY:
    _resources = tempfile.TemporaryDirectory(prefix="headgas-test-")
    os.environ["BLENDER_USER_RESOURCES"] = _resources.name  # before bpy is imported: it looks once

    import bpy

    sys.path.insert(0, str(ROOT / "scripts"))
    import build_extension

    ZIP = build_extension.build(Path(_resources.name) / "dist")
    bpy.ops.extensions.package_install_files(filepath=str(ZIP), repo="user_default", enable_on_install=True)

_status = 0


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Remembers the result for pytest_unconfigure."""
    global _status  # noqa: PLW0603
    _status = int(exitstatus)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure() -> None:
    """Ends the process at once: the bpy 4.5 module may hang in its own exit handlers."""
    if HAS_BPY:
        import addon_utils

        addon_utils.disable(ADDON)
        _resources.cleanup()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(_status)


def new_file() -> None:
    """An empty file, and an extension that remembers nothing. The factory settings would bring both, too, but Blender's
    own add-ons with them, which take twice as long: a test that changes Blender's preferences sets them back."""
    if ADDON in bpy.context.preferences.addons:
        bpy.ops.preferences.addon_disable(module=ADDON)
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    enable_extension()


def enable_extension() -> None:
    """Enables it where it is not."""
    if ADDON not in bpy.context.preferences.addons:
        bpy.ops.preferences.addon_enable(module=ADDON)


@pytest.fixture
def scene(tmp_path: Path):
    """The scene of a new file with a camera 1 m in front of the origin, rendered by HeadGaS into float images."""
    new_file()
    scene = bpy.context.scene
    camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
    scene.collection.objects.link(camera)
    camera.location, camera.rotation_euler = (0.0, -1.0, 0.0), (1.5707963, 0.0, 0.0)
    scene.camera = camera
    render = scene.render
    render.engine = 'HEADGAS'
    render.resolution_x, render.resolution_y, render.film_transparent = 48, 32, True
    render.image_settings.file_format = 'OPEN_EXR'
    render.image_settings.color_depth = '32'
    render.filepath = str(tmp_path / "frames" / "f_")
    return scene
