# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""How this Blender starts its backend: what the preferences and the open file say."""

import os
from collections.abc import Iterable
from pathlib import Path

import bpy

from . import discovery
from .process import LaunchSettings

_EXTENSION = str(__package__).rpartition(".")[0]


def preferences() -> bpy.types.AddonPreferences | None:
    """The extension's preferences; None when its modules are used without enabling it."""
    addon = bpy.context.preferences.addons.get(_EXTENSION)
    return addon.preferences if addon else None


def render_deadline() -> float:
    """The time limit of one frame in seconds."""
    settings = preferences()
    return float(settings.deadline) if settings else 600.0


def flame_model() -> str:
    """Where the user's FLAME is; empty when the preferences do not say."""
    settings = preferences()
    return bpy.path.abspath(settings.flame_model) if settings else ""


def launch_settings(avatars: Iterable[Path] = ()) -> LaunchSettings:
    """How the service is started. `avatars` are the files to be rendered, beside which a `.venv` may lie."""
    settings = preferences()
    command = [*backend_program(avatars), "serve", "--stop-with-stdin", "--port", "0", *thread_options()]
    if settings:
        command += ["--device", settings.device.lower()]
    return LaunchSettings(tuple(command), Path(bpy.app.tempdir) / "headgas-backend.log")


def thread_options() -> list[str]:
    """The options of the backend's commands that say how many threads to use."""
    settings = preferences()
    return ["--threads", str(settings.threads)] if settings and settings.threads else []


def backend_program(avatars: Iterable[Path] = ()) -> list[str]:
    """The backend's command line up to its command; `avatars` as for `launch_settings`.

    Raises:
        HeadGaSError: no backend is installed.
    """
    settings = preferences()
    opened = [Path(bpy.data.filepath).parent] if bpy.data.filepath else []
    opened += [avatar.parent for avatar in avatars]
    trusted = bpy.context.preferences.filepaths.use_scripts_auto_execute
    python = discovery.backend_python(
        bpy.path.abspath(settings.backend_python) if settings else "",
        os.environ,
        _own_folders() + (opened if trusted else []),
        [] if trusted else opened,
    )
    return [str(python), "-m", "headgas"]


def user_folder() -> Path:
    """The extension's own folder for user files, which outlives updates."""
    try:
        return Path(bpy.utils.extension_path_user(_EXTENSION, create=True))
    except ValueError:  # not installed as an extension
        return Path(bpy.utils.user_resource('CONFIG', path="headgas", create=True))


def _own_folders() -> list[Path]:
    """The extension's own folder for user files, and the one that holds the extension (a developer's checkout)."""
    folders = [Path(__file__).resolve().parents[2]]
    try:
        folders.insert(0, Path(bpy.utils.extension_path_user(_EXTENSION)))
    except ValueError:  # not installed as an extension
        return folders
    return folders
