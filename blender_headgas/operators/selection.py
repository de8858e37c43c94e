# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which avatars an operator means."""

import bpy

from ..rig import avatar_of


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
