# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Draws photographs over the camera's view. Blender is asked to do so only while there are photographs."""

from typing import Any

import bpy
import gpu
import numpy as np
from bpy_extras.view3d_utils import location_3d_to_region_2d
from gpu_extras.batch import batch_for_shader

from ..core.framing import Piece, Rectangle, frame_rectangle, photograph_rectangle, shown
from ..rig.photographs import comparison_cameras, is_missing, pixel_height

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


def draw_over(context: Any) -> None:
    """Draws the photograph over the viewport of a context, if it looks through a camera that has one."""
    camera, view = context.space_data.camera or context.scene.camera, context.region_data
    if view.view_perspective != 'CAMERA' or camera is None or camera.type != 'CAMERA':
        return
    comparison = camera.data.headgas_comparison
    if not comparison.photographs or comparison.mode == 'UNDER' or is_missing(camera.data, context.scene):
        return
    frame = camera_frame(context.scene, camera, context.region, view)
    width, height = comparison.image.size
    if frame is None or not width:
        return
    place = photograph_rectangle(frame, width, height, pixel_height(context.scene))
    piece = shown(comparison.mode, place, comparison.position)
    if piece is not None:
        _draw_piece(piece, comparison.image)


def _draw() -> None:
    draw_over(bpy.context)


def _draw_piece(piece: Piece, image: bpy.types.Image) -> None:
    left, bottom = piece.place.left, piece.place.bottom
    right, top = left + piece.place.width, bottom + piece.place.height
    shader = gpu.shader.from_builtin('IMAGE')
    batch = batch_for_shader(
        shader,
        'TRI_STRIP',
        {
            "pos": ((left, bottom), (right, bottom), (left, top), (right, top)),
            "texCoord": ((0, 0), (piece.right, 0), (0, 1), (piece.right, 1)),
        },
    )
    gpu.state.blend_set('ALPHA')
    shader.bind()
    shader.uniform_sampler("image", gpu.texture.from_image(image))
    batch.draw(shader)
    gpu.state.blend_set('NONE')
