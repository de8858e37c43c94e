# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps the links to avatars relative to the .blend file, wherever it is saved or appended to.

Blender remaps the paths of its own datablocks when a file is saved in another folder, or when they are appended;
custom properties are ours.
"""

import os
from collections.abc import Iterator

import bpy

_before_saving: dict[str, str] = {}  # object name -> link; to be restored when only a copy was saved
_objects = 0  # that there were when newcomers were last looked for


def relative_link(path: str, blend: str) -> str:
    """`path` as stored in the .blend file `blend`: relative, where both are on one drive."""
    if not blend:
        return path
    try:
        return "//" + os.path.relpath(path, os.path.dirname(blend)).replace("\\", "/")
    except ValueError:  # another drive on Windows
        return path


def register() -> None:
    """Starts to watch saving and appending."""
    bpy.app.handlers.save_pre.append(_relink)
    bpy.app.handlers.save_post.append(_restore_after_copy)
    if hasattr(bpy.app.handlers, "blend_import_post"):
        bpy.app.handlers.blend_import_post.append(_relink_appended)
    else:  # Blender 4.2
        bpy.app.handlers.depsgraph_update_post.append(_relink_newcomers)


def unregister() -> None:
    """Stops it."""
    if hasattr(bpy.app.handlers, "blend_import_post"):
        bpy.app.handlers.blend_import_post.remove(_relink_appended)
    else:
        bpy.app.handlers.depsgraph_update_post.remove(_relink_newcomers)
    bpy.app.handlers.save_pre.remove(_relink)
    bpy.app.handlers.save_post.remove(_restore_after_copy)


@bpy.app.handlers.persistent
def _relink(target: str, *_: object) -> None:
    _before_saving.clear()
    if not target:  # the startup file has no place that a path could be relative to
        return
    for obj in _own_avatars():
        stored = obj.headgas.filepath
        if stored.startswith("//") and not bpy.data.filepath:
            continue
        link = relative_link(bpy.path.abspath(stored), target)
        if link != stored:
            _before_saving[obj.name] = stored
            obj.headgas.filepath = link


@bpy.app.handlers.persistent
def _restore_after_copy(target: str, *_: object) -> None:
    if target != bpy.data.filepath:
        for name, link in _before_saving.items():
            bpy.data.objects[name].headgas.filepath = link
    _before_saving.clear()


@bpy.app.handlers.persistent
def _relink_appended(imported: "bpy.types.BlendImportContext", *_: object) -> None:
    sources = {item.id: item.source_library for item in imported.import_items}  # each item may be there twice
    for obj in _own_avatars():
        if sources.get(obj) is not None and obj.headgas.filepath.startswith("//"):
            path = bpy.path.abspath(obj.headgas.filepath, library=sources[obj])
            obj.headgas.filepath = relative_link(os.path.normpath(path), bpy.data.filepath)


@bpy.app.handlers.persistent
def _relink_newcomers(*_: object) -> None:
    """Blender 4.2 does not tell when it appends, but remembers where a mesh came from: where a link leads nowhere, it
    may have led somewhere from there."""
    global _objects  # noqa: PLW0603 - the one registry of the process
    if len(bpy.data.objects) == _objects:
        return
    _objects = len(bpy.data.objects)
    for obj in _own_avatars():
        link, source = obj.headgas.filepath, obj.data.library_weak_reference
        if source is None or not link.startswith("//") or os.path.isfile(bpy.path.abspath(link)):
            continue
        path = os.path.normpath(os.path.join(os.path.dirname(bpy.path.abspath(source.filepath)), link[2:]))
        if os.path.isfile(path):
            obj.headgas.filepath = relative_link(path, bpy.data.filepath)


def _own_avatars() -> Iterator[bpy.types.Object]:
    """The avatars that belong to this .blend file."""
    for obj in bpy.data.objects:
        if obj.headgas.is_avatar and obj.headgas.filepath and obj.library is None and obj.override_library is None:
            yield obj
