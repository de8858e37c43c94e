# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""File > Import > HeadGaS Take, and the same by dropping a file into the 3D view."""

from pathlib import Path

import bpy
from bpy_extras.io_utils import ImportHelper

from ..core.errors import HeadGaSError
from ..core.messages import listed
from ..core.takes import Take, read_take
from ..core.takes.edit import at_rate, cut, gained, mirrored, moving, renamed, smoothed, zeroed
from ..core.takes.reading import SUFFIXES
from ..rig.channels import channels_of, why_not_editable
from ..rig.takes import beyond_sliders, frames_per_second, head_bone, key_take
from .reporting import reported
from .scene import set_up_scene
from .selection import has_avatar, selected_avatars


class HEADGAS_OT_import_take(bpy.types.Operator, ImportHelper):
    """Import recorded motion onto the selected avatars as keyframes"""

    bl_idname = "headgas.import_take"
    bl_label = "Import Take"
    bl_options = {'REGISTER', 'UNDO'}

    filename_ext = SUFFIXES[0]
    filter_glob: bpy.props.StringProperty(default=";".join(f"*{suffix}" for suffix in SUFFIXES), options={'HIDDEN'})
    # not remembered: a remembered path would make the menu entry skip the file browser
    filepath: bpy.props.StringProperty(subtype='FILE_PATH', options={'HIDDEN', 'SKIP_SAVE'})

    start_frame: bpy.props.IntProperty(name="Start Frame", description="Frame of the take's first moment", default=1)
    range_start: bpy.props.FloatProperty(
        name="From", description="Second of the recording where the take begins", default=0.0, min=0.0
    )
    range_end: bpy.props.FloatProperty(
        name="To", description="Second of the recording where the take ends; 0 for its end", default=0.0, min=0.0
    )
    frame_rate: bpy.props.FloatProperty(
        name="Recorded Rate",
        description="Moments per second of recordings that do not say it themselves: FLAME parameters, captures; "
        "0 for the scene's frame rate, one moment a frame",
        default=0.0,
        min=0.0,
        soft_max=240.0,
    )
    smoothing: bpy.props.FloatProperty(
        name="Smoothing",
        description="Width of the Gaussian that smooths the take, in seconds; 0 for none",
        default=0.0,
        min=0.0,
        soft_max=0.2,
        max=1.0,
        precision=3,
        step=1,
    )
    first_as_zero: bpy.props.BoolProperty(
        name="First Frame as Zero",
        description="Count channels and head from the take's first moment, where the face was relaxed",
        default=False,
    )
    gain: bpy.props.FloatProperty(
        name="Gain",
        description="Makes the channels' values so many times as large",
        default=1.0,
        soft_min=0.0,
        soft_max=3.0,
    )
    mirror: bpy.props.BoolProperty(name="Mirror", description="Exchange left and right", default=False)
    landscape: bpy.props.BoolProperty(
        name="Landscape",
        description="Live Link Face recorded with the phone on its side: turns the head's yaw and pitch round",
        default=False,
    )
    head: bpy.props.BoolProperty(
        name="Head Motion", description="Key the head bone too, where the recording has the head's pose", default=True
    )
    new_action: bpy.props.BoolProperty(
        name="New Action",
        description="Key into a new action, named after the file; else into the present one, "
        "where keys before and after the take stay",
        default=True,
    )
    set_up: bpy.props.BoolProperty(
        name="Set Up Scene",
        description="Let the scene last as long as the take, put a camera before the avatar, and render with HeadGaS",
        default=False,
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return has_avatar(cls, context)

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        if not self.properties.is_property_set("start_frame"):
            self.start_frame = context.scene.frame_start
        return self.invoke_popup(context)

    @reported
    def execute(self, context: bpy.types.Context) -> set[str]:
        scene, avatars = context.scene, selected_avatars(context)
        path = Path(bpy.path.abspath(self.filepath))
        take = self._edited(read_take(path, self._rate(scene), landscape=self.landscape))
        fitting = [(avatar, *_fitted(take, path, avatar)) for avatar in avatars]
        for avatar, fitted, unknown in fitting:
            played = at_rate(fitted, frames_per_second(scene))
            key_take(avatar, played, self.start_frame, path.stem if self.new_action else None, self.head)
            self._report(avatar, played, unknown)
        if self.set_up:
            scene.frame_start, scene.frame_end = self.start_frame, self.start_frame + len(played.times) - 1
            set_up_scene(context, avatars[0])
        scene.frame_set(scene.frame_current, subframe=scene.frame_subframe)  # shows the keys of this frame
        return {'FINISHED'}

    def _rate(self, scene: bpy.types.Scene) -> float:
        return self.frame_rate or frames_per_second(scene)

    def _edited(self, take: Take) -> Take:
        take = smoothed(take, self.smoothing)  # before the cut, whose ends have neighbours
        if self.range_start or self.range_end:
            take = cut(take, self.range_start, self.range_end or take.duration)
        take = zeroed(take) if self.first_as_zero else take
        return gained(mirrored(take) if self.mirror else take, self.gain)

    def _report(self, avatar: bpy.types.Object, take: Take, unknown: list[str]) -> None:
        last = self.start_frame + len(take.times) - 1
        self.report({'INFO'}, f"{len(take.names)} channels of {avatar.name}, frames {self.start_frame} to {last}")
        if unknown:
            self.report({'WARNING'}, f"{avatar.name} has no channel {listed(unknown)} of the take")
        ruled = [channel.name for channel in channels_of(avatar) if channel.name in take.names and not channel.is_free]
        if ruled:
            self.report({'WARNING'}, f"Drivers set {listed(ruled)} of {avatar.name}, whatever their keys say")
        held = beyond_sliders(avatar, take)
        if held:
            self.report({'WARNING'}, f"The take goes beyond the slider of {listed(held)} of {avatar.name}")
        if self.head and take.rotations is not None and head_bone(avatar) is None:
            self.report({'WARNING'}, f"{avatar.name} has no bone 'head' for the take's head motion")


class HEADGAS_FH_take(bpy.types.FileHandler):
    """Drops a take's file into the 3D view"""

    bl_idname = "HEADGAS_FH_take"
    bl_label = "HeadGaS Take"
    bl_import_operator = "headgas.import_take"
    bl_file_extensions = ";".join(SUFFIXES)

    @classmethod
    def poll_drop(cls, context: bpy.types.Context) -> bool:
        return context.area is not None and context.area.type == 'VIEW_3D' and bool(selected_avatars(context))


def draw_import_take_menu(menu: bpy.types.Menu, _context: bpy.types.Context) -> None:
    """The entry in File > Import."""
    menu.layout.operator(HEADGAS_OT_import_take.bl_idname, text="HeadGaS Take (.csv, .json, .npz)")


def _fitted(take: Take, path: Path, avatar: bpy.types.Object) -> tuple[Take, list[str]]:
    """What of a take an avatar can show, and the names of the moving channels that it cannot."""
    reason = why_not_editable(avatar)
    if reason:
        raise HeadGaSError(f"{avatar.name} cannot be keyed", reason)
    channels = [channel.name for channel in channels_of(avatar)]
    fitted, unknown = renamed(take, channels)
    if not fitted.names:
        raise HeadGaSError(
            f"No channel of {path.name} is one of {avatar.name}: the take has {listed(take.names)}, "
            f"the avatar {listed(channels) or 'has none'}",
            "Choose a take of the avatar's own kind of channels, or give the avatar a mapping to those of the take",
        )
    return fitted, moving(take, unknown)
