# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Renders a character's frames through Blender's own pipeline: colour and matte, and the depth of the same render.

The open file is changed for good: a capture works on a copy of the user's.
"""

from collections.abc import Sequence
from pathlib import Path

import bpy
import numpy as np

from ..core.errors import HeadGaSError
from ..core.exr import read_channels
from ..core.files import write_bytes
from ..core.png import grey_png
from .order import CYCLES, Order

_SENSOR = 36.0  # mm
_DEPTHS = 65535  # steps of a depth picture; 0 is nothing
_IN_PLACE = {"LIGHT", "LIGHT_PROBE", "CAMERA", "EMPTY", "ARMATURE"}


def prepare_scene(scene: bpy.types.Scene, order: Order) -> None:
    """The engine, a transparent film, depth, and display-referred sRGB; how light travels stays the user's choice.

    The engine is set first: choosing it may adjust other settings.
    """
    render = scene.render
    render.engine = _engine(order.engine)
    render.resolution_percentage, render.pixel_aspect_x, render.pixel_aspect_y = 100, 1.0, 1.0
    render.film_transparent, render.dither_intensity, render.use_file_extension = True, 0.0, True
    render.use_persistent_data = True  # what does not move is not made ready again
    for name in ("border", "compositing", "sequencer", "motion_blur", "stamp", "multiview", "freestyle"):
        setattr(render, f"use_{name}", False)
    scene.display_settings.display_device = "sRGB"
    scene.view_settings.view_transform = "Standard"
    scene.view_settings.look = "None"
    scene.view_settings.exposure, scene.view_settings.gamma = 0.0, 1.0
    scene.view_settings.use_curve_mapping = False
    for layer in scene.view_layers:
        layer.use = layer == bpy.context.view_layer
    bpy.context.view_layer.use_pass_combined = bpy.context.view_layer.use_pass_z = True
    if order.engine == CYCLES:
        cycles = scene.cycles
        cycles.use_denoising, cycles.use_animated_seed = order.denoise, False
        cycles.use_adaptive_sampling = False


def set_quality(scene: bpy.types.Scene, order: Order, resolution: int, samples: int) -> None:
    """The size of a picture in pixels, and samples per pixel."""
    scene.render.resolution_x = scene.render.resolution_y = resolution
    if order.engine == CYCLES:
        scene.cycles.samples = samples
    else:
        scene.eevee.taa_render_samples = samples


def show_only(objects: Sequence[bpy.types.Object], scene: bpy.types.Scene) -> None:
    """The camera sees nothing but these; everything else still lights them, shades them and is mirrored in them."""
    kept = set(objects)
    for ob in scene.objects:
        if ob not in kept and ob.type not in _IN_PLACE:
            ob.visible_camera = False
        elif ob.type == "EMPTY" and ob.instance_type == "COLLECTION" and ob not in kept:
            ob.visible_camera = False


def show_all_keys(objects: Sequence[bpy.types.Object]) -> None:
    """Meshes that are edited, or whose shape key is pinned, show one shape in renders, whatever their keys' values."""
    for ob in objects:
        if ob.type != "MESH":
            continue
        ob.show_only_shape_key = False
        if ob.mode != "OBJECT":
            bpy.context.view_layer.objects.active = ob
            bpy.ops.object.mode_set(mode="OBJECT")


def capture_camera(scene: bpy.types.Scene, field_of_view: float) -> bpy.types.Object:
    """A camera of our own, now the scene's; its field of view in degrees."""
    data = bpy.data.cameras.new("HeadGaS Capture")
    data.sensor_width, data.sensor_fit = _SENSOR, "AUTO"
    data.lens = _SENSOR / 2 / float(np.tan(np.deg2rad(field_of_view) / 2))
    camera = bpy.data.objects.new(data.name, data)
    scene.collection.objects.link(camera)
    scene.camera = camera
    return camera


def render_frame(scene: bpy.types.Scene, image: Path, depth: Path, unit: float) -> None:
    """Renders a frame: `image` in sRGB with straight alpha, `depth` with `unit` metres a step. The image comes last and
    is renamed when it is whole: where it exists, both do.

    Raises:
        HeadGaSError: Blender cannot render the scene that way, or nothing is seen.
    """
    unfinished, passes = (image.with_name(f"{image.stem}.unfinished.{ending}") for ending in ("png", "exr"))
    _as_picture(scene)
    scene.render.filepath = str(unfinished)
    try:
        bpy.ops.render.render(write_still=True, scene=scene.name)
    except RuntimeError as error:
        raise HeadGaSError(
            f"Blender cannot render the frame: {str(error).removeprefix('Error: ').splitlines()[0]}",
            "Where it cannot denoise, switch Denoise off and take more samples.",
        ) from None
    _as_passes(scene)
    result = next(picture for picture in bpy.data.images if picture.type == "RENDER_RESULT")
    result.save_render(str(passes), scene=scene)
    channels = read_channels(passes)
    passes.unlink()
    if not next(pixels for name, pixels in channels.items() if name.endswith("Combined.A")).any():
        unfinished.unlink()
        raise HeadGaSError(
            "Nothing of the character is in the picture.",
            "Is it, or a collection that it is in, hidden in renders or left out of the view layer?",
        )
    z = next(pixels for name, pixels in channels.items() if name.split(".")[-2:-1] == ["Depth"])
    write_bytes(depth, grey_png(depth_steps(z, unit)))
    unfinished.replace(image)


def depth_steps(z: np.ndarray, unit: float) -> np.ndarray:
    """What a depth picture holds [H,W] uint16 of camera-space z [H,W] in metres; 0 where nothing is in its reach."""
    steps = np.round(z / unit)
    return np.where((steps >= 1) & (steps <= _DEPTHS), steps, 0).astype(np.uint16)


def depth_unit(farthest: float) -> float:
    """Metres a step, so that a depth picture reaches to `farthest`."""
    return farthest / _DEPTHS


def _as_picture(scene: bpy.types.Scene) -> None:
    settings = scene.render.image_settings
    if hasattr(settings, "media_type"):  # Blender 5: it decides which formats there are
        settings.media_type = "IMAGE"
    settings.file_format = "PNG"
    settings.color_mode, settings.color_depth, settings.compression = "RGBA", "8", 15


def _as_passes(scene: bpy.types.Scene) -> None:
    settings = scene.render.image_settings
    if hasattr(settings, "media_type"):
        settings.media_type = "MULTI_LAYER_IMAGE"
    settings.file_format = "OPEN_EXR_MULTILAYER"
    settings.color_depth, settings.exr_codec = "32", "NONE"
    if hasattr(settings, "use_exr_interleave"):  # Blender 5: else every pass is a part of its own
        settings.use_exr_interleave = True


def _engine(name: str) -> str:
    """Blender's name of an engine: EEVEE has had several."""
    if name == CYCLES:
        return CYCLES
    return "BLENDER_EEVEE_NEXT" if (4, 2) <= bpy.app.version < (5, 0) else "BLENDER_EEVEE"
