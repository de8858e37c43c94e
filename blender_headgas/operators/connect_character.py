# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""After a capture: the avatar follows the character that it was captured from, and the two change places."""

import bpy
from mathutils import Matrix

from ..capture.channels import BONE, KEY, CharacterChannel, check
from ..capture.character import armature_of
from ..capture.settings import HeadGaSCaptureSettings, anchor_matrix
from ..core.driving import Linear, written
from ..core.errors import HeadGaSError
from ..rig import avatar_of, drivers
from ..rig.channels import neutral_values
from .reporting import reported
from .selection import has_channels, selected_avatars

_CONSTRAINT = "HeadGaS Character"
_SWAPPED = "headgas_swapped"  # on objects that we hid: whether they were hidden in viewports and renders before
_SOURCE = "1"  # the variable of each driver


class HEADGAS_OT_connect_character(bpy.types.Operator):
    """Let the captured character drive the active avatar and carry it: what moves the one moves the other"""

    bl_idname = "headgas.connect_character"
    bl_label = "Connect to Character"
    bl_options = {'REGISTER', 'UNDO'}

    swap: bpy.props.BoolProperty(
        name="Show the Avatar", description="Hide the character and show the avatar in its place", default=True
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return _has_character(cls, context) and has_channels(cls, context)

    @reported
    def execute(self, context: bpy.types.Context) -> set[str]:
        settings, avatar = context.scene.headgas_capture, selected_avatars(context)[0]
        channels = {row.name: channel for row in settings.channels if (channel := row.channel()) is not None}
        wanted = {name: channels[name] for name in neutral_values(avatar) if name in channels}
        if not wanted:
            raise HeadGaSError(
                f"No channel of '{avatar.name}' is in the list of the panel Capture Character",
                "Another character's shape keys can drive it: Map From Character",
            )
        for channel in wanted.values():
            check(channel)
        drivers.make_local(avatar)
        for name, channel in wanted.items():
            expression = written(Linear({drivers.MARK + _SOURCE: 1.0}))
            drivers.drive(avatar, name, expression, [_listening_to(channel)])
        _follow(avatar.parent or avatar, settings)
        self.report({'INFO'}, f"'{settings.character.name}' drives {len(wanted)} channels of '{avatar.name}'")
        if self.swap:
            show_avatar(settings, avatar)
            _tell_of_linked(self, settings)
        return {'FINISHED'}


class HEADGAS_OT_swap_character(bpy.types.Operator):
    """Show the avatar in place of the character, or the character again. The hidden one goes on driving the other"""

    bl_idname = "headgas.swap_character"
    bl_label = "Swap Character and Avatar"
    bl_options = {'REGISTER', 'UNDO'}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not _has_character(cls, context):
            return False
        if connected_avatar(context.scene) is None:
            cls.poll_message_set("No avatar is connected to the character: press Connect to Character")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        settings = context.scene.headgas_capture
        avatar = connected_avatar(context.scene)
        if is_swapped(settings):
            show_character(settings, avatar)
        else:
            show_avatar(settings, avatar)
            _tell_of_linked(self, settings)
        return {'FINISHED'}


def connected_avatar(scene: bpy.types.Scene) -> bpy.types.Object | None:
    """The avatar that follows the scene's character."""
    character = scene.headgas_capture.character
    followed = {character, armature_of(character)} if character else set()
    for ob in scene.objects:
        constraint = ob.constraints.get(_CONSTRAINT)
        if constraint is not None and constraint.target in followed:
            return avatar_of(ob)
    return None


def is_swapped(settings: HeadGaSCaptureSettings) -> bool:
    """Whether the avatar is shown in the character's place."""
    return any(_SWAPPED in ob for ob in settings.objects())


def show_avatar(settings: HeadGaSCaptureSettings, avatar: bpy.types.Object) -> None:
    """Hides what is seen of the character; its bones stay, to be posed."""
    for ob in settings.objects():
        if _is_seen(ob) and ob.is_editable and _SWAPPED not in ob:
            ob[_SWAPPED] = [int(ob.hide_viewport), int(ob.hide_render)]
            ob.hide_viewport = ob.hide_render = True
    for ob in filter(None, (avatar, avatar.parent)):
        ob.hide_viewport = ob.hide_render = False


def show_character(settings: HeadGaSCaptureSettings, avatar: bpy.types.Object) -> None:
    """The character as it was before, and no avatar."""
    for ob in settings.objects():
        if _SWAPPED in ob:
            ob.hide_viewport, ob.hide_render = map(bool, ob[_SWAPPED])
            del ob[_SWAPPED]
    avatar.hide_viewport = avatar.hide_render = True


def _is_seen(ob: bpy.types.Object) -> bool:
    """Whether it is what one sees of a character."""
    return ob.type not in {'ARMATURE', 'EMPTY', 'LIGHT', 'CAMERA'}


def _tell_of_linked(operator: bpy.types.Operator, settings: HeadGaSCaptureSettings) -> None:
    """Linked objects are their own file's: hiding them would last until this one is opened again."""
    linked = [ob.name for ob in settings.objects() if _is_seen(ob) and not ob.is_editable]
    if linked:
        shown = ", ".join(linked[:3]) + " …" * (len(linked) > 3)
        operator.report({'WARNING'}, f"Linked, so not hidden: {shown}. Make a library override of them")


def _has_character(operator: type[bpy.types.Operator], context: bpy.types.Context) -> bool:
    if context.scene.headgas_capture.character is None:
        operator.poll_message_set("The panel Capture Character names no character")
        return False
    return True


def _listening_to(channel: CharacterChannel) -> drivers.Variable:
    """What a driver needs to have a channel's value."""
    owner = bpy.data.objects[channel.owner]
    if channel.kind == KEY:
        return drivers.Variable(_SOURCE, owner.data, drivers.source_path(channel.path))
    if channel.kind == BONE:
        return drivers.Variable(_SOURCE, owner, "", channel.path, channel.component, 'XYZ')
    return drivers.Variable(_SOURCE, owner, channel.path)


def _follow(rig: bpy.types.Object, settings: HeadGaSCaptureSettings) -> None:
    """Takes an avatar's armature to where the captured head is, and lets it stay there."""
    constraint = rig.constraints.get(_CONSTRAINT) or rig.constraints.new('CHILD_OF')
    constraint.name = _CONSTRAINT
    armature = armature_of(settings.character)
    if settings.bone and armature is not None:
        constraint.target, constraint.subtarget = armature, settings.bone
    else:
        constraint.target, constraint.subtarget = settings.character, ""
    for axis in "xyz":
        setattr(constraint, f"use_scale_{axis}", False)  # avatars are in metres
    constraint.set_inverse_pending = False
    constraint.inverse_matrix = Matrix.Identity(4)
    rig.matrix_basis = Matrix(anchor_matrix(settings).tolist())
