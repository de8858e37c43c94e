# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drivers on an avatar's channels: ours, which their variables' names tell, and the user's, which are left alone."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import bpy

from ..core.errors import HeadGaSError

# What the variables of our drivers are called. Names of variables survive saving, linking, appending and undo.
MARK = "headgas_"
_KEY_PATH = re.compile(r'^(shape_keys\.)?key_blocks\["((?:[^"\\]|\\.)*)"\]\.value$')


@dataclass(frozen=True)
class Variable:
    """What a driver listens to."""

    name: str  # in the expression, without MARK
    target: bpy.types.ID
    path: str = ""  # of a property; "" for a component of a transform
    bone: str = ""
    component: str = 'ROT_X'  # where `path` is "": a DriverTarget.transform_type
    rotation_mode: str = 'AUTO'


@dataclass(frozen=True)
class State:
    """How the drivers that we made on an avatar are."""

    driven: list[str]  # the channels that have one
    gone: dict[str, list[str]]  # what they listen to and no longer find, with the channels that this stops
    stopped: list[str]  # channels whose driver finds everything, but Blender has given it up after it once did not


def key_path(name: str) -> str:
    """The data path of a shape key's value in its Key datablock."""
    return f'key_blocks["{bpy.utils.escape_identifier(name)}"].value'


def source_path(name: str) -> str:
    """The data path of a shape key's value in its mesh.

    Drivers listen to meshes, not to their Key datablocks: Blender loses a driver's Key when it links or appends the
    driver, and when it opens a file whose driver listens to a linked one (measured with 4.2, 4.5, 5.0, 5.2).
    """
    return f"shape_keys.{key_path(name)}"


def key_of(path: str) -> str | None:
    """The shape key that a data path leads to, from its Key datablock or its mesh; None where it leads elsewhere."""
    found = _KEY_PATH.match(path)
    return bpy.utils.unescape_identifier(found[2]) if found else None


def drivers(avatar: bpy.types.Object) -> Iterator[tuple[str, bpy.types.FCurve]]:
    """The driven channels of an avatar, with their drivers."""
    keys = avatar.data.shape_keys
    if keys is None or keys.animation_data is None:
        return
    for curve in keys.animation_data.drivers:
        channel = key_of(curve.data_path)
        if channel is not None and curve.driver is not None:
            yield channel, curve


def is_ours(curve: bpy.types.FCurve) -> bool:
    """Whether we made a driver."""
    return any(variable.name.startswith(MARK) for variable in curve.driver.variables)


def targets(curve: bpy.types.FCurve) -> Iterator[tuple[bpy.types.DriverVariable, bpy.types.DriverTarget]]:
    """What a driver listens to, variable by variable."""
    for variable in curve.driver.variables:
        for target in variable.targets:
            yield variable, target


def drive(avatar: bpy.types.Object, channel: str, expression: str, variables: Iterable[Variable]) -> None:
    """Makes a driver, in place of the one that the channel has. In the expression our variables bear MARK."""
    keys = avatar.data.shape_keys
    keys.driver_remove(key_path(channel))
    driver = keys.driver_add(key_path(channel)).driver
    driver.type = 'SCRIPTED'
    for wanted in variables:
        variable = driver.variables.new()
        variable.name = MARK + wanted.name
        variable.type = 'SINGLE_PROP' if wanted.path else 'TRANSFORMS'
        target = variable.targets[0]
        if wanted.path:
            target.id_type = wanted.target.id_type
        target.id = wanted.target
        if wanted.path:
            target.data_path = wanted.path
        else:
            target.bone_target, target.transform_type = wanted.bone, wanted.component
            target.transform_space, target.rotation_mode = 'LOCAL_SPACE', wanted.rotation_mode
    driver.expression = expression


def remove(avatar: bpy.types.Object, channels: Iterable[str]) -> None:
    """Removes the drivers of these channels, which keep the values that they have."""
    keys = avatar.data.shape_keys
    for channel in list(channels):
        value = keys.key_blocks[channel].value if channel in keys.key_blocks else None
        keys.driver_remove(key_path(channel))
        if value is not None:
            keys.key_blocks[channel].value = value


def ours(avatar: bpy.types.Object) -> list[str]:
    """The channels that a driver of ours moves."""
    return [channel for channel, curve in drivers(avatar) if is_ours(curve)]


def state(avatar: bpy.types.Object) -> State:
    """How our drivers are; quick enough for a panel that is drawn again and again."""
    found = State([], {}, [])
    for channel, curve in drivers(avatar):
        if is_ours(curve):
            found.driven.append(channel)
            missing = [what for pair in targets(curve) if (what := _missing(*pair))]
            for what in missing:
                found.gone.setdefault(what, []).append(channel)
            if not missing and not curve.driver.is_valid:
                found.stopped.append(channel)
    return found


def source_meshes(avatar: bpy.types.Object) -> list[bpy.types.Mesh]:
    """The meshes of other characters that our drivers listen to."""
    ids = [target.id for _, curve in drivers(avatar) if is_ours(curve) for _, target in targets(curve)]
    return list(dict.fromkeys(found for found in ids if isinstance(found, bpy.types.Mesh)))


def make_local(avatar: bpy.types.Object) -> bool:
    """Lets an avatar's channels have drivers, if they can't yet; says whether something had to be done.

    Blender keeps the drivers of a library override until the file is closed, not longer: the control mesh of an
    overridden avatar becomes a copy of its own.

    Raises:
        HeadGaSError: the avatar is linked, and no override.
    """
    mesh = avatar.data
    if mesh.library is None and mesh.override_library is None:
        return False
    if avatar.library is not None:
        raise HeadGaSError(
            f"The avatar '{avatar.name}' is linked from {avatar.library.filepath}: its channels belong to that file",
            "Make a library override of it first, or make the drivers in that file",
        )
    copy = mesh.copy()
    avatar.data = copy if copy.override_library is None else copy.make_local(clear_liboverride=True)
    return True


def _missing(variable: bpy.types.DriverVariable, target: bpy.types.DriverTarget) -> str:
    """What a target names and is not there; "" where all is well."""
    source = target.id
    if source is None:
        return _of(target) or "an object"
    if variable.type == 'SINGLE_PROP':
        key = key_of(target.data_path)
        if key is not None and isinstance(source, bpy.types.Mesh):
            there = source.shape_keys is not None and key in source.shape_keys.key_blocks
            return "" if there else f"'{key}' of '{source.name}'"
        try:
            source.path_resolve(target.data_path)
        except ValueError:
            return f"{target.data_path} of '{source.name}'"
        return ""
    if target.bone_target and (source.pose is None or target.bone_target not in source.pose.bones):
        return f"the bone '{target.bone_target}' of '{source.name}'"
    return ""


def _of(target: bpy.types.DriverTarget) -> str:
    """What a target named whose object was deleted."""
    key = key_of(target.data_path)
    if key is not None:
        return f"'{key}', with its mesh,"
    return f"'{target.bone_target}', with its armature," if target.bone_target else ""
