# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drivers and constraints to keyframes, and back."""

import bpy

from ..rig import baking
from ..rig.sampling import sample
from .reporting import reported
from .selection import FrameRange, fill_range, frames_of, has_avatar, selected_avatars


class HEADGAS_OT_bake(FrameRange, bpy.types.Operator):
    """Turn what drivers, constraints and strips do to the selected avatars into keyframes of a new Action"""

    bl_idname = "headgas.bake"
    bl_label = "Bake to Keyframes"
    bl_options = {'REGISTER', 'UNDO'}

    only_changed: bpy.props.BoolProperty(
        name="Only Changed",
        description="No keys for channels that stand still in the range; one key where something holds them there",
        default=True,
    )
    bones: bpy.props.BoolProperty(
        name="Bones", description="Bake the bones too, as their constraints leave them", default=True
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return has_avatar(cls, context)

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        fill_range(self, context.scene)
        return context.window_manager.invoke_props_dialog(self)

    @reported
    def execute(self, context: bpy.types.Context) -> set[str]:
        fill_range(self, context.scene)
        avatars = selected_avatars(context)
        frames = frames_of(self)
        for avatar in avatars:
            baking.check_bakeable(avatar)
        for avatar, samples in zip(avatars, sample(context, avatars, frames), strict=True):
            baking.bake(avatar, samples, frames, self.only_changed, self.bones)
        _evaluate_again(context.scene)
        self.report({'INFO'}, f"Baked {len(frames)} frames of {len(avatars)} avatar{'s' * (len(avatars) > 1)}")
        return {'FINISHED'}


class HEADGAS_OT_unbake(bpy.types.Operator):
    """Give the selected avatars the drivers, constraints and Action back that they had before they were baked"""

    bl_idname = "headgas.unbake"
    bl_label = "Back to Drivers"
    bl_options = {'REGISTER', 'UNDO'}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not any(baking.is_baked(avatar) for avatar in selected_avatars(context)):
            cls.poll_message_set("No selected avatar was baked")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        for avatar in selected_avatars(context):
            baking.restore(avatar)
        _evaluate_again(context.scene)
        return {'FINISHED'}


def _evaluate_again(scene: bpy.types.Scene) -> None:
    scene.frame_set(scene.frame_current, subframe=scene.frame_subframe)
