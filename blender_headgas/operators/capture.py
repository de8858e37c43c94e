# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Object > Capture Character…: a Blender in the background renders a character into a capture; preview, stop, go on."""

import bpy

from ..capture.capture import PREVIEW
from ..capture.checklist import scene_checklist
from ..capture.finding import found_channels
from ..capture.job import start, start_preview, status_of, stop
from ..capture.order import Order
from ..capture.settings import HeadGaSCaptureSettings, order_of
from ..core.capture_check import PROBLEM
from ..core.errors import HeadGaSError
from .capture_watch import preview_folder, watch
from .reporting import reported
from .train_pictures import show_picture


def has_character(operator: type[bpy.types.Operator], context: bpy.types.Context) -> bool:
    """Whether there is a character to capture; says so where there is none."""
    if context.scene.headgas_capture.character is not None:
        return True
    operator.poll_message_set("Choose the character first: the object of its head")
    return False


class HEADGAS_OT_capture_character(bpy.types.Operator):
    """Render the character's expressions and views into a capture that an avatar can learn from.
    A Blender in the background works on a copy of the scene as it is now"""

    bl_idname = "headgas.capture_character"
    bl_label = "Capture Character"

    directory: bpy.props.StringProperty(
        name="Folder", description="Where the capture is written; empty for the one in the panel", subtype='DIR_PATH',
        options={'SKIP_SAVE'},
    )
    start_over: bpy.props.BoolProperty(
        name="Start Over", description="Throw away the frames of a capture that was ended", options={'SKIP_SAVE'}
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        head = context.object
        if context.scene.headgas_capture.character is not None:
            return True
        if head is None or head.headgas.is_avatar or not found_channels(head):
            cls.poll_message_set("Select the head of a character: an object with shape keys, or choose it in the panel")
            return False
        return True

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        _choose_character(context)
        if context.scene.headgas_capture.folder:
            return self.execute(context)
        context.window_manager.fileselect_add(self)
        return {'RUNNING_MODAL'}

    @reported
    def execute(self, context: bpy.types.Context) -> set[str]:
        settings = context.scene.headgas_capture
        _choose_character(context)
        if self.directory:
            settings.folder = self.directory
        order, folder = _order(settings, context.scene), settings.target
        if folder is None:
            raise HeadGaSError("No folder is chosen", "Choose an empty folder for the capture")
        start(folder, order, self.start_over)
        watch(folder)
        if not bpy.app.background:
            self.report({'INFO'}, f"Capturing into {folder}: see the tab HeadGaS of the 3D view's sidebar")
        return {'FINISHED'}


class HEADGAS_OT_preview_capture(bpy.types.Operator):
    """Render three small pictures and the first frame of the capture, and tell how long all of it takes"""

    bl_idname = "headgas.preview_capture"
    bl_label = "Preview"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return has_character(cls, context)

    @reported
    def execute(self, context: bpy.types.Context) -> set[str]:
        start_preview(preview_folder(), _order(context.scene.headgas_capture, context.scene))
        watch(preview_folder())
        return {'FINISHED'}


class HEADGAS_OT_show_preview(bpy.types.Operator):
    """Open the previewed frame in an Image Editor"""

    bl_idname = "headgas.show_preview"
    bl_label = "Show Frame"

    @reported
    def execute(self, _context: bpy.types.Context) -> set[str]:
        path = preview_folder() / PREVIEW
        if not path.is_file():
            raise HeadGaSError("There is no preview", "Press Preview")
        show_picture(path)
        return {'FINISHED'}


class HEADGAS_OT_stop_capture(bpy.types.Operator):
    """End the capture; what is rendered stays, and it can go on later"""

    bl_idname = "headgas.stop_capture"
    bl_label = "Stop"

    preview: bpy.props.BoolProperty(name="Preview", description="The preview's instead", options={'SKIP_SAVE'})

    @reported
    def execute(self, context: bpy.types.Context) -> set[str]:
        folder = preview_folder() if self.preview else context.scene.headgas_capture.target
        if folder is None or not status_of(folder).is_running:
            raise HeadGaSError("No capture is under way there")
        stop(folder)
        return {'FINISHED'}


def draw_capture_menu(menu: bpy.types.Menu, _context: bpy.types.Context) -> None:
    """The entry in the 3D view's Object menu; F3 finds only what a menu has."""
    menu.layout.separator()
    menu.layout.operator(HEADGAS_OT_capture_character.bl_idname, text="Capture Character…")


def _choose_character(context: bpy.types.Context) -> None:
    """Without a character the active object is the one; without channels all that it has."""
    settings = context.scene.headgas_capture
    if settings.character is None:
        settings.character = context.object
    if not settings.channels:
        settings.add(found_channels(settings.character, settings.collection))


def _order(settings: HeadGaSCaptureSettings, scene: bpy.types.Scene) -> Order:
    """What is asked for, after a look at everything that can be known before.

    Raises:
        HeadGaSError: something would go wrong.
    """
    order = order_of(settings, scene)
    problems = [text for kind, text in scene_checklist(settings, scene) if kind == PROBLEM]
    if problems:
        raise HeadGaSError(problems[0], "The panel Capture Character has the whole list")
    settings.anchor = [number for row in order.anchor for number in row]
    return order
