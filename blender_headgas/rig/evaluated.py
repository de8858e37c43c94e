# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one place that says how an avatar looks at one moment. Only evaluated data are right inside a render."""

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import bpy
import numpy as np

from ..client.backend import PosedAvatar
from ..core.checkpoint import AvatarHeader, read_header
from ..core.controls import Channels, Controls, channels_of, connect, unused_outputs
from ..core.errors import HeadGaSError
from ..core.expressions import ExpressionSpace
from ..core.expressions import beyond_seen as parameters_beyond_seen
from ..core.mapping import Mapping, parse_mapping
from ..core.messages import listed
from .bones import bone_pose
from .settings import avatar_path


def posed_avatars(depsgraph: bpy.types.Depsgraph) -> list[PosedAvatar]:
    """Every visible avatar of an evaluated scene, instances included."""
    return [
        PosedAvatar(avatar_path(obj), expression_of(obj, depsgraph), transform)
        for obj, _, transform in visible_avatars(depsgraph)
    ]


def visible_avatars(
    depsgraph: bpy.types.Depsgraph,
) -> Iterator[tuple[bpy.types.Object, bpy.types.Object, np.ndarray]]:
    """The visible control meshes, what makes each visible (itself, or what instances it), and their matrices to the
    world [4,4], metres; the objects are originals."""
    for instance in depsgraph.object_instances:
        original = instance.object.original
        if instance.show_self and original.type == 'MESH' and original.headgas.is_avatar:
            owner = instance.parent.original if instance.is_instance else original
            yield original, owner, np.array(instance.matrix_world, np.float64)


def expression_of(obj: bpy.types.Object, depsgraph: bpy.types.Depsgraph) -> np.ndarray:
    """The expression [B] float32 that the control mesh `obj` (an original) has in `depsgraph`.

    A key's value counts whole: vertex groups and ranges limit what it does to the mesh, which no avatar sees.

    Raises:
        HeadGaSError: the avatar's file, its mapping or its shape keys are not what they must be.
    """
    return expression_in(_space_of(obj), obj, depsgraph)


def expression_in(space: ExpressionSpace, obj: bpy.types.Object, depsgraph: bpy.types.Depsgraph) -> np.ndarray:
    """`expression_of` where the avatar's space is known already."""
    blocks = _relative_keys(obj).evaluated_get(depsgraph).key_blocks
    values, muted = np.empty(len(blocks), np.float32), np.empty(len(blocks), bool)
    blocks.foreach_get("value", values)
    blocks.foreach_get("mute", muted)
    controls = _controls_of(space, obj, blocks)
    # the first is the mesh at rest; its value is 0 in 4.x and 1 in 5.x
    return controls.expression(values[1:], muted[1:], bone_pose(obj, depsgraph))


def beyond_seen(obj: bpy.types.Object, depsgraph: bpy.types.Depsgraph) -> list[str]:
    """The parameters that are beyond what training saw of them; none where `problems` has something to say."""
    try:
        expression = expression_of(obj, depsgraph)
    except HeadGaSError:
        return []
    return parameters_beyond_seen(_space_of(obj), expression)


def problems(obj: bpy.types.Object) -> list[str]:
    """What is wrong with the control mesh `obj`, and what of its mapping does nothing, for a panel to show."""
    try:
        space, mapping = _space_of(obj), mapping_of(obj)
        _controls_of(space, obj, _relative_keys(obj).key_blocks)
    except HeadGaSError as error:
        return [str(error)]
    unused = [] if mapping is None else unused_outputs(space, mapping)
    return [f"The mapping says something about {listed(unused)}, which the avatar does not have"] if unused else []


def avatar_channels(obj: bpy.types.Object) -> Channels:
    """The channels that the control mesh `obj` ought to have, with their neutral values and seen ranges.

    Raises:
        HeadGaSError: the avatar's file or its mapping is not what it must be.
    """
    return channels_of(_space_of(obj), mapping_of(obj))


def mapping_of(obj: bpy.types.Object) -> Mapping | None:
    """The mapping of the control mesh `obj` from its channels to the avatar's parameters, where it has one.

    Raises:
        HeadGaSError: its text is no mapping.
    """
    text = obj.headgas.mapping
    if text is None:
        return None
    content = text.as_string()
    known = _parsed.get(text.name_full)
    if known is None or known[0] != content:  # cheaper than a hash of 100 kB at every frame
        known = _parsed[text.name_full] = content, parse_mapping(content, f"The text '{text.name}'")
    return known[1]


def header_of(path: Path) -> AvatarHeader:
    """The header of an avatar's file, read again only when the file has changed."""
    return header_and_time(path)[0]


def header_and_time(path: Path) -> tuple[AvatarHeader, int]:
    """`header_of`, and when the file was changed, in nanoseconds."""
    try:
        status = path.stat()
    except OSError:
        return read_header(path), 0  # says what is wrong
    return _cached_header(path, status.st_mtime_ns, status.st_size), status.st_mtime_ns


def _relative_keys(obj: bpy.types.Object) -> bpy.types.Key:
    keys = obj.data.shape_keys
    if keys is None or not keys.use_relative:
        raise HeadGaSError(
            f"The control mesh '{obj.name}' has no relative shape keys",
            "Import the avatar again, or set Relative",
        )
    return keys


def _space_of(obj: bpy.types.Object) -> ExpressionSpace:
    return header_of(avatar_path(obj)).expression_space


def _controls_of(
    space: ExpressionSpace, obj: bpy.types.Object, blocks: "bpy.types.bpy_prop_collection[bpy.types.ShapeKey]"
) -> Controls:
    """Made again only when the file, the mapping or the keys' names or order have changed."""
    return _connected(space, mapping_of(obj), tuple(blocks.keys()[1:]))


# Spaces and mappings are equal only to themselves, so these caches know them by identity

_MANY = 256  # avatars in one scene
_parsed: dict[str, tuple[str, Mapping]] = {}  # by a text's full name: what it held when it was parsed


@lru_cache(maxsize=_MANY)
def _cached_header(path: Path, _changed: int, _size: int) -> AvatarHeader:
    return read_header(path)


@lru_cache(maxsize=_MANY)
def _connected(space: ExpressionSpace, mapping: Mapping | None, keys: tuple[str, ...]) -> Controls:
    return connect(space, mapping, keys)
