# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds a character's channels: free shape keys, and the bones and properties that its drivers listen to."""

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

import bpy

from .channels import BONE, COMPONENTS, KEY, PROPERTY, CharacterChannel, free_keys, is_driven
from .character import character_objects

_TURN, _MOVE = math.radians(20.0), 0.02  # radians and metres either way, where nothing says how far a bone goes
_WIDE = 10.0  # channels of avatars go no farther
_PROPERTIES = {"location": "LOC", "rotation_euler": "ROT", "scale": "SCALE"}
_BONE_CURVE = re.compile(r'^pose\.bones\["((?:[^"\\]|\\.)+)"\]')


def found_channels(head: bpy.types.Object, collection: bpy.types.Collection | None = None) -> list[CharacterChannel]:
    """The free shape keys of a character's meshes, and what sets the driven ones: properties and bones."""
    found: dict[str, CharacterChannel] = {}
    listened: dict[tuple[str, str, str], None] = {}
    objects = character_objects(head, collection)
    for ob in objects:
        for key in free_keys(ob):
            found.setdefault(key.name, key_channel(ob, key))
        listened.update(dict.fromkeys(_listened_to(ob)))
    for owner, path, component in listened:
        ob = bpy.data.objects[owner]
        channel = bone_channel(ob, path, component) if component else property_channel(ob, path)
        if channel is not None:
            name = channel.name if channel.name not in found else f"{channel.name} {len(found)}"
            found[name] = replace(channel, name=name)
    return list(found.values())


def key_channel(ob: bpy.types.Object, key: bpy.types.ShapeKey) -> CharacterChannel:
    """A shape key between its slider's ends; at rest it is zero, or as near to it as they allow."""
    low, high = key.slider_min, key.slider_max
    return CharacterChannel(key.name, KEY, ob.name, key.name, rest=min(max(0.0, low), high), low=low, high=high)


def bone_channel(armature: bpy.types.Object, bone: str, component: str) -> CharacterChannel | None:
    """One component of a bone's transform, within its limits where it has a constraint for them; None where there is
    no such bone."""
    posed = armature.pose.bones.get(bone) if armature.pose is not None else None
    if posed is None:
        return None
    axis, kind = component[-1].lower(), component[:3]
    if kind == "ROT":
        rest, low, high = 0.0, -_TURN, _TURN
    elif kind == "LOC":
        rest, low, high = 0.0, -_MOVE, _MOVE
    else:
        rest, low, high = 1.0, 0.8, 1.2
    for constraint in posed.constraints:
        limits = {"ROT": "LIMIT_ROTATION", "LOC": "LIMIT_LOCATION"}.get(kind)
        if constraint.type != limits or constraint.owner_space != "LOCAL":
            continue
        if kind == "ROT" and getattr(constraint, f"use_limit_{axis}"):
            low, high = getattr(constraint, f"min_{axis}"), getattr(constraint, f"max_{axis}")
        elif kind == "LOC":
            low = getattr(constraint, f"min_{axis}") if getattr(constraint, f"use_min_{axis}") else low
            high = getattr(constraint, f"max_{axis}") if getattr(constraint, f"use_max_{axis}") else high
    name = f"{bone} {'turn' if kind == 'ROT' else 'move' if kind == 'LOC' else 'size'} {component[-1]}"
    return CharacterChannel(name, BONE, armature.name, bone, component, rest, min(low, rest), max(high, rest))


def property_channel(ob: bpy.types.Object, path: str) -> CharacterChannel | None:
    """A number by its path from an object, within the limits of its slider; None where there is no such number."""
    holder, name = _holder(ob, path)
    if holder is None or not isinstance(holder.get(name), int | float) or is_driven(ob, path):
        return None
    ui = holder.id_properties_ui(name).as_dict() if not isinstance(holder[name], bool) else {"min": 0, "max": 1}
    low, high = (float(ui.get(f"soft_{end}", ui[end])) for end in ("min", "max"))
    if not -_WIDE <= low < high <= _WIDE:
        low, high = 0.0, 1.0  # it has no limits that would say how far it goes
    rest = min(max(float(ui.get("default", 0.0)), low), high)
    return CharacterChannel(name, PROPERTY, ob.name, path, "", rest, low, high)


def properties_of(ob: bpy.types.Object, holder: bpy.types.Object | bpy.types.PoseBone) -> list[CharacterChannel]:
    """The numbers among the custom properties of an object, or of one of its pose bones."""
    before = "" if holder == ob else holder.path_from_id()
    paths = [f'{before}["{bpy.utils.escape_identifier(name)}"]' for name in holder.keys()]
    return [channel for path in paths if (channel := property_channel(ob, path)) is not None]


def _holder(ob: bpy.types.Object, path: str) -> tuple[bpy.types.Object | bpy.types.PoseBone | None, str]:
    """What has the custom property that a path ends with, and the property's name."""
    match = re.match(r'^(.*?)\.?\["((?:[^"\\]|\\.)+)"\]$', path)
    if match is None:
        return None, ""
    try:
        holder = ob.path_resolve(match[1]) if match[1] else ob
    except ValueError:
        return None, ""
    return holder, bpy.utils.unescape_identifier(match[2])


def _listened_to(ob: bpy.types.Object) -> Iterator[tuple[str, str, str]]:
    """Object, path (or bone) and component that the drivers of a mesh's shape keys listen to."""
    keys = ob.data.shape_keys if ob.type == "MESH" else None
    if keys is None or keys.animation_data is None:
        return
    for curve in keys.animation_data.drivers:
        for variable in curve.driver.variables:
            yield from _sources(variable.type, variable.targets)


def _sources(kind: str, targets: Iterable[bpy.types.DriverTarget]) -> Iterator[tuple[str, str, str]]:
    for target in targets:
        if not isinstance(target.id, bpy.types.Object):
            continue
        if kind == "SINGLE_PROP" and target.data_path:
            bone = _BONE_CURVE.match(target.data_path)
            component = _component(target.data_path)
            if bone and component:
                yield target.id.name, bpy.utils.unescape_identifier(bone[1]), component
            else:
                yield target.id.name, target.data_path, ""
        elif kind == "TRANSFORMS" and target.bone_target and target.transform_type in COMPONENTS:
            yield target.id.name, target.bone_target, target.transform_type


def _component(path: str) -> str:
    """The component that a path to a bone's own property means: …location[0] is LOC_X; "" for others."""
    match = re.search(r"\.(location|rotation_euler|scale)\[([012])\]$", path)
    if match is None:
        return ""
    return f"{_PROPERTIES[match[1]]}_{'XYZ'[int(match[2])]}"
