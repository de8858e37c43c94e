# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""How this Blender starts its backend: what the preferences and the open file say."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import bpy

from ..core.errors import HeadGaSError
from . import discovery
from .process import LaunchSettings
from .protocol import KEY_VARIABLE
from .remote import RemoteSettings

DEVICES = (  # where the backend computes, as Blender's enumerations have it
    ('AUTO', "Automatic", "The GPU where there is one that the backend can use"),
    ('CPU', "CPU", "The processor"),
    ('CUDA', "CUDA", "An NVIDIA GPU"),
)
BACKEND_VARIABLE, DEVICE_VARIABLE = "HEADGAS_BACKEND", "HEADGAS_DEVICE"  # before the preferences, for farms
_EXTENSION = str(__package__).rpartition(".")[0]


def preferences() -> Any:
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


def log_file() -> Path:
    """What the backend wrote in this session of Blender."""
    return Path(bpy.app.tempdir) / "headgas-backend.log"


def require_online(what: str) -> None:
    """Raises when Blender is not to use the network."""
    if not bpy.app.online_access:
        hint = "Switch on Preferences > System > Network > Allow Online Access"
        if bpy.app.online_access_override:
            hint = "It was started that way (--offline-mode): start it without"
        raise HeadGaSError(f"{what} needs the network, and Blender is set to work offline", hint)


def launch_settings(avatars: Iterable[Path] = ()) -> LaunchSettings | RemoteSettings:
    """How the service is started, or the address of one on another machine.

    `avatars` are the files to be rendered, beside which a `.venv` may lie.
    """
    settings = preferences()
    remote = _remote_of_environment()
    if remote is None and settings and settings.use_remote:
        key, encoding = settings.remote_key.strip(), settings.remote_pixels.lower()
        remote = RemoteSettings(settings.remote_host.strip(), settings.remote_port, key, encoding)
    if remote is not None:
        if remote.host and not remote.is_local:
            require_online("A backend on another machine")
        return remote
    command = [*backend_program(avatars), "serve", "--stop-with-stdin", "--port", "0", *thread_options()]
    return LaunchSettings((*command, "--device", _device(settings)), log_file())


def _remote_of_environment() -> RemoteSettings | None:
    """The service that HEADGAS_BACKEND names, as machines of a farm are told."""
    address = os.environ.get(BACKEND_VARIABLE)
    if not address:
        return None
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise HeadGaSError(
            f"The environment variable {BACKEND_VARIABLE} is '{address}', which is no address",
            "It is like gpu-machine:7007; without it Blender starts a backend of its own",
        )
    return RemoteSettings(host, int(port), os.environ.get(KEY_VARIABLE, ""))


def _device(settings: Any) -> str:
    """Where the backend computes: what HEADGAS_DEVICE says, else the preference."""
    named = os.environ.get(DEVICE_VARIABLE)
    if not named:
        return settings.device.lower() if settings else "auto"
    known = [name.lower() for name, _, _ in DEVICES]
    if named.lower() not in known:
        raise HeadGaSError(
            f"The environment variable {DEVICE_VARIABLE} is '{named}'", f"It can be {', '.join(known)}"
        )
    return named.lower()


def thread_options() -> list[str]:
    """The options of the backend's commands that say how many threads to use."""
    settings = preferences()
    return ["--threads", str(settings.threads)] if settings and settings.threads else []


def backend_program(avatars: Iterable[Path] = ()) -> list[str]:
    """The backend's command line on this machine up to its command; `avatars` as for `launch_settings`.

    Raises:
        HeadGaSError: no backend is installed.
    """
    settings = preferences()
    opened = opened_folders(avatars)
    trusted = bpy.context.preferences.filepaths.use_scripts_auto_execute
    python = discovery.backend_python(
        bpy.path.abspath(settings.backend_python) if settings else "",
        os.environ,
        own_folders() + (opened if trusted else []),
        [] if trusted else opened,
    )
    # -P: nothing is imported from the folder that Blender was started in, which may be a downloaded file's
    return [str(python), "-P", "-m", "headgas"]


def opened_folders(avatars: Iterable[Path] = ()) -> list[Path]:
    """The folders of the open file and of its avatars, which may come from anyone."""
    opened = [Path(bpy.data.filepath).parent] if bpy.data.filepath else []
    return opened + [avatar.parent for avatar in avatars]


def user_folder() -> Path:
    """The extension's own folder for user files, which outlives updates; it is made where it is missing."""
    try:
        return Path(bpy.utils.extension_path_user(_EXTENSION, create=True))
    except ValueError:  # not installed as an extension
        return Path(bpy.utils.user_resource('CONFIG', path="headgas", create=True))


def own_folders() -> list[Path]:
    """The extension's own folder for user files, and the one that holds the extension (a developer's checkout)."""
    return [user_folder(), Path(__file__).resolve().parents[2]]
