# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Renders a character's frames through Cycles and gives the scene back as it was."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import bpy

from .character import character_objects

LENS = 85.0  # mm on a 36 mm sensor: little perspective, as portraits have it


@contextmanager
def changed(owner: object, **values: object) -> Iterator[None]:
    """Attributes of a Blender struct, set for a while; names that this Blender version lacks are a bug."""
    before = {name: getattr(owner, name) for name in values}
    try:
        for name, value in values.items():
            setattr(owner, name, value)
        yield
    finally:
        for name, value in before.items():
            setattr(owner, name, value)


@contextmanager
def capture_settings(scene: bpy.types.Scene, width: int, height: int, samples: int) -> Iterator[None]:
    """Cycles, a transparent film and display-referred sRGB, for a while.

    The engine is set first: choosing it may adjust other settings.
    """
    render = scene.render
    with ExitStack() as stack:
        for owner, values in (
            (render, {"engine": "CYCLES"}),
            (render, {
                "resolution_x": width, "resolution_y": height, "resolution_percentage": 100, "pixel_aspect_x": 1.0,
                "pixel_aspect_y": 1.0, "film_transparent": True, "use_border": False, "use_persistent_data": True,
                "use_compositing": False, "use_sequencer": False, "use_motion_blur": False, "use_stamp": False,
                "use_multiview": False, "dither_intensity": 0.0, "use_file_extension": True,
                "filepath": render.filepath,
            }),
            (render.image_settings, {"file_format": "PNG"}),
            (render.image_settings, {"color_mode": "RGBA", "color_depth": "8", "compression": 15}),
            (scene.display_settings, {"display_device": "sRGB"}),
            (scene.view_settings, {"view_transform": "Standard"}),
            (scene.view_settings, {"look": "None", "exposure": 0.0, "gamma": 1.0, "use_curve_mapping": False}),
            (scene.cycles, {
                "samples": samples, "use_adaptive_sampling": False, "use_denoising": True,
                "denoiser": "OPENIMAGEDENOISE", "max_bounces": 4, "diffuse_bounces": 2, "glossy_bounces": 2,
                "transparent_max_bounces": 4, "caustics_reflective": False, "caustics_refractive": False,
                "seed": 0, "use_animated_seed": False, "film_transparent_glass": False,
            }),
        ):
            stack.enter_context(changed(owner, **values))
        yield


@contextmanager
def only_character(scene: bpy.types.Scene, head: bpy.types.Object) -> Iterator[None]:
    """Everything but the character and the lights is left out of renders, for a while."""
    kept = set(character_objects(head))
    with ExitStack() as stack:
        for ob in scene.objects:
            if ob not in kept and ob.type not in {"LIGHT", "LIGHT_PROBE", "CAMERA", "EMPTY"}:
                stack.enter_context(changed(ob, hide_render=True))
        yield


@contextmanager
def capture_camera(scene: bpy.types.Scene) -> Iterator[bpy.types.Object]:
    """A camera of our own as the scene's, for a while."""
    data = bpy.data.cameras.new("HeadGaS Capture")
    data.lens, data.sensor_width, data.sensor_fit = LENS, 36.0, "AUTO"
    data.clip_start, data.clip_end = 0.01, 1000.0
    camera = bpy.data.objects.new(data.name, data)
    scene.collection.objects.link(camera)
    try:
        with changed(scene, camera=camera):
            yield camera
    finally:
        bpy.data.objects.remove(camera)
        bpy.data.cameras.remove(data)


@contextmanager
def expression_kept(head: bpy.types.Object) -> Iterator[None]:
    """The shape keys' values are put back at the end, and their animation holds still meanwhile."""
    keys = head.data.shape_keys
    values = [key.value for key in keys.key_blocks]
    animation = keys.animation_data
    with ExitStack() as stack:
        if animation is not None:
            stack.enter_context(changed(animation, action=None))
            for track in animation.nla_tracks:
                stack.enter_context(changed(track, mute=True))
        try:
            for key in keys.key_blocks[1:]:
                key.value = 0.0
            yield
        finally:
            for key, value in zip(keys.key_blocks, values, strict=True):
                key.value = value


def render_image(scene: bpy.types.Scene, path: Path) -> None:
    """Render a frame beside its final name, then rename it: a file that exists is whole."""
    unfinished = path.with_name(f"{path.stem}.unfinished.png")
    scene.render.filepath = str(unfinished)
    bpy.ops.render.render(write_still=True, scene=scene.name)
    unfinished.replace(path)
