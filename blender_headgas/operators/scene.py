# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""From an avatar to a picture in one step: a camera before its face, the render engine, the captured colours."""

import math

import bpy
from mathutils import Euler, Vector

from ..engine.native_panels import ENGINE
from .selection import has_avatar, look_through_camera, selected_avatars

_LENS = 85.0  # millimetres, as for portraits
_MARGIN = 1.15  # of the camera's distance to where the head fills the frame


class HEADGAS_OT_set_up_scene(bpy.types.Operator):
    """Put a new camera before the active avatar, and render with HeadGaS in the colours of the capture"""

    bl_idname = "headgas.set_up_scene"
    bl_label = "Set Up Scene"
    bl_options = {'REGISTER', 'UNDO'}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return has_avatar(cls, context)

    def execute(self, context: bpy.types.Context) -> set[str]:
        set_up_scene(context, selected_avatars(context)[0])
        self.report({'INFO'}, f"{context.scene.camera.name} looks at the avatar; F12 renders it with HeadGaS")
        return {'FINISHED'}


def set_up_scene(context: bpy.types.Context, avatar: bpy.types.Object) -> None:
    """Gives the scene a camera before the avatar's face, the engine HeadGaS and the view transform Standard."""
    scene = context.scene
    scene.render.engine = ENGINE
    bpy.ops.headgas.exact_colors()
    rig = avatar.parent or avatar
    camera = bpy.data.objects.new(f"{rig.name} camera", bpy.data.cameras.new(f"{rig.name} camera"))
    scene.collection.objects.link(camera)
    scene.camera = camera
    camera.data.lens = _LENS
    camera.rotation_euler = (rig.matrix_world.to_quaternion() @ Euler((math.pi / 2, 0, 0)).to_quaternion()).to_euler()
    context.view_layer.update()
    corners = [avatar.matrix_world @ Vector(corner) for corner in avatar.bound_box]
    place, _ = camera.camera_fit_coords(context.evaluated_depsgraph_get(), [x for corner in corners for x in corner])
    middle = sum(corners, Vector()) / len(corners)
    camera.location = middle + (place - middle) * _MARGIN
    look_through_camera(context)
