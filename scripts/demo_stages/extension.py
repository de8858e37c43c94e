# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Installs the built extension into this Blender, as a user would."""

import os
import sys
from typing import NoReturn

import bpy

PACKAGE = "bl_ext.user_default.headgas"


def install() -> None:
    """Installs and enables the zip that HEADGAS_EXTENSION names."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    zip_file = os.environ["HEADGAS_EXTENSION"]
    bpy.ops.extensions.package_install_files(filepath=zip_file, repo="user_default", enable_on_install=True)


def leave() -> NoReturn:
    """Ends Blender at once, its add-ons first: some versions of the module hang in their own exit handlers."""
    import addon_utils

    addon_utils.disable(PACKAGE)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
