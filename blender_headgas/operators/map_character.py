# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Map From Character: another mesh's shape keys drive an avatar, through a list that the user reviews."""

import bpy

from ..rig import avatar_of
from ..rig import drivers as rig_drivers
from ..rig.review import create_drivers, fill_review, has_shape_keys
from .reporting import reported
from .selection import has_channels


class HEADGAS_OT_match_character(bpy.types.Operator):
    """List which shape keys of a selected character fit which channels of the active avatar, for you to review"""

    bl_idname = "headgas.match_character"
    bl_label = "Map From Character"
    bl_options = {'REGISTER', 'UNDO'}

    fit: bpy.props.BoolProperty(
        name="Fit Range",
        description="The character's 0 to 1 becomes the channel's neutral value to the largest that training saw; "
        "else values are taken as they are",
        default=True,
    )
    keep: bpy.props.BoolProperty(
        name="Keep Edits",
        description="Pairs that the list has already keep their gains, offsets and limits",
        default=False,
        options={'SKIP_SAVE'},
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not has_channels(cls, context):
            return False
        if source_of(context) is None:
            cls.poll_message_set("Select the character's mesh too, or choose it in the panel: it needs shape keys")
            return False
        return True

    @reported
    def execute(self, context: bpy.types.Context) -> set[str]:
        review = context.scene.headgas_review
        matches = fill_review(review, avatar_of(context.object), source_of(context), self.fit, self.keep)
        driven = {hit.channel for hit in matches if hit.source and hit.channel}
        channels = {hit.channel for hit in matches if hit.channel}
        name = review.source.name
        self.report({'INFO'}, f"{len(driven)} of {len(channels)} channels match '{name}': review the list")
        return {'FINISHED'}


class HEADGAS_OT_create_drivers(bpy.types.Operator):
    """Accept the list: make a driver on each of its channels"""

    bl_idname = "headgas.create_drivers"
    bl_label = "Create Drivers"
    bl_options = {'REGISTER', 'UNDO'}

    replace: bpy.props.BoolProperty(
        name="Replace Existing",
        description="Also where a channel has a driver that HeadGaS did not make",
        default=False,
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not has_channels(cls, context):
            return False
        review = context.scene.headgas_review
        if review.source is None or not any(row.use and row.is_pair for row in review.rows):
            cls.poll_message_set("There is no list yet: press Map From Character")
            return False
        return True

    @reported
    def execute(self, context: bpy.types.Context) -> set[str]:
        made, kept = create_drivers(avatar_of(context.object), context.scene.headgas_review, self.replace)
        if kept:
            self.report(
                {'WARNING'},
                f"Kept {len(kept)} of your drivers, on {', '.join(kept[:5])}{' …' if kept[5:] else ''}: "
                "switch on Replace Existing to replace them",
            )
        name = context.scene.headgas_review.source.name
        self.report({'INFO'}, f"'{name}' drives {len(made)} channel{'' if len(made) == 1 else 's'}")
        return {'FINISHED'}


class HEADGAS_OT_remove_drivers(bpy.types.Operator):
    """Remove the drivers that HeadGaS made on the active avatar; channels keep their values, other drivers stay"""

    bl_idname = "headgas.remove_drivers"
    bl_label = "Remove Drivers"
    bl_options = {'REGISTER', 'UNDO'}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not has_channels(cls, context):
            return False
        if not rig_drivers.ours(avatar_of(context.object)):
            cls.poll_message_set("HeadGaS has made no driver on this avatar")
            return False
        return True

    @reported
    def execute(self, context: bpy.types.Context) -> set[str]:
        avatar = avatar_of(context.object)
        channels = rig_drivers.ours(avatar)
        rig_drivers.make_local(avatar)
        rig_drivers.remove(avatar, channels)
        self.report({'INFO'}, f"{len(channels)} driver{'' if len(channels) == 1 else 's'} removed")
        return {'FINISHED'}


class HEADGAS_OT_edit_review(bpy.types.Operator):
    """Add a row to the list, or remove the active one"""

    bl_idname = "headgas.edit_review"
    bl_label = "Edit List"
    bl_options = {'REGISTER', 'UNDO', 'INTERNAL'}

    action: bpy.props.EnumProperty(
        name="Action", items=[('ADD', "Add", "Add a row"), ('REMOVE', "Remove", "Remove the active row")]
    )

    def execute(self, context: bpy.types.Context) -> set[str]:
        review = context.scene.headgas_review
        if self.action == 'ADD':
            row = review.rows.add()
            if review.active < len(review.rows) - 1:
                row.source = review.rows[review.active].source
            review.active = len(review.rows) - 1
        elif review.active < len(review.rows):
            review.rows.remove(review.active)
            review.active = max(0, min(review.active, len(review.rows) - 1))
        return {'FINISHED'}


def source_of(context: bpy.types.Context) -> bpy.types.Object | None:
    """The character: of the other selected meshes the one with most shape keys, else the one in the panel."""
    avatar = avatar_of(context.object)
    selected = [obj for obj in context.selected_objects if obj != avatar and has_shape_keys(obj)]
    if selected:
        return max(selected, key=lambda obj: len(obj.data.shape_keys.key_blocks))
    chosen = context.scene.headgas_review.source
    if chosen is not None and chosen != avatar and has_shape_keys(chosen):
        return chosen
    users = {obj.data: obj for obj in context.scene.objects if has_shape_keys(obj)}
    listened = rig_drivers.source_meshes(avatar) if avatar else []
    return next((users[mesh] for mesh in listened if mesh in users), None)
