# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""A video of a face becomes a capture, beside Blender."""

from functools import lru_cache
from pathlib import Path

import bpy

from .. import client
from ..client.launch import backend_program
from ..client.tasks import Task
from ..client.tracking import follow_tracking
from ..core.errors import HeadGaSError
from ..core.tracking import FACTS, PICTURES, VIDEOS, TrackingReport, capture_beside, read_tracking
from .reporting import reported
from .service import run_beside

TRACK = "track"
_LOOK = 0.3  # seconds between two looks whether it is done


class HEADGAS_OT_track_video(bpy.types.Operator):
    """Make a capture from a video of a face, or from a folder of pictures. Blender stays usable meanwhile"""

    bl_idname = "headgas.track_video"
    bl_label = "Track Video…"

    filepath: bpy.props.StringProperty(
        name="Video",
        description="The video, or one picture of a folder: all of them are then used",
        subtype='FILE_PATH',
    )
    filter_glob: bpy.props.StringProperty(
        default=";".join(f"*{suffix}" for suffix in (*VIDEOS, *PICTURES)), options={'HIDDEN'}
    )
    lens: bpy.props.FloatProperty(
        name="Lens",
        description="The focal length as on a 35 mm camera, in millimetres; phones have about 26, their front cameras "
        "24 to 30. 0: what the pictures say, or a guess",
        default=0.0,
        min=0.0,
        soft_max=100.0,
        precision=1,
    )
    size: bpy.props.IntProperty(
        name="Resolution", description="Most pixels of a picture's width and height", default=512, min=32, soft_max=2048
    )
    torso: bpy.props.BoolProperty(name="Torso", description="Keep neck and shoulders, not the head alone")
    test_share: bpy.props.FloatProperty(
        name="Test Frames",
        description="Share of the video, at its end, that judges the avatar and does not train it",
        default=0.15,
        min=0.0,
        max=0.5,
        subtype='FACTOR',
    )

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        task = client.tasks.task(TRACK)
        if task is not None and not task.done:
            cls.poll_message_set("A video is being tracked: wait for it, or cancel it")
            return False
        return True

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        context.window_manager.fileselect_add(self)
        return {'RUNNING_MODAL'}

    def draw(self, _context: bpy.types.Context) -> None:
        layout = self.layout
        layout.use_property_split = True
        for name in ("lens", "size", "torso", "test_share"):
            layout.prop(self, name)

    @reported
    def execute(self, context: bpy.types.Context) -> set[str]:
        video = Path(bpy.path.abspath(self.filepath)).resolve()
        if not self.filepath or not video.exists():
            raise HeadGaSError(f"There is no video {video if self.filepath else ''}".strip(), "Choose one")
        if video.suffix.lower() in PICTURES:
            video = video.parent
        folder = capture_beside(video)
        command = [*backend_program(), "track", str(video), "--out", str(folder), *self._options()]
        scene = context.scene.name

        def work(task: Task) -> str:
            follow_tracking(command, task)
            return f"Tracked: {folder}"

        result = run_beside(self, TRACK, work)
        if bpy.app.background:
            _take_over(scene, folder)
        else:
            bpy.app.timers.register(lambda: _look(scene, folder), first_interval=_LOOK, persistent=True)
        return result

    def _options(self) -> list[str]:
        options = ["--size", str(self.size), "--held-out", f"{self.test_share:.4g}"]
        options += ["--focal", f"{self.lens:g}mm"] if self.lens else []
        options += ["--torso"] if self.torso else []
        return options if bpy.app.online_access else [*options, "--offline"]


class HEADGAS_OT_open_tracking_report(bpy.types.Operator):
    """Open the page about the tracked video: landmarks, errors, what was seen and what was not"""

    bl_idname = "headgas.open_tracking_report"
    bl_label = "Open Tracking Report"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if report_of(context.scene.headgas_training.capture) is None:
            cls.poll_message_set("The capture does not come from a video that was tracked here")
            return False
        return True

    @reported
    def execute(self, context: bpy.types.Context) -> set[str]:
        report = report_of(context.scene.headgas_training.capture)
        assert report is not None
        return bpy.ops.wm.path_open(filepath=str(report.page))


def draw_track_menu(menu: bpy.types.Menu, _context: bpy.types.Context) -> None:
    """The entry in File > Import; F3 finds only what a menu has."""
    menu.layout.operator(HEADGAS_OT_track_video.bl_idname, text="Video of a Face (HeadGaS capture)")


def report_of(capture: str) -> TrackingReport | None:
    """What the tracking of a capture's video left, for panels: it is read again when its file changed."""
    if not capture:
        return None
    folder = Path(bpy.path.abspath(capture)).resolve()
    try:
        return _read(folder, (folder / FACTS).stat().st_mtime_ns)
    except OSError:
        return None


@lru_cache(maxsize=8)
def _read(folder: Path, _changed: int) -> TrackingReport | None:
    return read_tracking(folder)


def _look(scene: str, folder: Path) -> float | None:
    task = client.tasks.task(TRACK)
    if task is not None and not task.done:
        return _LOOK
    _take_over(scene, folder)
    return None


def _take_over(scene: str, folder: Path) -> None:
    """The capture is the next to train on, where there is one and its scene is still open."""
    if (folder / FACTS).is_file() and (found := bpy.data.scenes.get(scene)) is not None:
        found.headgas_training.capture = str(folder)
