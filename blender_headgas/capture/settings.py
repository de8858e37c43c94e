# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the next capture of a character is to be: the scene's settings, beside the character that they belong to."""

import math
from collections.abc import Iterable
from pathlib import Path

import bpy
import numpy as np

from ..core.errors import HeadGaSError
from .channels import BONE, COMPONENTS, KEY, PROPERTY, CharacterChannel
from .character import armature_of, character_objects
from .head_space import OBJECT, WORLD, anchor_of
from .order import CYCLES, EEVEE, Order
from .sampler import Cap


class HeadGaSCaptureChannel(bpy.types.PropertyGroup):
    """One channel of the character in the list"""

    use: bpy.props.BoolProperty(name="Use", description="Capture this channel", default=True)
    name: bpy.props.StringProperty(name="Name", description="What the avatar's channel is called")
    kind: bpy.props.EnumProperty(
        name="Kind",
        items=((KEY, "Shape Key", ""), (BONE, "Bone", ""), (PROPERTY, "Property", "")),
        options={'HIDDEN'},
    )
    owner: bpy.props.PointerProperty(type=bpy.types.Object, options={'HIDDEN'})
    path: bpy.props.StringProperty(options={'HIDDEN'})
    component: bpy.props.EnumProperty(
        name="Component", items=[(name, name, "") for name in COMPONENTS], options={'HIDDEN'}
    )
    rest: bpy.props.FloatProperty(name="Rest", description="The value of the resting face")
    low: bpy.props.FloatProperty(name="Minimum", description="As far as it goes one way; angles in radians")
    high: bpy.props.FloatProperty(
        name="Maximum", description="As far as it goes the other way; angles in radians", default=1.0
    )

    def fill(self, channel: CharacterChannel) -> None:
        """Takes over a channel."""
        self.owner = bpy.data.objects[channel.owner]
        self.name, self.kind, self.path = channel.name, channel.kind, channel.path
        self.rest, self.low, self.high = channel.rest, channel.low, channel.high
        if channel.component:
            self.component = channel.component

    def channel(self) -> CharacterChannel | None:
        """The channel; None where its object is gone."""
        if self.owner is None:
            return None
        component = self.component if self.kind == BONE else ""
        rest, low, high = (round(value, 7) for value in (self.rest, self.low, self.high))
        return CharacterChannel(self.name, self.kind, self.owner.name, self.path, component, rest, low, high)


class HeadGaSCaptureSettings(bpy.types.PropertyGroup):
    """What to capture, and how"""

    character: bpy.props.PointerProperty(
        type=bpy.types.Object,
        name="Character",
        description="The object of the head: the avatar takes its place, and cameras go around it",
        poll=lambda _self, ob: ob.type in {'MESH', 'ARMATURE'} and not ob.headgas.is_avatar,
    )
    collection: bpy.props.PointerProperty(
        type=bpy.types.Collection,
        name="Collection",
        description="What belongs to the character; empty for all that shares its topmost parent. "
        "The camera sees nothing else",
    )
    bone: bpy.props.StringProperty(
        name="Head Bone",
        description="The bone that carries the head: cameras and avatar follow it. Empty to follow the object",
    )
    front: bpy.props.EnumProperty(
        name="Face Looks Along",
        description="What is front and what is up",
        items=(
            (OBJECT, "Object's -Y", "The character's own front view; its Z is up"),
            (WORLD, "World's -Y", "As Blender's front view shows it; Z is up. For objects that were turned on import"),
        ),
    )
    channels: bpy.props.CollectionProperty(type=HeadGaSCaptureChannel)
    active: bpy.props.IntProperty(name="Active Channel", default=0, min=0, options={'HIDDEN'})
    folder: bpy.props.StringProperty(
        name="Folder", description="Where the capture is written: a new or an empty folder", subtype='DIR_PATH'
    )
    frames: bpy.props.IntProperty(
        name="Frames", description="Frames to train with", default=96, min=4, soft_max=2000
    )
    test_frames: bpy.props.IntProperty(
        name="Test Frames",
        description="Frames held out to judge the avatar; half of them combine movements that training never shows "
        "together",
        default=14,
        min=0,
        soft_max=200,
    )
    resolution: bpy.props.IntProperty(
        name="Resolution", description="Width and height in pixels", default=256, min=32, max=8192, soft_max=1024
    )
    engine: bpy.props.EnumProperty(
        name="Engine",
        description="What renders the frames, with the scene's own settings for light",
        items=((CYCLES, "Cycles", "Physical light"), (EEVEE, "EEVEE", "Quick with a graphics card")),
    )
    samples: bpy.props.IntProperty(name="Samples", description="For each pixel", default=32, min=1, soft_max=1024)
    denoise: bpy.props.BoolProperty(name="Denoise", description="Of Cycles: Open Image Denoise", default=True)
    yaw: bpy.props.FloatProperty(
        name="Yaw",
        description="How far the cameras go around the face, to either side",
        default=math.radians(35),
        min=0.0,
        max=math.pi,
        subtype='ANGLE',
    )
    pitch: bpy.props.FloatProperty(
        name="Pitch",
        description="How far the cameras go up and down",
        default=math.radians(15),
        min=0.0,
        max=math.radians(85),
        subtype='ANGLE',
    )
    field_of_view: bpy.props.FloatProperty(
        name="Field of View",
        description="Of the cameras: small as in portraits",
        default=math.radians(24),
        min=math.radians(1),
        max=math.radians(150),
        subtype='ANGLE',
    )
    distance: bpy.props.FloatProperty(
        name="Distance",
        description="From the camera to the middle of the head; 0: as far as the head needs to fill the picture",
        default=0.0,
        min=0.0,
        soft_max=5.0,
        subtype='DISTANCE',
    )
    use_action: bpy.props.BoolProperty(
        name="Include the Animation",
        description="A third of the frames show what the character does in the scene's frame range",
    )
    seed: bpy.props.IntProperty(name="Seed", description="Another seed, another set of expressions", default=0, min=0)
    anchor: bpy.props.FloatVectorProperty(size=16, options={'HIDDEN'})  # head space to what it follows, row by row

    @property
    def target(self) -> Path | None:
        """The folder, if one is chosen."""
        return Path(bpy.path.abspath(self.folder)).resolve() if self.folder else None

    def objects(self) -> list[bpy.types.Object]:
        """The character's; none while none is chosen."""
        return character_objects(self.character, self.collection) if self.character else []

    def used_channels(self) -> list[CharacterChannel]:
        """Those that are switched on."""
        return [channel for row in self.channels if row.use and (channel := row.channel()) is not None]

    def add(self, channels: Iterable[CharacterChannel]) -> int:
        """Appends channels that the list lacks; how many."""
        known, added = {row.name for row in self.channels}, 0
        for channel in channels:
            if channel.name not in known:
                self.channels.add().fill(channel)
                known.add(channel.name)
                added += 1
        return added


def order_of(settings: HeadGaSCaptureSettings, scene: bpy.types.Scene) -> Order:
    """The order that the settings are.

    Raises:
        HeadGaSError: something is missing.
    """
    head = settings.character
    if head is None:
        raise HeadGaSError("No character is chosen.", "Choose the object of its head.")
    channels = settings.used_channels()
    if not channels:
        raise HeadGaSError("No channel is chosen.", "Press Find Channels, or add bones or properties.")
    names = [channel.name for channel in channels]
    if twice := {name for name in names if names.count(name) > 1}:
        raise HeadGaSError(f"Several channels are called {', '.join(sorted(twice))}.", "Rename them in the list.")
    bone = settings.bone if armature_of(head) is not None else ""
    anchor = anchor_of(head, bone, settings.front)
    return Order(
        head=head.name,
        channels=tuple(channels),
        anchor=tuple(tuple(row) for row in anchor.tolist()),
        collection=settings.collection.name if settings.collection else "",
        bone=bone,
        frames=settings.frames,
        test_frames=settings.test_frames,
        resolution=settings.resolution,
        engine=settings.engine,
        samples=settings.samples,
        denoise=settings.denoise,
        seed=settings.seed,
        cap=Cap(round(math.degrees(settings.yaw), 4), round(math.degrees(settings.pitch), 4)),
        field_of_view=round(math.degrees(settings.field_of_view), 4),
        distance=settings.distance,
        action=(float(scene.frame_start), float(scene.frame_end)) if settings.use_action else None,
        scripts=not bpy.app.autoexec_fail,
    )


def anchor_matrix(settings: HeadGaSCaptureSettings) -> np.ndarray:
    """Head space to what it follows [4,4], as the last capture had it; as the settings say where there was none."""
    stored = np.array(settings.anchor).reshape(4, 4)
    return stored if stored[3, 3] == 1.0 else anchor_of(settings.character, settings.bone, settings.front)


def register_settings() -> None:
    """Adds `Scene.headgas_capture`."""
    bpy.types.Scene.headgas_capture = bpy.props.PointerProperty(type=HeadGaSCaptureSettings)


def unregister_settings() -> None:
    """Removes it."""
    del bpy.types.Scene.headgas_capture
