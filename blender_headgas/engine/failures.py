# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes a failed frame visible to whoever started Blender without a window: a non-zero exit status."""

import atexit
import os
import sys

import bpy

from .. import client


def remember_failure() -> None:
    """Blender ends with status 0 whatever a render engine reports; from now on this process ends with 1.

    In the bpy module the render operator raises an exception, and the script that called it decides.
    """
    is_module = getattr(bpy.app, "module", not bpy.app.binary_path)
    if bpy.app.background and not is_module:
        atexit.unregister(_exit_with_failure)
        atexit.register(_exit_with_failure)


def _exit_with_failure() -> None:
    client.stop()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1)
