# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""How operators tell what a user's input made impossible."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import bpy

from ..core.errors import HeadGaSError
from ..core.messages import reportable


def is_rendering(operator: type[bpy.types.Operator]) -> bool:
    """Whether Blender renders just now; says so where it does."""
    rendering = bpy.app.is_job_running('RENDER')
    if rendering:
        operator.poll_message_set("Wait until the render has finished")
    return rendering


def reported(execute: Callable[[Any, bpy.types.Context], set[str]]) -> Callable[[Any, bpy.types.Context], set[str]]:
    """An operator's `execute` whose HeadGaSError becomes a report, and the operator is cancelled."""

    @wraps(execute)
    def wrapped(self: Any, context: bpy.types.Context) -> set[str]:
        try:
            return execute(self, context)
        except HeadGaSError as error:
            self.report({'ERROR'}, reportable(error))
            return {'CANCELLED'}

    return wrapped
