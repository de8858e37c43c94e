# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stands for the program `blender` where there is only its module: what farms tell it, in the order of the arguments.

It ends as Blender does when Python fails after `--python-exit-code`. How Blender itself ends after a failed frame is
for tests/gui, which has the program.
"""

import os
import sys
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import bpy

from blender_headgas.core.frames import parse_frames

ADDON = "bl_ext.user_default.headgas"


def main(arguments: list[str]) -> int:
    """Returns the exit code."""
    bpy.ops.preferences.addon_enable(module=ADDON)  # a worker's preferences have it
    code_of_failure = 0
    while arguments:
        argument = arguments.pop(0)
        if argument in ("-b", "-y"):
            continue
        if not argument.startswith("-"):
            bpy.ops.wm.open_mainfile(filepath=argument)
            continue
        value = arguments.pop(0)
        render = bpy.context.scene.render
        if argument == "--render-output":
            render.filepath = value
        elif argument == "--render-format":
            render.image_settings.file_format = value
        elif argument == "--python-exit-code":
            code_of_failure = int(value)
        elif argument == "--python-expr":
            try:
                exec(value, {"__name__": "__main__"})
            except Exception:  # whatever it is, Blender shows it
                traceback.print_exc()
                if code_of_failure:
                    return code_of_failure
        elif argument == "--render-frame":
            for frame in parse_frames(value):
                bpy.context.scene.frame_start = bpy.context.scene.frame_end = frame
                bpy.ops.render.render(animation=True)
        else:
            raise ValueError(argument)
    return 0


if __name__ == "__main__":
    status = main(sys.argv[1:])
    bpy.ops.preferences.addon_disable(module=ADDON)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # the module of 4.5 may hang while it exits
