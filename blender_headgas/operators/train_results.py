# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What to do with trained avatars: import them, look at their pictures, compare two, take them off the list."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import bpy

from ..client.detached import Command
from ..client.launch import backend_program, thread_options
from ..client.training import Run
from ..core.errors import HeadGaSError
from ..core.runs import SHEET
from ..rig import build_avatar
from .reporting import reported
from .train_pictures import show_picture
from .train_watch import await_command, runs, say

_others: list[tuple[str, str, str]] = []  # Blender keeps no reference to the texts of a menu


class RunOperator(bpy.types.Operator):
    """An operator on one run"""

    run: bpy.props.IntProperty(options={'HIDDEN', 'SKIP_SAVE'})


class HEADGAS_OT_import_run(RunOperator):
    """Import the run's avatar. While it trains, the avatar in the 3D view follows what it learns"""

    bl_idname = "headgas.import_run"
    bl_label = "Import Result"
    bl_options = {'REGISTER', 'UNDO'}

    @reported
    def execute(self, context: bpy.types.Context) -> set[str]:
        build_avatar(context, _with_avatar(runs().get(self.run)).avatar)
        return {'FINISHED'}


class HEADGAS_OT_show_run(RunOperator):
    """Open captured and rendered pictures side by side in an Image Editor"""

    bl_idname = "headgas.show_run"
    bl_label = "Show Sheet"

    @reported
    def execute(self, _context: bpy.types.Context) -> set[str]:
        sheet = runs().get(self.run).record.path / SHEET
        if not sheet.is_file():
            raise HeadGaSError(f"There is no {sheet}", "Training writes it when it ends")
        show_picture(sheet)
        return {'FINISHED'}


class HEADGAS_OT_compare_runs(RunOperator):
    """Render the test frames of the run's capture with two trained avatars, and open them side by side"""

    bl_idname = "headgas.compare_runs"
    bl_label = "Compare With"

    other: bpy.props.EnumProperty(name="Other", items=lambda self, _context: _other_items(self.run))

    @reported
    def execute(self, _context: bpy.types.Context) -> set[str]:
        first, second = _with_avatar(runs().get(self.run)), _with_avatar(runs().get(int(self.other)))
        out = Path(tempfile.mkdtemp(prefix="compare-", dir=bpy.app.tempdir))

        def done(status: int, _output: str, log: str) -> None:
            say(first, f"The comparison failed{log}" if status else "")
            if not status:
                show_picture(out / "comparison.png")

        words = ("compare", first.record.capture, "--avatars", first.avatar, second.avatar, "--out", out)
        command = Command([*backend_program(), *map(str, words), *thread_options()])
        say(first, f"Comparing with '{second.record.name}'…")
        await_command(command, done)
        return {'FINISHED'}


class HEADGAS_OT_forget_run(RunOperator):
    """Take the run off the list; its folder stays"""

    bl_idname = "headgas.forget_run"
    bl_label = "Forget"

    @reported
    def execute(self, _context: bpy.types.Context) -> set[str]:
        runs().forget(runs().get(self.run), delete=False)
        return {'FINISHED'}


class HEADGAS_OT_delete_run(RunOperator):
    """Take the run off the list and delete what training wrote, the avatar too"""

    bl_idname = "headgas.delete_run"
    bl_label = "Delete Run"

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        return context.window_manager.invoke_confirm(self, event)

    @reported
    def execute(self, _context: bpy.types.Context) -> set[str]:
        runs().forget(runs().get(self.run), delete=True)
        return {'FINISHED'}


def _with_avatar(run: Run) -> Run:
    if not run.avatar.is_file():
        raise HeadGaSError(
            f"'{run.record.name}' has no avatar yet", "The first one is written some seconds after training began"
        )
    return run


def _other_items(number: int) -> list[tuple[str, str, str]]:
    def items() -> Iterator[tuple[str, str, str]]:
        for run in runs().all():
            if run.record.number != number and run.avatar.is_file():
                yield str(run.record.number), run.record.name, f"Compare with '{run.record.name}'"

    _others[:] = items()
    return _others
