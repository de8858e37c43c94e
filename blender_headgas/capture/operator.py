# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The operator that captures the active character."""

from pathlib import Path

import bpy

from ..core.errors import HeadGaSError
from .capture import capture_character


class HEADGAS_OT_capture_character(bpy.types.Operator):
    bl_idname = "headgas.capture_character"
    bl_label = "Capture Character"
    bl_description = "Render the active character's expressions and views into a capture that an avatar can learn from"
    bl_options = {"REGISTER"}

    directory: bpy.props.StringProperty(name="Folder", description="Where the capture is written", subtype="DIR_PATH")
    frames: bpy.props.IntProperty(name="Frames", description="Training frames", default=96, min=4, soft_max=2000)
    test_frames: bpy.props.IntProperty(
        name="Test Frames", description="Frames held out to judge the avatar", default=14, min=0, soft_max=200
    )
    resolution: bpy.props.IntProperty(
        name="Resolution", description="Width and height in pixels", default=256, min=32, soft_max=2048
    )
    samples: bpy.props.IntProperty(
        name="Samples", description="Cycles samples per pixel", default=12, min=1, soft_max=256
    )
    seed: bpy.props.IntProperty(name="Seed", description="Another seed, another set of expressions", default=0, min=0)

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        head = context.object
        if head is None or head.type != "MESH" or head.data.shape_keys is None:
            cls.poll_message_set("Select a mesh with shape keys")
            return False
        return True

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        manager = context.window_manager
        manager.progress_begin(0, self.frames + self.test_frames)
        try:
            folder = capture_character(
                context.object, Path(bpy.path.abspath(self.directory)), frames=self.frames,
                test_frames=self.test_frames, resolution=self.resolution, seed=self.seed, samples=self.samples,
                progress=lambda done, _total: manager.progress_update(done),
            )
        except HeadGaSError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        finally:
            manager.progress_end()
        context.scene.headgas_training.capture = str(folder)  # the next thing to do
        self.report({"INFO"}, f"Captured {self.frames + self.test_frames} frames in {folder}")
        return {"FINISHED"}


def draw_menu_entry(menu: bpy.types.Menu, _context: bpy.types.Context) -> None:
    """The entry in the 3D view's Object menu; F3 finds only what a menu has."""
    menu.layout.separator()
    menu.layout.operator(HEADGAS_OT_capture_character.bl_idname, text="Capture Character…")
