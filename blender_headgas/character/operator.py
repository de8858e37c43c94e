# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Add > Mesh > HeadGaS Demo Head."""

import bpy

from .build import build_demo_character
from .studio import add_studio


class HEADGAS_OT_add_demo_character(bpy.types.Operator):
    bl_idname = "headgas.add_demo_character"
    bl_label = "HeadGaS Demo Head"
    bl_description = "Add a stylised head with the 52 ARKit shape keys, ready to be captured and animated"
    bl_options = {"REGISTER", "UNDO"}

    studio: bpy.props.BoolProperty(
        name="Studio", description="Add three soft lights and a pale world as well", default=False
    )

    def execute(self, context: bpy.types.Context) -> set[str]:
        collection = context.collection or context.scene.collection
        head = build_demo_character(collection)
        head.location = context.scene.cursor.location
        if self.studio:
            add_studio(context.scene, collection)
        for other in context.selected_objects:
            other.select_set(False)
        head.select_set(True)
        context.view_layer.objects.active = head
        return {"FINISHED"}


def draw_menu_entry(menu: bpy.types.Menu, _context: bpy.types.Context) -> None:
    """For `bpy.types.VIEW3D_MT_mesh_add.append`."""
    menu.layout.operator(HEADGAS_OT_add_demo_character.bl_idname, icon="USER")
