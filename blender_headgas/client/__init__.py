# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds, starts and talks to the backend: the one process that renders avatars."""

from .backend import Backend, BackendBug, PosedAvatar
from .launch import launch_settings
from .pixels import Picture
from .process import LaunchSettings
from .registry import backend, running, stop
from .waiting import Cancelled

classes = ()
unregister = stop

__all__ = [
    "Backend",
    "BackendBug",
    "Cancelled",
    "LaunchSettings",
    "Picture",
    "PosedAvatar",
    "backend",
    "classes",
    "launch_settings",
    "running",
    "stop",
    "unregister",
]
