# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is ready for a capture of a character, and what is not: lines for a panel, made anew at every redraw."""

from collections.abc import Iterator

import bpy

from ..core.capture_check import GOOD, PROBLEM, WARNING
from .capture import is_lit
from .channels import KEY
from .head_space import WORLD
from .job import plan_of, status_of
from .settings import HeadGaSCaptureSettings
from .writer import IMAGES, MANIFEST

_FRAMES_PER_CHANNEL = 2.5  # fewer show some movements hardly at all
_UPRIGHT = 0.5  # cosine: heads lean less than that
_SLIDER_LIMIT = 10.0  # Blender's, of a shape key in either direction


def checklist(settings: HeadGaSCaptureSettings, scene: bpy.types.Scene) -> list[tuple[str, str]]:
    """GOOD, WARNING or PROBLEM, and a text."""
    return [*scene_checklist(settings, scene), *_folder(settings)]


def scene_checklist(settings: HeadGaSCaptureSettings, scene: bpy.types.Scene) -> list[tuple[str, str]]:
    """The same without a word on the folder."""
    if settings.character is None:
        return [(PROBLEM, "Choose the character: the object of its head")]
    return [*_character(settings, scene), *_channels(settings), *_light(scene)]


def _character(settings: HeadGaSCaptureSettings, scene: bpy.types.Scene) -> Iterator[tuple[str, str]]:
    head, objects = settings.character, settings.objects()
    if head.name not in scene.objects:
        yield PROBLEM, f"{head.name} is not in this scene; make instances real, or a library override of them"
        return
    hidden = [ob.name for ob in objects if ob.hide_render and ob.type != 'ARMATURE']
    shown = len([ob for ob in objects if ob.type not in {'ARMATURE', 'EMPTY'}]) - len(hidden)
    yield (GOOD if shown else PROBLEM), f"{shown} object{'s' * (shown != 1)} will be seen, no others"
    if hidden:
        yield WARNING, f"Hidden in renders: {', '.join(hidden[:4])}{' …' * (len(hidden) > 4)}"
    up = head.matrix_world.to_3x3().col[2].normalized()
    if settings.front != WORLD and up.z < _UPRIGHT:
        yield WARNING, "The object's Z does not point up: its face may look along the world's -Y instead"


def _channels(settings: HeadGaSCaptureSettings) -> Iterator[tuple[str, str]]:
    channels = settings.used_channels()
    if not channels:
        yield PROBLEM, "No channels: press Find Channels, or add bones"
        return
    keys = sum(channel.kind == KEY for channel in channels)
    others = len(channels) - keys
    parts = [f"{keys} shape keys"] * bool(keys) + [f"{others} bones and properties"] * bool(others)
    yield GOOD, f"{len(channels)} channels: {', '.join(parts)}"
    far = [one.name for one in channels if max(abs(one.low), abs(one.high)) > _SLIDER_LIMIT]
    if far:
        yield PROBLEM, f"Beyond -10 to 10, which channels of avatars cannot be: {', '.join(far[:4])}"
    needed = round(_FRAMES_PER_CHANNEL * len(channels))
    if settings.frames < needed:
        yield WARNING, f"{settings.frames} frames are few for {len(channels)} channels: {needed} show each well"


def _light(scene: bpy.types.Scene) -> Iterator[tuple[str, str]]:
    lights = sum(ob.type == 'LIGHT' and not ob.hide_render for ob in scene.objects)
    what = [f"{lights} light{'s' * (lights != 1)}"] * bool(lights) + ["the world"] * (scene.world is not None)
    if is_lit(scene):
        yield GOOD, f"Lit by {' and '.join(what)}, as in the scene"
    else:
        yield PROBLEM, "Nothing lights the character: add a light or a world"
    unsaved = [image.name for image in bpy.data.images if image.is_dirty and image.source in {'FILE', 'GENERATED'}]
    if unsaved:
        yield WARNING, f"Painted and not saved, so not seen: {', '.join(unsaved[:3])}"


def _folder(settings: HeadGaSCaptureSettings) -> Iterator[tuple[str, str]]:
    folder = settings.target
    if folder is None:
        yield PROBLEM, "Choose a folder"
    elif (folder / MANIFEST).is_file():
        yield WARNING, "The folder holds a finished capture: choose another for a new one"
    elif plan_of(folder) is None and (folder / IMAGES).is_dir() and any((folder / IMAGES).iterdir()):
        yield PROBLEM, "The folder holds other pictures"
    elif not status_of(folder).is_running:
        yield GOOD, "The folder can be used"
