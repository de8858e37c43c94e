# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one frame of a scene is to the backend: the camera, the pixels wanted, and what is behind the avatars."""

import bpy
import numpy as np

from ..core.cameras import Camera, PixelRegion, border_region, cropped, intrinsics, is_orthographic, opencv_viewmat
from ..core.errors import HeadGaSError


def region_of(render: bpy.types.RenderSettings, width: int, height: int) -> PixelRegion:
    """The part of the frame (in pixels) that is rendered: the border, or all of it."""
    if not render.use_border:
        return PixelRegion(0, 0, width, height)
    border = (render.border_min_x, render.border_max_x, render.border_min_y, render.border_max_y)
    return border_region(border, width, height)


def camera_of(
    camera: bpy.types.Object, depsgraph: bpy.types.Depsgraph, width: int, height: int, region: PixelRegion
) -> Camera:
    """The evaluated `camera` that sees `region` of a frame of `width` by `height` pixels."""
    if camera.type != 'CAMERA' or camera.data.type not in ('PERSP', 'ORTHO'):
        kind = camera.data.type.lower() if camera.type == 'CAMERA' else camera.type.lower()
        raise HeadGaSError(
            f"The camera '{camera.name}' is of the type '{kind}'; "
            "HeadGaS renders through perspective and orthographic cameras only",
            "Set the camera's lens type to Perspective or Orthographic",
        )
    render = depsgraph.scene.render
    projection = np.array(
        camera.calc_matrix_camera(
            depsgraph, x=width, y=height, scale_x=render.pixel_aspect_x, scale_y=render.pixel_aspect_y
        )
    )
    return Camera(
        viewmat=opencv_viewmat(np.array(camera.matrix_world)),
        K=cropped(intrinsics(projection, width, height), height, region),
        width=region.width,
        height=region.height,
        near=camera.data.clip_start,
        orthographic=is_orthographic(projection),
        far=camera.data.clip_end,
    )


def check_sharp(camera: bpy.types.Object) -> None:
    """Raises HeadGaSError where a camera has depth of field."""
    if camera.data.dof.use_dof:
        raise HeadGaSError(
            f"The camera '{camera.name}' has depth of field, which HeadGaS does not render",
            "Switch Depth of Field off in the camera's properties, and defocus in the compositor by the Depth pass",
        )


def background_of(depsgraph: bpy.types.Depsgraph) -> tuple[np.ndarray | None, str]:
    """The colour [3] (scene-linear) behind a view layer's avatars, None for a transparent film; and a warning, or
    nothing.

    Only a world of one colour can be shown. Instead of anything else its viewport colour is.
    """
    scene, layer = depsgraph.scene, depsgraph.view_layer
    if scene.render.film_transparent:
        return None, ""
    world = layer.world_override.evaluated_get(depsgraph) if layer.world_override else scene.world
    if world is None or not layer.use_sky:
        return np.zeros(3, np.float32), ""
    shader = _surface_shader(world)
    if shader is None:
        return np.array(world.color, np.float32), ""
    color, strength = shader.inputs.get("Color"), shader.inputs.get("Strength")
    if shader.type != 'BACKGROUND' or color.is_linked or strength.is_linked:
        warning = f"HeadGaS shows the world '{world.name}' in its viewport colour, without its nodes"
        return np.array(world.color, np.float32), warning
    return np.array(color.default_value[:3], np.float32) * strength.default_value, ""


def _surface_shader(world: bpy.types.World) -> bpy.types.Node | None:
    """The node that shades a world; None when the world has no nodes."""
    has_nodes = bpy.app.version >= (5, 0, 0) or world.use_nodes  # since 5.0 every world has
    if not has_nodes or world.node_tree is None:
        return None
    output = world.node_tree.get_output_node('ALL')
    links = output.inputs["Surface"].links if output else ()
    return links[0].from_node if links else None
