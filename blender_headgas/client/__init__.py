# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds, starts and talks to the backend: the one process that renders avatars."""

from . import tasks
from .backend import Backend, BackendBug, PosedAvatar
from .launch import launch_settings
from .pixels import Picture
from .process import BackendDied, LaunchSettings
from .registry import ask, backend, running, starting, stop
from .remote import RemoteSettings
from .waiting import Cancelled

classes = ()


def unregister() -> None:
    """Ends what runs beside Blender."""
    tasks.cancel_all()
    stop()


__all__ = [
    "Backend",
    "BackendBug",
    "BackendDied",
    "Cancelled",
    "LaunchSettings",
    "Picture",
    "PosedAvatar",
    "RemoteSettings",
    "ask",
    "backend",
    "classes",
    "launch_settings",
    "running",
    "starting",
    "stop",
    "tasks",
    "unregister",
]
