# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures in panels: files, and the curves of trainings. Blender knows them as icons."""

from collections.abc import Sequence
from pathlib import Path

import bpy.utils.previews

from ..core.curve_picture import SIZE, curve_picture

_known: bpy.utils.previews.ImagePreviewCollection | None = None
_stamps: dict[str, int] = {}  # what a picture shows: a file's time, or the length of a curve


def file_icon(path: Path) -> int:
    """The icon of a picture's file, as it is now; 0 where there is none, and without a window."""
    try:
        stamp = path.stat().st_mtime_ns
    except OSError:
        return 0
    name, known = str(path), _collection()
    if name not in known:
        known.load(name, name, 'IMAGE')
    elif _stamps.get(name) != stamp:
        known[name].reload()
    _stamps[name] = stamp
    return known[name].icon_id


def curve_icon(name: str, seconds: Sequence[float], values: Sequence[float]) -> int:
    """The icon of a curve under a name of its own, drawn again when it has grown by a twentieth; 0 as above."""
    if len(values) < 2:
        return 0
    known, drawn = _collection(), _stamps.get(name, 0)
    preview = known.get(name) or known.new(name)
    if not drawn or not drawn <= len(values) <= drawn + drawn // 20:
        preview.image_size = (SIZE, SIZE)
        preview.image_pixels_float.foreach_set(curve_picture(seconds, values).ravel())
        _stamps[name] = len(values)
    return preview.icon_id


def close() -> None:
    """Gives all pictures back."""
    global _known  # noqa: PLW0603 - the one registry of the process
    if _known is not None:
        bpy.utils.previews.remove(_known)
        _known = None
    _stamps.clear()


def _collection() -> bpy.utils.previews.ImagePreviewCollection:
    global _known  # noqa: PLW0603
    if _known is None:
        _known = bpy.utils.previews.new()
    return _known
