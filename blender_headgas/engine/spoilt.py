# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""A scene that failed for another one's picture: neither that picture nor what its compositor writes stays as a file.

Compositors and sequencers ask for other scenes' pictures, and are told nothing of what fails there: Blender goes on
with black. A path that cannot be written ends an animation; the path of a still is fixed by then, and so are those of
the compositor's File Output nodes: their files are deleted.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import bpy
from bpy.app.handlers import persistent

from .second_scene import compositor_of


@dataclass(frozen=True)
class _Spoilt:
    """What a scene's render had before it was spoilt."""

    path: str
    frame: int
    files: dict[Path, int]  # images where its compositor writes some, and when they were last changed


_making: list[str] = []  # the scene whose frame is made, and those that are rendered for it
_spoilt: dict[str, _Spoilt] = {}  # by the names of scenes


@persistent
def begin_frame(scene: bpy.types.Scene, *_: object) -> None:
    """Before a frame is made."""
    _making.append(scene.name)


@persistent
def end_frame(scene: bpy.types.Scene, *_: object) -> None:
    """After it was made, or given up."""
    if scene.name in _making:
        del _making[_making.index(scene.name) :]


def spoil(failed: bpy.types.Scene) -> bool:
    """Sees to it that a failed frame gets into no other scene's file; whether another scene wants it."""
    if not _making or _making[0] in (failed.name, *_spoilt):
        return bool(_making) and _making[0] != failed.name
    scene = bpy.data.scenes[_making[0]]
    _spoilt[scene.name] = _Spoilt(scene.render.filepath, scene.frame_current, _images(scene))
    scene.render.filepath = os.path.join(__file__, "HeadGaS could not render the avatars, see the console", "#")
    return True


@persistent
def delete_spoilt(scene: bpy.types.Scene, *_: object) -> None:
    """After a file was written."""
    if scene.name in _spoilt:
        path = bpy.path.abspath(_spoilt[scene.name].path)
        for name in (path, path + scene.render.file_extension):
            if os.path.isfile(name):
                os.unlink(name)


@persistent
def restore_spoilt(scene: bpy.types.Scene, *_: object) -> None:
    """When a render has ended."""
    before = _spoilt.pop(scene.name, None)
    if before is None:
        return
    scene.render.filepath = before.path
    _forget_pictures(scene)
    for path, changed in _images(scene).items():
        numbers = [int(digits) for digits in re.findall(r"\d+", path.stem)]
        if before.files.get(path) != changed and (before.frame in numbers or not numbers):  # others write other frames
            path.unlink(missing_ok=True)


def _forget_pictures(scene: bpy.types.Scene) -> None:
    """The sequencer keeps pictures of other scenes, failed ones too, until something of their strips is set."""
    editor = scene.sequence_editor
    strips = [] if editor is None else editor.strips_all if hasattr(editor, "strips_all") else editor.sequences_all
    for strip in strips:
        if strip.type == 'SCENE':
            strip.mute = strip.mute


def _images(scene: bpy.types.Scene) -> dict[Path, int]:
    """The images in the folders to which a scene's compositor writes."""
    tree = compositor_of(scene)
    folders = set(_folders(tree)) if tree else set()
    files = (path for folder in folders if folder.is_dir() for path in folder.iterdir())
    return {path: path.stat().st_mtime_ns for path in files if path.suffix.lower() in bpy.path.extensions_image}


def _folders(tree: bpy.types.NodeTree) -> Iterator[Path]:
    for node in tree.nodes:
        if node.type == 'GROUP' and node.node_tree:
            yield from _folders(node.node_tree)
        elif node.type == 'OUTPUT_FILE':
            for path in _paths(node):
                yield Path(bpy.path.abspath(path)).parent


def _paths(node: bpy.types.Node) -> list[str]:
    """What the files of a File Output node begin with."""
    if hasattr(node, "directory"):  # since 5.0
        return [os.path.join(node.directory, node.file_name)]
    return [node.base_path, *(os.path.join(node.base_path, slot.path) for slot in node.file_slots)]
