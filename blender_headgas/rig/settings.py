# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an object knows about its avatar, and where the avatar's file is."""

import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import bpy

from ..core.errors import HeadGaSError


def _changed(settings: bpy.types.PropertyGroup, _context: bpy.types.Context) -> None:
    """Blender does not evaluate an object by itself for what an extension has added to it."""
    settings.id_data.update_tag()


class HeadGaSAvatarSettings(bpy.types.PropertyGroup):
    """The link from a control mesh to its avatar."""

    is_avatar: bpy.props.BoolProperty(
        name="Is Avatar", description="This object is the control mesh of an avatar", default=False, options={'HIDDEN'}
    )
    is_revealed: bpy.props.BoolProperty(
        name="Is Revealed",
        description="This control mesh is to be hidden again, as soon as avatars are drawn again",
        options={'HIDDEN'},
    )
    filepath: bpy.props.StringProperty(
        name="Avatar",
        description="The trained avatar that this control mesh drives",
        subtype='FILE_PATH',
        options={'ANIMATABLE'} | ({'PATH_SUPPORTS_BLEND_RELATIVE'} if bpy.app.version >= (4, 5, 0) else set()),
        override={'LIBRARY_OVERRIDABLE'},
        update=_changed,
    )
    mapping: bpy.props.PointerProperty(
        type=bpy.types.Text,
        name="Mapping",
        description="How the channels become the avatar's parameters; empty where they are its parameters",
        override={'LIBRARY_OVERRIDABLE'},
        update=_changed,
    )


def register_settings() -> None:
    """Adds `Object.headgas`."""
    bpy.types.Object.headgas = bpy.props.PointerProperty(
        type=HeadGaSAvatarSettings, override={'LIBRARY_OVERRIDABLE'}
    )


def unregister_settings() -> None:
    """Removes `Object.headgas`."""
    del bpy.types.Object.headgas


def avatar_of(obj: bpy.types.Object | None) -> bpy.types.Object | None:
    """The control mesh that an object is, or that hangs on it: selecting either of the two means the avatar."""
    if obj is None or obj.headgas.is_avatar:
        return obj
    return next((child for child in obj.children if child.headgas.is_avatar), None)


def avatars_in(scene: bpy.types.Scene) -> Iterator[bpy.types.Object]:
    """The control meshes of a scene."""
    yield from (obj for obj in scene.objects if obj.type == 'MESH' and obj.headgas.is_avatar)


def avatar_path(obj: bpy.types.Object) -> Path:
    """The absolute path of the avatar's file; a relative one counts from the .blend file that holds the object."""
    stored = obj.headgas.filepath
    if not stored:
        raise HeadGaSError(
            f"The avatar '{obj.name}' has no file", "Choose its avatar.safetensors in the object's HeadGaS panel"
        )
    library = obj.library
    override = obj.override_library
    if override and override.reference and override.reference.headgas.filepath == stored:
        library = override.reference.library
    if stored.startswith("//") and library is None and not bpy.data.filepath:
        raise HeadGaSError(
            f"The avatar '{obj.name}' has the relative path {stored}, but the .blend file has never been saved",
            "Save the .blend file, or choose the avatar again",
        )
    # not resolved: that looks at each folder on the way, at every redraw
    return _path(os.path.abspath(bpy.path.abspath(stored, library=library)))


_path = lru_cache(maxsize=256)(Path)  # making one takes longer than all the rest
