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
from ..core.errors import HeadGaSError
from .settings import avatar_path


def posed_avatars(depsgraph: bpy.types.Depsgraph) -> list[PosedAvatar]:
    """Every visible avatar of an evaluated scene, instances included."""
    return [
        PosedAvatar(avatar_path(obj), expression_of(obj, depsgraph), transform)
        for obj, transform in _visible(depsgraph)
    ]


def expression_of(obj: bpy.types.Object, depsgraph: bpy.types.Depsgraph) -> np.ndarray:
    """The expression [B] float32 that the control mesh `obj` (an original) has in `depsgraph`."""
    keys = obj.data.shape_keys
    if keys is None or not keys.use_relative:
        raise HeadGaSError(
            f"The control mesh '{obj.name}' has no relative shape keys",
            "Import the avatar again, or set Relative",
        )
    blocks = keys.evaluated_get(depsgraph).key_blocks
    values, muted = np.empty(len(blocks), np.float32), np.empty(len(blocks), bool)
    blocks.foreach_get("value", values)
    blocks.foreach_get("mute", muted)
    names = [block.name for block in blocks][1:]  # the first is the mesh at rest; its value is 0 in 4.x and 1 in 5.x
    space = header_of(avatar_path(obj)).expression_space
    silent = frozenset(name for name, is_muted in zip(names, muted[1:], strict=True) if is_muted)
    return space.expression(dict(zip(names, values[1:].tolist(), strict=True)), silent)


def header_of(path: Path) -> AvatarHeader:
    """The header of an avatar's file, read again only when the file has changed."""
    try:
        status = path.stat()
    except OSError:
        return read_header(path)  # says what is wrong
    return _cached_header(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=32)
def _cached_header(path: Path, _changed: int, _size: int) -> AvatarHeader:
    return read_header(path)


def _visible(depsgraph: bpy.types.Depsgraph) -> Iterator[tuple[bpy.types.Object, np.ndarray]]:
    """The visible control meshes (originals) and their matrices to the world [4,4], metres."""
    for instance in depsgraph.object_instances:
        original = instance.object.original
        if instance.show_self and original.type == 'MESH' and original.headgas.is_avatar:
            yield original, np.array(instance.matrix_world, np.float64)
