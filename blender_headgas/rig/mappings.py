# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The mapping of an avatar: a text of the .blend file, so that it is linked and appended with the avatar."""

from dataclasses import dataclass

import bpy

from ..core.errors import HeadGaSError
from ..core.mapping import Mapping, mapping_text, parse_mapping
from .evaluated import header_of
from .settings import avatar_path


@dataclass(frozen=True)
class Channel:
    """What a slider means."""

    neutral: float
    high: float  # the largest value that the avatar has learnt


def mapping_of(avatar: bpy.types.Object) -> Mapping | None:
    """The avatar's mapping; None where its channels are its parameters."""
    text = avatar.headgas.mapping
    return None if text is None else parse_mapping(text.as_string(), f"The text '{text.name}'")


def channels_of(avatar: bpy.types.Object) -> dict[str, Channel]:
    """The channels that the avatar listens to: its parameters, or what its mapping takes, which rests at 0."""
    mapping = mapping_of(avatar)
    if mapping is not None:
        return {name: Channel(0.0, 1.0) for name in mapping.names_in}
    space = header_of(avatar_path(avatar)).expression_space
    return {
        name: Channel(float(neutral), float(high))
        for name, neutral, high in zip(space.names, space.neutral, space.high, strict=True)
    }


def set_mapping(avatar: bpy.types.Object, mapping: Mapping, name: str) -> list[str]:
    """Gives an avatar a mapping, as a text of that name, and the channels that it lacks; returns these.

    Channels that the avatar has keep their values, keys and drivers.

    Raises:
        HeadGaSError: the mapping is for another avatar.
    """
    names = header_of(avatar_path(avatar)).expression_space.names
    if not set(mapping.names_out) & set(names):
        raise HeadGaSError(
            f"The mapping makes {_some(mapping.names_out)}; the avatar '{avatar.name}' has {_some(names)}: "
            "they have nothing in common",
            "Choose a mapping that was made for this avatar's parameters",
        )
    text = bpy.data.texts.new(name)
    text.from_string(mapping_text(mapping))
    avatar.headgas.mapping = text
    keys = avatar.data.shape_keys.key_blocks
    new = [channel for channel in mapping.names_in if channel not in keys]
    for channel in new:
        avatar.shape_key_add(name=channel, from_mix=False).value = 0.0  # Blender 5 makes them with 1
    return new


def _some(names: tuple[str, ...], most: int = 3) -> str:
    return ", ".join(names[:most]) + (" …" if len(names) > most else "") if names else "no parameters"
