# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What image files say about the avatars that they show: enough to make the picture again."""

import hashlib
import json
from functools import lru_cache
from pathlib import Path

import bpy

from .. import client
from ..client.protocol import VERSION
from ..rig import header_of
from .shots import Shot


def stamp(engine: bpy.types.RenderEngine, shot: Shot) -> None:
    """Adds the programs' versions and, for each avatar, its file, preset, expression and frame to the result.

    Of a blurred frame the expression is that of the moment in the middle.
    """
    moment = shot.moments[len(shot.moments) // 2]
    backend = client.running()
    facts = backend.facts if backend else {}
    programs = {"extension": VERSION, "backend": facts.get("version"), "torch": facts.get("torch")}
    fields = {"HeadGaS": programs | {"device": facts.get("device"), "frame": shot.frame}}
    for name, avatar in zip(moment.names, moment.avatars, strict=True):
        header = header_of(avatar.path)
        values = [round(float(value), 6) for value in avatar.expression]
        fields[f"HeadGaS {name}"] = {
            "file": avatar.path.name,
            "sha256": _digest(avatar.path),
            "preset": header.preset,
            "expression": dict(zip(header.expression_space.names, values, strict=True)),
        }
    result = engine.get_result()
    for key, value in fields.items():
        result.stamp_data_add_field(key, json.dumps(value, ensure_ascii=False))


def _digest(path: Path) -> str:
    status = path.stat()
    return _known_digest(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=256)
def _known_digest(path: Path, _changed: int, _size: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
