# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Training from Blender: check the capture, train, and tell the training what to do."""

from pathlib import Path

import bpy

from ..client.detached import Command
from ..client.launch import backend_program
from ..core.capture_check import CaptureCheck, read_check
from ..core.errors import HeadGaSError
from ..core.runs import RunRecord
from .reporting import reported
from .train_settings import capture_folder, run_folder, training_arguments
from .train_watch import await_command, look_soon, runs

_checks: dict[Path, CaptureCheck | str | None] = {}  # by capture: what was found, what went wrong; None: not yet


class HEADGAS_OT_check_capture(bpy.types.Operator):
    """Look for everything that is wrong with the capture, and for what it does not show"""

    bl_idname = "headgas.check_capture"
    bl_label = "Check Capture"

    @reported
    def execute(self, context: bpy.types.Context) -> set[str]:
        folder = capture_folder(context.scene.headgas_training)
        if not is_checking(folder):
            _begin_check(folder)
        return {'FINISHED'}


class HEADGAS_OT_train_avatar(bpy.types.Operator):
    """Train an avatar on the capture. It goes on when Blender is closed, and is found again when it is opened"""

    bl_idname = "headgas.train_avatar"
    bl_label = "Train Avatar"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        settings = context.scene.headgas_training
        if not settings.capture:
            cls.poll_message_set("Choose the folder of a capture first")
            return False
        found = _checks.get(Path(bpy.path.abspath(settings.capture)).resolve())
        if isinstance(found, CaptureCheck) and not found.trainable:
            cls.poll_message_set("Something is wrong with the capture: mend it and check it again")
            return False
        return True

    @reported
    def execute(self, context: bpy.types.Context) -> set[str]:
        settings = context.scene.headgas_training
        capture, folder, program = capture_folder(settings), run_folder(settings), backend_program()
        arguments = tuple(training_arguments(settings, folder))
        record = RunRecord(
            0, str(folder), str(capture), settings.preset, arguments, 0, "", settings.imports, settings.shows
        )
        run = runs().start(program, arguments, record)
        look_soon()
        self.report({'INFO'}, f"Training '{run.record.name}': see the tab HeadGaS of the 3D view's sidebar")
        return {'FINISHED'}


class HEADGAS_OT_control_run(bpy.types.Operator):
    """Tell a training what to do"""

    bl_idname = "headgas.control_run"
    bl_label = "Control Training"

    run: bpy.props.IntProperty(options={'SKIP_SAVE'})
    wish: bpy.props.EnumProperty(
        name="Wish",
        items=(
            ('PAUSE', "Pause", "Save the state and wait; the processor is free meanwhile"),
            ('RESUME', "Resume", "Go on training"),
            ('STOP', "Stop and Keep", "End the training now and write the avatar as it is"),
        ),
    )

    @classmethod
    def description(cls, _context: bpy.types.Context, properties: bpy.types.OperatorProperties) -> str:
        return cls.bl_rna.properties["wish"].enum_items[properties.wish].description

    @reported
    def execute(self, _context: bpy.types.Context) -> set[str]:
        run = runs().get(self.run)
        if self.wish == 'RESUME' and run.resumable:
            arguments = tuple(argument for argument in run.record.arguments if argument != "--resume")
            runs().start(backend_program(), (*arguments, "--resume"), run.record)
        elif run.ended:
            raise HeadGaSError(f"'{run.record.name}' does not train any more")
        else:
            run.tell({'PAUSE': "pause", 'RESUME': "train", 'STOP': "stop"}[self.wish])
        look_soon()
        return {'FINISHED'}


def check_of(folder: Path) -> CaptureCheck | str | None:
    """What was found in a capture, or why nothing was; None where nobody has looked, or has not finished."""
    return _checks.get(folder)


def is_checking(folder: Path) -> bool:
    """Whether somebody looks just now."""
    return folder in _checks and _checks[folder] is None


def _begin_check(folder: Path) -> None:
    def done(_status: int, output: str, log: str) -> None:
        try:  # a capture with problems ends with an exit status of 2, and its findings nevertheless
            _checks[folder] = read_check(output) if output else f"The capture could not be checked{log}"
        except HeadGaSError as error:
            _checks[folder] = str(error)

    command = Command([*backend_program(), "check", str(folder), "--json"])
    _checks[folder] = None
    await_command(command, done)
