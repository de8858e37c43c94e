# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The mapping of an avatar: a text of the .blend file, so that it is linked and appended with the avatar."""

import bpy
import numpy as np

from ..core.driving import Linear, read
from ..core.errors import HeadGaSError
from ..core.mapping import Mapping, mapping_text
from . import drivers
from .evaluated import header_of
from .settings import avatar_path


def set_mapping(avatar: bpy.types.Object, mapping: Mapping, name: str) -> list[str]:
    """Gives an avatar a mapping, as a text of that name, and the channels that it lacks; returns these.

    Channels that the avatar has keep their values, keys and drivers.

    Raises:
        HeadGaSError: the mapping is for another avatar, or the avatar is linked.
    """
    names = header_of(avatar_path(avatar)).expression_space.names
    if not set(mapping.names_out) & set(names):
        raise HeadGaSError(
            f"The mapping makes {_some(mapping.names_out)}; the avatar '{avatar.name}' has {_some(names)}: "
            "they have nothing in common",
            "Choose a mapping that was made for this avatar's parameters",
        )
    drivers.make_local(avatar)
    avatar.headgas.mapping = text_of(name, mapping_text(mapping))
    keys = avatar.data.shape_keys.key_blocks
    new = [channel for channel in mapping.names_in if channel not in keys]
    for channel in new:
        avatar.shape_key_add(name=channel, from_mix=False).value = 0.0  # Blender 5 makes them with 1
    return new


def text_of(name: str, content: str) -> bpy.types.Text:
    """A text of this content; several avatars share one."""
    texts = (text for text in bpy.data.texts if text.library is None and text.as_string().strip() == content.strip())
    text = next(texts, None)
    if text is None:
        text = bpy.data.texts.new(name)
        text.from_string(content)
    return text


def clear_mapping(avatar: bpy.types.Object) -> None:
    """The channels are the avatar's own parameters again; what the mapping added stays, and does nothing."""
    avatar.headgas.mapping = None


def mapping_of_drivers(avatar: bpy.types.Object) -> Mapping:
    """What our drivers do, from a character's shape keys to the avatar's channels.

    Raises:
        HeadGaSError: there are none, they listen to two characters, or somebody made one of them more than linear.
    """
    driven: dict[str, tuple[Linear, dict[str, str]]] = {}
    for channel, curve in drivers.drivers(avatar):
        sources = _sources(curve)
        if drivers.is_ours(curve) and sources:
            driven[channel] = _linear(channel, curve, sources), sources
    if not driven:
        raise HeadGaSError(
            f"No shape key of a character drives the avatar '{avatar.name}'", "Press Map From Character first"
        )
    meshes = drivers.source_meshes(avatar)
    if len(meshes) > 1:
        raise HeadGaSError(
            f"Two characters drive the avatar: {', '.join(mesh.name for mesh in meshes)}",
            "A mapping is from one: remove the drivers of the other",
        )
    names_in = tuple(dict.fromkeys(name for _, sources in driven.values() for name in sources.values()))
    matrix = np.zeros((len(driven), len(names_in)), np.float32)
    for row, (linear, sources) in enumerate(driven.values()):
        for variable, gain in linear.gains.items():
            matrix[row, names_in.index(sources[variable])] += gain
    bias, low, high = (
        np.array([getattr(linear, field) for linear, _ in driven.values()], np.float32)
        for field in ("constant", "low", "high")
    )
    source = f"Drivers of the avatar '{avatar.name}', made for '{meshes[0].name}'" if meshes else ""
    return Mapping(names_in, tuple(driven), matrix, bias, low, high, source)


def _sources(curve: bpy.types.FCurve) -> dict[str, str]:
    """The shape keys that a driver listens to, by variable; others are left out."""
    found = {variable.name: drivers.key_of(target.data_path) for variable, target in drivers.targets(curve)}
    return {variable: key for variable, key in found.items() if key is not None}


def _linear(channel: str, curve: bpy.types.FCurve, sources: dict[str, str]) -> Linear:
    try:
        linear = read(curve.driver.expression)
    except HeadGaSError as error:
        raise HeadGaSError(f"The driver of '{channel}': {error.message}", error.hint) from None
    unknown = [variable for variable in linear.gains if variable not in sources]
    if unknown or curve.driver.type != 'SCRIPTED':
        raise HeadGaSError(
            f"The driver of '{channel}' listens to more than shape keys", "Remove it, or make it anew from the list"
        )
    return linear


def _some(names: tuple[str, ...], most: int = 3) -> str:
    return ", ".join(names[:most]) + (" …" if len(names) > most else "") if names else "no parameters"
