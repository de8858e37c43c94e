# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the next training is to do: the scene's settings, beside the character that they belong to."""

from pathlib import Path

import bpy

from ..client.launch import DEVICES, thread_options
from ..core.errors import HeadGaSError
from ..core.presets import PRESETS

_LIVE = "20s"  # from one avatar, written while it trains, to the next


class HeadGaSTrainingSettings(bpy.types.PropertyGroup):
    """How to train."""

    capture: bpy.props.StringProperty(
        name="Capture", description="The folder with the images, mattes, cameras and expressions", subtype='DIR_PATH'
    )
    preset: bpy.props.EnumProperty(name="Preset", description="The model and its recipe", items=PRESETS)
    length: bpy.props.EnumProperty(
        name="Length",
        description="When training ends",
        items=(
            ('TIME', "Minutes", "After so many minutes of training; the recipe stretches with it"),
            ('STEPS', "Steps", "After so many steps; two runs are then the same"),
        ),
    )
    minutes: bpy.props.FloatProperty(
        name="Minutes",
        description="Minutes of training",
        default=5.0,
        min=0.1,
        max=100_000.0,
        soft_max=120.0,
        precision=1,
    )
    steps: bpy.props.IntProperty(name="Steps", description="Steps of training", default=5000, min=1, soft_max=100_000)
    gaussians: bpy.props.IntProperty(
        name="Gaussians",
        description="The largest number of Gaussians: more show finer detail and render slower. 0: the preset's own",
        default=0,
        min=0,
        soft_max=100_000,
    )
    device: bpy.props.EnumProperty(name="Device", description="Where to train", items=DEVICES)
    folder: bpy.props.StringProperty(
        name="Output", description="The new folder of the run; empty for one beside the capture", subtype='DIR_PATH'
    )
    imports: bpy.props.BoolProperty(
        name="Import the Result", description="Import the avatar into the scene that is open when training ends"
    )
    shows: bpy.props.BoolProperty(
        name="Show the Sheet",
        description="Open captured and rendered pictures in an Image Editor when training ends",
        default=True,
    )


def register_training() -> None:
    """Adds `Scene.headgas_training`."""
    bpy.types.Scene.headgas_training = bpy.props.PointerProperty(type=HeadGaSTrainingSettings)


def unregister_training() -> None:
    """Removes it."""
    del bpy.types.Scene.headgas_training


def capture_folder(settings: HeadGaSTrainingSettings) -> Path:
    """The capture that is to be trained on.

    Raises:
        HeadGaSError: there is no such folder.
    """
    if not settings.capture:
        raise HeadGaSError("No capture is chosen", "Choose the folder of a capture")
    folder = Path(bpy.path.abspath(settings.capture)).resolve()
    if not folder.is_dir():
        raise HeadGaSError(f"There is no folder {folder}", "Choose the folder of a capture")
    return folder


def run_folder(settings: HeadGaSTrainingSettings) -> Path:
    """Where the run is to be: a folder that does not exist yet, or is empty.

    Raises:
        HeadGaSError: the folder that is asked for holds something.
    """
    if settings.folder:
        folder = Path(bpy.path.abspath(settings.folder)).resolve()
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise HeadGaSError(f"{folder} is not empty", "Choose a new folder for the run")
        return folder
    capture, number = capture_folder(settings), 1
    while (folder := capture.with_name(f"{capture.name} {settings.preset} {number}")).exists():
        number += 1
    return folder


def training_arguments(settings: HeadGaSTrainingSettings, folder: Path) -> list[str]:
    """The arguments of `headgas train` that do what the settings say."""
    length = ("--budget", f"{settings.minutes:g}m") if settings.length == 'TIME' else ("--iterations", settings.steps)
    most = ("--gaussians", settings.gaussians) if settings.gaussians else ()
    words = (capture_folder(settings), "--out", folder, "--preset", settings.preset, *length, *most, "--live", _LIVE)
    return [*map(str, words), "--device", settings.device.lower(), *thread_options()]
