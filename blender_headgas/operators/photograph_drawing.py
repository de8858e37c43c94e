# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Draws photographs over the camera's view. Blender is asked to do so only while there are photographs."""

from collections.abc import Iterator
from functools import cache, partial
from typing import Any

import bpy
import gpu
import numpy as np
from bpy_extras.view3d_utils import location_3d_to_region_2d
from gpu_extras.batch import batch_for_shader

from ..core.framing import Piece, Rectangle, beside, frame_rectangle, photograph_rectangle, wiped
from ..overlay.view_transform import is_exact
from ..rig.photographs import comparison_cameras, is_missing, pixel_height

_VERTEX = """
void main()
{
  at = texCoord;
  gl_Position = ModelViewProjectionMatrix * vec4(pos, 0.0, 1.0);
}
"""
_FRAGMENT = """
void main()
{
  vec4 linear = texture(image, at);
  vec3 c = clamp(linear.rgb / max(linear.a, 1e-4), 0.0, 1.0);
  vec3 srgb = mix(c * 12.92, 1.055 * pow(c, vec3(1.0 / 2.4)) - 0.055, step(vec3(0.0031308), c));
  /* Blender lays overlays over viewports in a space of its own: x to the power of 1 / 2.2 comes onto the screen */
  color = vec4(pow(srgb, vec3(2.2)) * linear.a, linear.a);
}
"""
_handle: Any = None


@bpy.app.handlers.persistent
def update_drawing(*_: object) -> None:
    """Starts or stops drawing, as there are photographs or none."""
    global _handle  # noqa: PLW0603 - the one registry of the process
    wanted = any(comparison_cameras())
    if wanted and _handle is None:
        _handle = bpy.types.SpaceView3D.draw_handler_add(_draw, (), 'WINDOW', 'POST_PIXEL')
    elif not wanted and _handle is not None:
        stop_drawing()


def stop_drawing() -> None:
    """Stops it for good."""
    global _handle  # noqa: PLW0603
    if _handle is not None:
        bpy.types.SpaceView3D.draw_handler_remove(_handle, 'WINDOW')
        _handle = None
        _shader.cache_clear()


def is_drawing() -> bool:
    """Whether Blender is asked to draw."""
    return _handle is not None


def camera_frame(
    scene: bpy.types.Scene, camera: bpy.types.Object, region: bpy.types.Region, view: bpy.types.RegionView3D
) -> Rectangle | None:
    """The camera's frame in a viewport that looks through it; None where it is out of sight."""
    rigid = camera.matrix_world.normalized()  # a camera's scale does not count
    corners = [location_3d_to_region_2d(region, view, rigid @ p) for p in camera.data.view_frame(scene=scene)]
    return None if None in corners else frame_rectangle(np.array(corners))


def free_columns(area: bpy.types.Area, region: bpy.types.Region) -> tuple[float, float]:
    """From where to where, in pixels, no toolbar and no sidebar lies over a viewport."""
    low, high = 0.0, float(region.width)
    for other in area.regions:
        if other.type in ('TOOLS', 'UI') and other.width > 1 and region.x <= other.x < region.x + region.width:
            if other.alignment == 'RIGHT':
                high = min(high, float(other.x - region.x))
            else:
                low = max(low, float(other.x + other.width - region.x))
    return low, high


def draw_over(context: Any) -> None:
    """Draws the photograph over the viewport of a context, if it looks through a camera that has one."""
    camera, view = context.space_data.camera or context.scene.camera, context.region_data
    if view.view_perspective != 'CAMERA' or camera is None or camera.type != 'CAMERA':
        return
    comparison = camera.data.headgas_comparison
    if not comparison.photographs or is_missing(camera.data, context.scene):
        return
    if comparison.mode == 'UNDER':
        _keep_colors(context, comparison.image)
        return
    frame = camera_frame(context.scene, camera, context.region, view)
    width, height = comparison.image.size
    if frame is None or not width:
        return
    place = photograph_rectangle(frame, width, height, pixel_height(context.scene))
    if comparison.mode == 'WIPE':
        piece = wiped(place, comparison.position)
    else:
        piece = beside(place, frame, *free_columns(context.area, context.region))
    if piece is not None:
        _draw_piece(piece, comparison.image)


def _draw() -> None:
    draw_over(bpy.context)


def _keep_colors(context: Any, image: bpy.types.Image) -> None:
    """Lets Blender show a background in the colours of its file, as near as it can.

    The scene's view transform keeps them where it is Standard, as it always is in Solid. Another one would turn them
    paler: then they are shown as overlays are, by up to 8 steps of 255 too light where they are dark.
    """
    keeps = is_exact(context.scene) or not any(shading in ('MATERIAL', 'RENDERED') for shading in _shadings())
    if image.use_view_as_render != keeps:  # nothing may be changed while Blender draws
        bpy.app.timers.register(partial(_set_view_as_render, image.name, keeps))


def _set_view_as_render(name: str, keeps: bool) -> None:
    image = bpy.data.images.get(name)
    if image is not None:
        image.use_view_as_render = keeps


def _shadings() -> Iterator[str]:
    """How the open viewports are shaded."""
    for window in bpy.context.window_manager.windows:
        yield from (area.spaces.active.shading.type for area in window.screen.areas if area.type == 'VIEW_3D')


def _draw_piece(piece: Piece, image: bpy.types.Image) -> None:
    left, bottom = piece.place.left, piece.place.bottom
    right, top = left + piece.place.width, bottom + piece.place.height
    shader = _shader()
    batch = batch_for_shader(
        shader,
        'TRI_STRIP',
        {
            "pos": ((left, bottom), (right, bottom), (left, top), (right, top)),
            "texCoord": ((0, 0), (piece.right, 0), (0, 1), (piece.right, 1)),
        },
    )
    gpu.state.blend_set('ALPHA_PREMULT')
    shader.bind()
    shader.uniform_sampler("image", gpu.texture.from_image(image))
    batch.draw(shader)
    gpu.state.blend_set('NONE')


@cache
def _shader() -> gpu.types.GPUShader:
    """Shows an image in the colours of its file."""
    between = gpu.types.GPUStageInterfaceInfo("headgas_photograph")
    between.smooth('VEC2', "at")
    info = gpu.types.GPUShaderCreateInfo()
    info.push_constant('MAT4', "ModelViewProjectionMatrix")  # Blender fills it in, by its name
    info.sampler(0, 'FLOAT_2D', "image")
    info.vertex_in(0, 'VEC2', "pos")
    info.vertex_in(1, 'VEC2', "texCoord")
    info.vertex_out(between)
    info.fragment_out(0, 'VEC4', "color")
    info.vertex_source(_VERTEX)
    info.fragment_source(_FRAGMENT)
    return gpu.shader.create_from_info(info)
