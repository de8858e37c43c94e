# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What makes a character's expressions: shape keys, turns and moves of bones, custom properties; set and read."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import bpy
import numpy as np
from mathutils import Euler

from ..core.errors import HeadGaSError
from .sampler import BACK

KEY, BONE, PROPERTY = "KEY", "BONE", "PROPERTY"
COMPONENTS = ("LOC_X", "LOC_Y", "LOC_Z", "ROT_X", "ROT_Y", "ROT_Z", "SCALE_X", "SCALE_Y", "SCALE_Z")
_EDGE = 1e-6  # a reach below it is none
_LAST_PART = re.compile(r'^(?:(.*)\.)?([A-Za-z_]\w*)$|^(.*?)\.?\["((?:[^"\\]|\\.)+)"\]$')


@dataclass(frozen=True)
class CharacterChannel:
    """One slider of a character and what is captured of it, in its own unit: radians, metres or a plain number."""

    name: str  # of the parameter that the avatar gets
    kind: str
    owner: str  # the object's name
    path: str  # KEY: the key's name; BONE: the bone's; PROPERTY: the path from the object
    component: str = ""  # BONE: one of COMPONENTS
    rest: float = 0.0
    low: float = 0.0
    high: float = 1.0

    @property
    def directions(self) -> tuple[str, ...]:
        """What the sampler calls the ways that it goes from rest."""
        ways = ((self.name, self.high - self.rest > _EDGE), (self.name + BACK, self.rest - self.low > _EDGE))
        return tuple(name for name, exists in ways if exists)


class Puppet:
    """A character that can be posed by its channels, and read as Blender evaluates it."""

    def __init__(self, channels: Sequence[CharacterChannel], objects: Iterable[bpy.types.Object]) -> None:
        """objects: of the character; shape keys of one name on several meshes move together.

        Raises:
            HeadGaSError: the character lacks one of them.
        """
        self.channels, self.names = list(channels), [channel.name for channel in channels]
        self.directions = [name for channel in channels for name in channel.directions]
        self.rest = np.array([channel.rest for channel in channels])
        self._same_keys: dict[str, list[bpy.types.ShapeKey]] = {}
        meshes = [ob for ob in objects if ob.type == "MESH" and ob.data.shape_keys is not None]
        for channel in channels:
            check(channel)
            if channel.kind == KEY:
                _require_shown(channel)
                keys = [blocks[channel.path] for ob in meshes if channel.path in (blocks := _free_blocks(ob))]
                self._same_keys[channel.path] = list(dict.fromkeys([_key(channel), *keys]))

    def values(self, sampled: np.ndarray) -> np.ndarray:
        """Channel values [C] of a sampled expression [D] in 0..1, a number for each of `directions`."""
        strengths = dict(zip(self.directions, sampled.tolist(), strict=True))
        return np.array([
            channel.rest
            + strengths.get(channel.name, 0.0) * (channel.high - channel.rest)
            - strengths.get(channel.name + BACK, 0.0) * (channel.rest - channel.low)
            for channel in self.channels
        ])

    def pose(self, values: np.ndarray) -> None:
        """Set every channel to its value [C]."""
        turns: dict[tuple[str, str], list[float]] = {}
        for channel, value in zip(self.channels, values.tolist(), strict=True):
            if channel.kind == KEY:
                for key in self._same_keys[channel.path]:
                    key.value = value
            elif channel.kind == PROPERTY:
                _set_property(_object(channel), channel.path, value)
            elif channel.component.startswith("ROT"):
                angles = turns.setdefault((channel.owner, channel.path), _turn(_bone(channel)))
                angles["XYZ".index(channel.component[-1])] = value
            else:
                vector = _bone(channel).location if channel.component.startswith("LOC") else _bone(channel).scale
                vector["XYZ".index(channel.component[-1])] = value
        for (owner, bone), angles in turns.items():
            _set_turn(bpy.data.objects[owner].pose.bones[bone], angles)
        bpy.context.view_layer.update()

    def read(self) -> np.ndarray:
        """Channel values [C] as Blender evaluates them, constraints and drivers included."""
        depsgraph = bpy.context.evaluated_depsgraph_get()
        return np.array([_evaluated(channel, depsgraph) for channel in self.channels])

    def owners(self) -> list[bpy.types.ID]:
        """The datablocks whose animation would undo a pose."""
        found: list[bpy.types.ID] = []
        for channel in self.channels:
            if channel.kind == KEY:
                found += [key.id_data for key in self._same_keys[channel.path]]
            else:
                found.append(_object(channel))
                if (data := _object(channel).data) is not None and channel.path.startswith("data"):
                    found.append(data)
        return list(dict.fromkeys(found))


def current_value(channel: CharacterChannel) -> float:
    """What a channel is now, as it is evaluated."""
    return _evaluated(channel, bpy.context.evaluated_depsgraph_get())


def check(channel: CharacterChannel) -> None:
    """Raises HeadGaSError where the character lacks what the channel names."""
    found = bpy.data.objects.get(channel.owner)
    what = {KEY: "shape key", BONE: "bone", PROPERTY: "property"}[channel.kind]
    if found is not None:
        try:
            if channel.kind == KEY:
                if channel.path in _blocks(found):
                    return
            elif channel.kind == BONE:
                if found.pose is not None and channel.path in found.pose.bones:
                    return
            elif isinstance(found.path_resolve(channel.path), int | float):
                return
        except ValueError:
            pass  # there is no such property
    raise HeadGaSError(
        f'"{channel.owner}" has no {what} {channel.path}, which the channel {channel.name} is about.',
        "Press Find Channels, or take it off the list.",
    )


def _require_shown(channel: CharacterChannel) -> None:
    """Raises HeadGaSError where a shape key's value changes nothing that is seen."""
    keys = _object(channel).data.shape_keys
    if not keys.use_relative:
        raise HeadGaSError(
            f'The shape keys of "{channel.owner}" are absolute: their values move nothing.',
            "Switch Relative on among its shape keys, and press Find Channels.",
        )
    if keys.key_blocks[channel.path].mute:
        raise HeadGaSError(
            f'The shape key {channel.path} of "{channel.owner}" is muted.', "Unmute it, or take it off the list."
        )


def is_driven(owner: bpy.types.ID, path: str) -> bool:
    """Whether a driver sets a property, and posing it would do nothing."""
    return owner.animation_data is not None and owner.animation_data.drivers.find(path) is not None


def free_keys(ob: bpy.types.Object) -> list[bpy.types.ShapeKey]:
    """The shape keys that can be posed: not the basis, not muted, not driven, not absolute."""
    return list(_free_blocks(ob).values())


def _free_blocks(ob: bpy.types.Object) -> dict[str, bpy.types.ShapeKey]:
    keys = ob.data.shape_keys if ob.type == "MESH" else None
    if keys is None or not keys.use_relative:
        return {}
    return {
        key.name: key for key in keys.key_blocks
        if key != keys.reference_key and not key.mute and not is_driven(keys, key.path_from_id("value"))
    }


def _blocks(ob: bpy.types.Object) -> Any:
    keys = ob.data.shape_keys if ob.type == "MESH" else None
    return keys.key_blocks if keys is not None else {}


def _object(channel: CharacterChannel) -> bpy.types.Object:
    return bpy.data.objects[channel.owner]


def _key(channel: CharacterChannel) -> bpy.types.ShapeKey:
    return _blocks(_object(channel))[channel.path]


def _bone(channel: CharacterChannel) -> bpy.types.PoseBone:
    return _object(channel).pose.bones[channel.path]


def _turn(bone: bpy.types.PoseBone) -> list[float]:
    """A bone's own rotation as XYZ Euler angles, whatever its mode."""
    if bone.rotation_mode == "QUATERNION":
        return list(bone.rotation_quaternion.to_euler("XYZ"))
    if bone.rotation_mode == "AXIS_ANGLE":
        return list(bone.matrix_basis.to_quaternion().to_euler("XYZ"))
    if bone.rotation_mode == "XYZ":
        return list(bone.rotation_euler)
    return list(bone.rotation_euler.to_quaternion().to_euler("XYZ"))


def _set_turn(bone: bpy.types.PoseBone, angles: list[float]) -> None:
    turn = Euler(angles, "XYZ")
    if bone.rotation_mode == "QUATERNION":
        bone.rotation_quaternion = turn.to_quaternion()
    elif bone.rotation_mode == "AXIS_ANGLE":
        axis, angle = turn.to_quaternion().to_axis_angle()
        bone.rotation_axis_angle = (angle, *axis)
    elif bone.rotation_mode == "XYZ":
        bone.rotation_euler = turn
    else:
        bone.rotation_euler = turn.to_quaternion().to_euler(bone.rotation_mode)


def _set_property(ob: bpy.types.Object, path: str, value: float) -> None:
    """A custom property, or one of Blender's own, by its path from an object."""
    match = _LAST_PART.match(path)
    if match is None:
        raise HeadGaSError(f"{path} is not the path of a property.", "Take it off the list of channels.")
    before, own, custom_before, custom = match.groups()
    holder = ob.path_resolve(before or custom_before) if before or custom_before else ob
    if custom is not None:
        name = bpy.utils.unescape_identifier(custom)
        holder[name] = _like(holder[name], value)
    else:
        setattr(holder, own, _like(getattr(holder, own), value))
    ob.update_tag()
    if ob.data is not None:
        ob.data.update_tag()


def _like(before: Any, value: float) -> Any:
    """A value of the property's own type."""
    return type(before)(round(value)) if isinstance(before, int) else value


def _evaluated(channel: CharacterChannel, depsgraph: bpy.types.Depsgraph) -> float:
    evaluated = _object(channel).evaluated_get(depsgraph)
    if channel.kind == KEY:
        return float(evaluated.data.shape_keys.key_blocks[channel.path].value)
    if channel.kind == PROPERTY:
        return float(evaluated.path_resolve(channel.path))
    bone = evaluated.pose.bones[channel.path]
    local = evaluated.convert_space(pose_bone=bone, matrix=bone.matrix, from_space="POSE", to_space="LOCAL")
    axis = "XYZ".index(channel.component[-1])
    if channel.component.startswith("ROT"):
        return float(local.to_euler("XYZ")[axis])
    return float((local.to_translation() if channel.component.startswith("LOC") else local.to_scale())[axis])
