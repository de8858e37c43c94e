# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The channels of an avatar as an animator handles them: where each is set, keyed and driven, and what it rests at."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import bpy

from ..core.errors import HeadGaSError
from .actions import fcurves
from .drivers import key_path
from .evaluated import avatar_channels

_BONE_PROPERTY = re.compile(r'pose\.bones\["((?:[^"\\]|\\.)+)"\](\["(?:[^"\\]|\\.)+"\])')


@dataclass(frozen=True, eq=False)
class Channel:
    """One channel and its handle: the shape key's value, or the bone's property that the value follows."""

    key: bpy.types.ShapeKey
    holder: bpy.types.ShapeKey | bpy.types.PoseBone
    attribute: str  # of the holder: "value", or '["name"]'
    is_free: bool  # nothing else drives it, and it can be edited

    @property
    def name(self) -> str:
        return self.key.name

    @property
    def value(self) -> float:
        return self.holder.path_resolve(self.attribute)

    def set(self, value: float) -> None:
        """Moves the handle, within the slider's limits."""
        if isinstance(self.holder, bpy.types.ShapeKey):
            self.holder.value = value  # Blender keeps it within the slider
            return
        within = min(max(value, self.key.slider_min), self.key.slider_max)
        self.holder[bpy.utils.unescape_identifier(self.attribute[2:-2])] = within
        self.holder.id_data.update_tag()

    @property
    def owner(self) -> bpy.types.ID:
        """The datablock that is animated."""
        return self.holder.id_data

    @property
    def path(self) -> str:
        """The path of the value in `owner`."""
        base = self.holder.path_from_id()
        return base + self.attribute if self.attribute.startswith("[") else f"{base}.{self.attribute}"


def channel_of(key: bpy.types.ShapeKey) -> Channel:
    """The channel that a shape key is. Needs no file, and is quick enough for every row of every redraw."""
    animation = key.id_data.animation_data
    curve = animation and animation.drivers.find(key_path(key.name))
    handle = followed(curve.driver) if curve else None
    holder, name = handle or (key, "value")
    return Channel(key, holder, name, (curve is None or handle is not None) and holder.id_data.is_editable)


def channels_of(avatar: bpy.types.Object) -> list[Channel]:
    """All of an avatar's channels; the first shape key is the mesh at rest."""
    keys = keys_of(avatar)
    return [channel_of(key) for key in list(keys.key_blocks)[1:]] if keys else []


def keys_of(avatar: bpy.types.Object) -> bpy.types.Key | None:
    """The shape keys; none where the user has removed them, or made something else of the mesh."""
    return avatar.data.shape_keys if avatar.type == 'MESH' else None


def followed(driver: bpy.types.Driver) -> tuple[bpy.types.PoseBone, str] | None:
    """The bone and its custom property that a driver does nothing but follow."""
    if driver.type != 'AVERAGE' or len(driver.variables) != 1 or driver.variables[0].type != 'SINGLE_PROP':
        return None
    target = driver.variables[0].targets[0]
    found = _BONE_PROPERTY.fullmatch(target.data_path)
    if found is None or target.id is None or getattr(target.id, "pose", None) is None:
        return None
    bone = target.id.pose.bones.get(bpy.utils.unescape_identifier(found[1]))
    value = bone.get(bpy.utils.unescape_identifier(found[2][2:-2])) if bone else None
    return (bone, found[2]) if isinstance(value, float) else None


def neutral_values(avatar: bpy.types.Object) -> dict[str, float]:
    """What channels rest at, by name."""
    channels = avatar_channels(avatar)
    return dict(zip(channels.names, channels.neutral.tolist(), strict=True))


def seen_ranges(avatar: bpy.types.Object) -> dict[str, tuple[float, float]]:
    """The range [low, high] of each channel that training saw. None where the avatar's file or mapping is broken."""
    try:
        channels = avatar_channels(avatar)
    except HeadGaSError:
        return {}
    return dict(zip(channels.names, zip(channels.low.tolist(), channels.high.tolist(), strict=True), strict=True))


def why_not_editable(avatar: bpy.types.Object | None) -> str:
    """Why the channels cannot be set, and what to do; empty where they can."""
    if avatar is None:
        return "Select an avatar first: its control mesh or its armature"
    keys = keys_of(avatar)
    if keys is None:
        return "The control mesh has lost its shape keys: import the avatar again"
    if not keys.use_relative:
        return "The shape keys are absolute: switch on Relative"
    if avatar.library is not None:
        return "The avatar is linked: make a library override of it"
    if not keys.is_editable:
        return "The channels are still linked: press Make Channels Editable"
    return ""


def curves_of(avatar: bpy.types.Object) -> dict[tuple[bpy.types.ID, str], bpy.types.FCurve]:
    """The F-curves of everything that channels are set by, by datablock and path."""
    return {(owner, curve.data_path): curve for owner in _owners(avatar) for curve in fcurves(owner)}


def action_time(owner: bpy.types.ID, scene: bpy.types.Scene) -> float:
    """The current frame on the F-curves of a datablock: another than the scene's while an NLA strip is tweaked."""
    animation = owner.animation_data
    if animation is not None and animation.use_tweak_mode:
        return animation.nla_tweak_strip_time_to_scene(scene.frame_current_final, invert=True)
    return scene.frame_current_final


def _owners(avatar: bpy.types.Object) -> Iterator[bpy.types.ID]:
    yield avatar.data.shape_keys
    rigs = {channel.owner for channel in channels_of(avatar)} - {avatar.data.shape_keys}
    yield from rigs
