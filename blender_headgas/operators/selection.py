# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which avatars, which frames and which viewport an operator means."""

from typing import Any

import bpy
import numpy as np

from ..core.errors import HeadGaSError
from ..core.messages import listed
from ..rig import avatar_of
from ..rig.channels import keys_of
from ..rig.performance import driven_channels


class FrameRange:
    """The properties of operators that evaluate frames."""

    start: bpy.props.IntProperty(name="Start", description="The first frame", options={'SKIP_SAVE'})
    end: bpy.props.IntProperty(name="End", description="The last frame", default=250, options={'SKIP_SAVE'})
    step: bpy.props.FloatProperty(
        name="Step",
        description="Frames from key to key; parts of a frame are fine",
        default=1.0,
        min=0.05,
        soft_max=10.0,
    )


def fill_range(operator: Any, scene: bpy.types.Scene) -> None:
    """Gives the scene's range to a FrameRange that nobody gave one."""
    for name, value in (("start", scene.frame_start), ("end", scene.frame_end)):
        if not operator.properties.is_property_set(name):
            setattr(operator, name, value)


def frames_of(operator: Any) -> np.ndarray:
    """The frames [T] of a FrameRange, rising."""
    if operator.end < operator.start:
        raise HeadGaSError(
            f"The range ends at {operator.end}, before it begins at {operator.start}", "Swap start and end"
        )
    return np.arange(operator.start, operator.end + 1e-6, operator.step)


def selected_avatars(context: bpy.types.Context) -> list[bpy.types.Object]:
    """The avatars that are selected, by their control meshes or armatures; the active one first."""
    found = [avatar_of(obj) for obj in (context.object, *context.selected_objects) if obj is not None]
    return list(dict.fromkeys(avatar for avatar in found if avatar is not None))


def has_avatar(operator: type[bpy.types.Operator], context: bpy.types.Context) -> bool:
    """Whether one is; says so where none is."""
    if selected_avatars(context):
        return True
    operator.poll_message_set("Select an avatar first: its control mesh or its armature")
    return False


def has_channels(operator: type[bpy.types.Operator], context: bpy.types.Context) -> bool:
    """Whether the active object is an avatar with channels; says so where it is not."""
    avatar = avatar_of(context.object)
    if avatar is None:
        operator.poll_message_set("Make an avatar the active object: its control mesh or its armature")
    elif keys_of(avatar) is None:
        operator.poll_message_set("The control mesh has lost its shape keys: import the avatar again")
    return avatar is not None and keys_of(avatar) is not None


def warn_of_drivers(operator: bpy.types.Operator, avatar: bpy.types.Object) -> None:
    """Says which channels will not do what the operator asks of them."""
    driven = driven_channels(avatar)
    if driven:
        operator.report({'WARNING'}, f"Drivers set {listed(driven)} of '{avatar.name}', and win: bake them first")


def look_through_camera(context: bpy.types.Context) -> None:
    """Turns the viewport that the operator was called from into the camera's view."""
    for area in context.screen.areas if context.screen else ():
        if area.type == 'VIEW_3D':
            area.spaces.active.region_3d.view_perspective = 'CAMERA'
            return
