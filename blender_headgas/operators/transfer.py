# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Expression transfer: the selected avatars do what the active one does."""

import bpy

from ..core.transfer import Transfer, across_people, same_person
from ..rig import transferring
from ..rig.sampling import sample
from .reporting import reported
from .selection import FrameRange, fill_range, frames_of, selected_avatars, warn_of_drivers


class HEADGAS_OT_transfer_performance(FrameRange, bpy.types.Operator):
    """Let the other selected avatars perform what the active avatar performs"""

    bl_idname = "headgas.transfer_performance"
    bl_label = "Transfer Performance"
    bl_options = {'REGISTER', 'UNDO'}

    method: bpy.props.EnumProperty(
        name="People",
        description="How values are carried over",
        items=(
            ('ACROSS', "Different", "Relative to each one's neutral face, scaled by the range that training saw"),
            ('SAME', "The Same", "Values as they are: several avatars of one person"),
        ),
    )
    result: bpy.props.EnumProperty(
        name="As",
        description="What the other avatars get",
        items=(
            ('KEYS', "Keys", "Keyframes in a new Action"),
            ('DRIVERS', "Live Link", "Drivers on their channels, which follow whatever the active avatar will do"),
        ),
    )
    bones: bpy.props.BoolProperty(
        name="Head and Bones",
        description="Carry over the turns of head, neck, jaw and eyes too; with keys only",
        default=True,
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if len(selected_avatars(context)) < 2:
            cls.poll_message_set("Select the avatars that are to perform, then the one to copy, so that it is active")
            return False
        return True

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        fill_range(self, context.scene)
        return context.window_manager.invoke_props_dialog(self)

    def draw(self, _context: bpy.types.Context) -> None:
        layout = self.layout
        layout.use_property_split = True
        layout.prop(self, "method")
        layout.prop(self, "result")
        part = layout.column()
        part.enabled = self.result == 'KEYS'
        for name in ("start", "end", "step", "bones"):
            part.prop(self, name)

    @reported
    def execute(self, context: bpy.types.Context) -> set[str]:
        fill_range(self, context.scene)
        source, *targets = selected_avatars(context)
        transfers = [self._transfer(source, target) for target in targets]
        if self.result == 'KEYS':
            self._key(context, source, targets, transfers)
        else:
            self._link(source, targets, transfers)
        return {'FINISHED'}

    def _transfer(self, source: bpy.types.Object, target: bpy.types.Object) -> Transfer:
        make = same_person if self.method == 'SAME' else across_people
        theirs, ours = transferring.present_channels(source), transferring.present_channels(target)
        transfer = make(theirs, ours)
        transferring.check_target(target, source, transfer)
        left = len(ours.names) - len(transfer.names)
        if left:
            self.report({'WARNING'}, f"{left} channels of '{target.name}' are unknown to '{source.name}'")
        return transfer

    def _key(
        self,
        context: bpy.types.Context,
        source: bpy.types.Object,
        targets: list[bpy.types.Object],
        transfers: list[Transfer],
    ) -> None:
        frames = frames_of(self)
        (samples,) = sample(context, [source], frames)
        for target, transfer in zip(targets, transfers, strict=True):
            transferring.transfer_keys(source, target, samples, transfer, frames, self.bones)
            warn_of_drivers(self, target)
        context.scene.frame_set(context.scene.frame_current, subframe=context.scene.frame_subframe)
        self.report({'INFO'}, f"{len(targets)} avatar{'s' * (len(targets) > 1)} perform {len(frames)} frames")

    def _link(self, source: bpy.types.Object, targets: list[bpy.types.Object], transfers: list[Transfer]) -> None:
        for target, transfer in zip(targets, transfers, strict=True):
            left = len(transfer.names) - transferring.link(source, target, transfer)
            if left:
                self.report({'WARNING'}, f"{left} channels of '{target.name}' have drivers already and keep them")


class HEADGAS_OT_unlink_performance(bpy.types.Operator):
    """Remove the drivers by which the selected avatars follow another avatar"""

    bl_idname = "headgas.unlink_performance"
    bl_label = "Remove Live Link"
    bl_options = {'REGISTER', 'UNDO'}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not any(transferring.is_linked(avatar) for avatar in selected_avatars(context)):
            cls.poll_message_set("No selected avatar follows another one")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        count = sum(transferring.unlink(avatar) for avatar in selected_avatars(context))
        self.report({'INFO'}, f"Removed {count} drivers")
        return {'FINISHED'}
