# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finding a backend on this machine, or installing one."""

import os
import sys
from pathlib import Path

import bpy

from .. import client
from ..client import discovery, installing
from ..client.launch import opened_folders, own_folders, preferences, require_online, user_folder
from ..client.tasks import Task
from ..core.errors import HeadGaSError
from .reporting import is_rendering, reported
from .service import run_beside

DETECT, INSTALL = "detect", "install"
_DATA = Path(__file__).resolve().parents[1] / "backend"  # what the extension's zip brings along


class HEADGAS_OT_detect_backend(bpy.types.Operator):
    """Look for Pythons on this machine that have the backend"""

    bl_idname = "headgas.detect_backend"
    bl_label = "Detect"

    @reported
    def execute(self, _context: bpy.types.Context) -> set[str]:
        chosen = bpy.path.abspath(preferences().backend_python)
        trusted = bpy.context.preferences.filepaths.use_scripts_auto_execute
        environment, own, doubtful = dict(os.environ), own_folders(), [] if trusted else opened_folders()

        def detect(task: Task) -> list[discovery.Found]:
            task.stage = "Looking for Pythons"
            return discovery.detect(chosen, environment, own, doubtful)

        return run_beside(self, DETECT, detect)


class HEADGAS_OT_choose_backend(bpy.types.Operator):
    """Use the backend of this Python"""

    bl_idname = "headgas.choose_backend"
    bl_label = "Use"
    bl_options = {'INTERNAL'}

    python: bpy.props.StringProperty(subtype='FILE_PATH', options={'HIDDEN', 'SKIP_SAVE'})

    def execute(self, context: bpy.types.Context) -> set[str]:
        preferences().backend_python = self.python
        context.preferences.is_dirty = True
        return {'FINISHED'}


class HEADGAS_OT_install_backend(bpy.types.Operator):
    """Download torch and what else the backend needs, and install them in the extension's own folder"""

    bl_idname = "headgas.install_backend"
    bl_label = "Install"

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        return not is_rendering(cls)

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        return context.window_manager.invoke_confirm(
            self,
            event,
            title="Install the backend?",
            message="About 400 MB are downloaded, 3 GB for an NVIDIA GPU. Blender's own Python stays as it is",
            confirm_text="Install",
        )

    @reported
    def execute(self, context: bpy.types.Context) -> set[str]:
        settings = preferences()
        source = settings.install_source.strip()
        if source and "://" not in source:
            source = bpy.path.abspath(source)
            if not Path(source).is_dir():
                raise HeadGaSError(f"{source} is neither a folder of wheels nor the address of a package index")
        else:
            require_online("Installing the backend")
        if settings.backend_python:  # it would be used instead of what is installed now
            settings.backend_python = ""
            context.preferences.is_dirty = True
        folder, environment = user_folder(), dict(os.environ)

        def install(task: Task) -> str:
            task.stage = "Looking for a Python"
            client.stop()  # its files are about to change
            wanted = _wanted(folder, environment, source)
            return installing.install(wanted, task)

        return run_beside(self, INSTALL, install)


class HEADGAS_OT_open_install_log(bpy.types.Operator):
    """Open what the last installation wrote"""

    bl_idname = "headgas.open_install_log"
    bl_label = "Open Installation Log"

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        try:
            exists = install_log(user_folder()).is_file()
        except HeadGaSError:
            exists = False
        if not exists:
            cls.poll_message_set("Nothing has been installed yet")
        return exists

    @reported
    def execute(self, _context: bpy.types.Context) -> set[str]:
        return bpy.ops.wm.path_open(filepath=str(install_log(user_folder())))


def install_log(folder: Path) -> Path:
    """The log of the last installation into that folder."""
    return folder / "headgas-install.log"


def _wanted(folder: Path, environment: dict[str, str], source: str) -> installing.Wanted:
    """What is to be installed on this machine. Raises HeadGaSError when that cannot be."""
    wheel = next(iter(sorted(_DATA.glob("headgas-*.whl"))), None)
    if wheel is None:
        raise HeadGaSError(
            "This copy of the extension does not bring the backend along",
            "Install the zip that scripts/build_extension.py makes, or choose a Python that has the backend",
        )
    return installing.Wanted(
        folder=folder / ".venv",
        python=_base_python(environment),
        wheel=wheel,
        requirements=_DATA / "requirements.txt",
        source=source,
        torch=installing.torch_build(environment),
        log=install_log(folder),
    )


def _base_python(environment: dict[str, str]) -> Path:
    """The Python that makes the environment: Blender's own, which only gives its files, or one on the PATH."""
    own = [Path(sys.executable)] if Path(sys.executable).stem.lower().startswith("python") else []
    for python in [*own, *discovery.pythons_on_path(environment)]:
        if discovery.probe(python, "").makes_environments:
            return python
    raise HeadGaSError(
        "No Python on this machine can make an environment for the backend",
        "Install Python 3.11, 3.12 or 3.13 from python.org (on Debian and Ubuntu also the package python3-venv)",
    )
