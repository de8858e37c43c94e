# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the parts of the avatar's panel in the 3D view's sidebar have in common."""

import bpy

from ..rig import avatar_of
from .avatar import HEADGAS_PT_avatar_sidebar


class AvatarPart(bpy.types.Panel):
    """A part of the active avatar's panel, closed to begin with"""

    bl_space_type = 'VIEW_3D'
    bl_region_type = 'UI'
    bl_category = "HeadGaS"
    bl_parent_id = HEADGAS_PT_avatar_sidebar.bl_idname
    bl_options = {'DEFAULT_CLOSED'}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return avatar_of(context.object) is not None
