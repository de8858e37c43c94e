# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""A character is captured by Cycles and by EEVEE; its avatar takes its place and follows its sliders."""

import json
from pathlib import Path

import bpy
import numpy as np

from .harness import Picture, Screen, Until, Walk, box_of, region_of
from .product import install, only_panel, pixels_of, settled

_SIDE = 160  # pixels of a captured picture
_CHANNELS = {"jawOpen", "eyeBlinkLeft", "eyeBlinkRight", "mouthSmileLeft", "mouthSmileRight"}
_FRAMES = 20
_LIMIT = 600  # seconds for what renders, on a busy machine


def walk(screen: Screen) -> Walk:
    yield from install(screen)
    head = _character(screen)
    yield from only_panel(screen, "HEADGAS_PT_capture")
    yield from _preview(screen)
    cycles = yield from _capture(screen, "cycles", _FRAMES)
    slots = [slot.material for slot in head.material_slots]
    for slot in head.material_slots:
        slot.material = None  # without a graphics card EEVEE takes minutes to make skin and hair ready
    eevee = yield from _capture(screen, "eevee", 4, engine='EEVEE')
    for slot, material in zip(head.material_slots, slots, strict=True):
        slot.material = material
    _compare(cycles, eevee)
    bpy.context.scene.headgas_training.capture = str(cycles)
    yield from _train_and_connect(screen, head)


def _character(screen: Screen) -> bpy.types.Object:
    """The demo head, turned and aside, as characters stand in their scenes."""
    with screen.over():
        for light in [obj for obj in bpy.context.scene.objects if obj.type == 'LIGHT']:
            bpy.data.objects.remove(light)
        bpy.ops.headgas.add_demo_character(studio=True)
    head = bpy.context.object
    head.location, head.rotation_euler.z = (0.1, -0.05, 0.0), 0.35
    with screen.over() as area:
        area.spaces.active.region_3d.view_perspective = 'PERSP'
        bpy.ops.view3d.view_axis(type='FRONT')
        bpy.ops.view3d.view_selected(use_all_regions=False)
    return head


def _preview(screen: Screen) -> Walk:
    """What it will look like and how long it takes, before anything is rendered for good."""
    settings = bpy.context.scene.headgas_capture
    with screen.over():
        assert bpy.ops.headgas.capture_character.poll()
        settings.character = bpy.context.object
        assert bpy.ops.headgas.find_capture_channels() == {'FINISHED'}
        for row in settings.channels:
            row.use = row.name in _CHANNELS
        settings.resolution, settings.samples, settings.denoise = _SIDE, 4, False
        settings.frames, settings.test_frames = _FRAMES, 0
        settings.folder = str(screen.folder / "whole")
        assert bpy.ops.headgas.preview_capture() == {'FINISHED'}
    yield 2.0
    yield "previewing"
    folder = Path(bpy.app.tempdir) / "headgas-preview"
    yield Until(lambda: _state(folder) != "rendering" and (folder / "whole.png").is_file(), "a preview", _LIMIT)
    assert _state(folder) == "finished", _said(folder)
    yield 1.0
    screen.keep((yield "previewed"), "capture_preview", box_of(region_of(screen.area(), 'UI')))


def _capture(screen: Screen, name: str, frames: int, engine: str = 'CYCLES') -> Walk:
    """A capture beside the window, which goes on meanwhile. Gives its folder."""
    settings, folder = bpy.context.scene.headgas_capture, screen.folder / name
    settings.engine, settings.frames, settings.folder = engine, frames, ""
    with screen.over():
        bpy.ops.headgas.capture_character('EXEC_DEFAULT', directory=str(folder))
    yield Until(lambda: _told(folder).get("done", 0) > 1 or _state(folder) == "failed", "a frame is there", _LIMIT)
    yield f"{name}_under_way"
    yield Until(lambda: _state(folder) not in ("starting", "rendering"), "the capture ends", _LIMIT)
    assert _state(folder) == "finished", _said(folder)
    assert len(list((folder / "images").glob("*.png"))) == frames
    training = bpy.context.scene.headgas_training
    yield Until(lambda: training.capture and Path(training.capture) == folder, "it is the next to train on")
    yield f"{name}_captured"
    return folder


def _compare(cycles: Path, eevee: Path) -> None:
    """The first frames show the same face from the same place: the engines' mattes and depths are the same."""
    one, other = (json.loads((folder / "capture.json").read_text())["frames"][0] for folder in (cycles, eevee))
    for field in ("viewmat", "K", "expression"):
        assert np.allclose(one[field], other[field], atol=1e-6), field
    mattes = [pixels_of(folder / "images" / "0000.png")[..., 3] > 0.5 for folder in (cycles, eevee)]
    shared = (mattes[0] & mattes[1]).sum() / (mattes[0] | mattes[1]).sum()
    depths = [pixels_of(folder / one["depth"])[..., 0] * 65535 * one["depth_unit"] for folder in (cycles, eevee)]
    inside = mattes[0] & mattes[1] & (depths[0] > 0) & (depths[1] > 0)
    apart = np.abs(depths[0] - depths[1])[inside]
    print(f"Cycles and EEVEE: mattes {shared:.4f} alike, depth {1e3 * np.median(apart):.2f} mm apart")
    assert shared > 0.97 and inside.mean() > 0.2 and np.median(apart) < 0.001


def _train_and_connect(screen: Screen, head: bpy.types.Object) -> Walk:
    """The capture is trained, the avatar imported; the character's keys move it, and it is where the character is."""
    scene = bpy.context.scene
    settings = scene.headgas_training
    settings.folder, settings.length, settings.steps = str(screen.folder / "run"), 'STEPS', 400
    settings.gaussians, settings.device, settings.imports, settings.shows = 3000, 'CPU', True, False
    with screen.over():
        assert bpy.ops.headgas.train_avatar() == {'FINISHED'}
    yield Until(lambda: any(obj.headgas.is_avatar for obj in scene.objects), "the avatar is imported", _LIMIT)
    avatar = next(obj for obj in scene.objects if obj.headgas.is_avatar)
    character = yield "imported"
    with screen.over():
        bpy.ops.object.select_all(action='DESELECT')
        avatar.select_set(True)
        bpy.context.view_layer.objects.active = avatar
        assert bpy.ops.headgas.connect_character() == {'FINISHED'}
    assert head.hide_get() or head.hide_viewport, "the character is still shown"
    yield from settled()
    rest = yield "connected"
    head.data.shape_keys.key_blocks["jawOpen"].value = 1.0
    yield from settled()
    opened = yield "the_character_s_slider_moves_the_avatar"
    keys = avatar.data.shape_keys.evaluated_get(bpy.context.evaluated_depsgraph_get())
    assert keys.key_blocks["jawOpen"].value == 1.0
    assert _changed(screen, rest, opened) > 0.002, "the avatar does not follow the character's slider"
    with screen.over():
        assert bpy.ops.headgas.swap_character() == {'FINISHED'}
    yield 1.0
    swapped = yield "swapped"
    assert not head.hide_viewport and avatar.hide_viewport
    assert _changed(screen, opened, swapped) > 0.02, "the avatar and the character look the same"
    assert _changed(screen, character, swapped) < 0.3
    left, top, width, height = box_of(region_of(screen.area()))
    width -= region_of(screen.area(), 'UI').width  # it names a folder of this machine
    screen.keep(opened, "capture_connected", (left, top, width, height), 60)


def _changed(screen: Screen, one: Picture, other: Picture) -> float:
    """The share of the 3D view's pixels that differ."""
    where = region_of(screen.area())
    return float((np.abs(one.of(where).astype(int) - other.of(where)).max(-1) > 24).mean())


def _told(folder: Path) -> dict:
    try:
        return json.loads((folder / "capture.status.json").read_text())
    except (OSError, ValueError):
        return {}


def _state(folder: Path) -> str:
    return _told(folder).get("state", "starting")


def _said(folder: Path) -> str:
    log = folder / "capture.log"
    return f"{_told(folder)}\n{log.read_text()[-2000:] if log.is_file() else ''}"
