# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Handles for tests: the stand-in backend, and the pixels that Blender wrote."""

import json
import os
import struct
import sys
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest
from bl_ext.user_default.headgas import client

_FAKE = Path(__file__).resolve().parents[1] / "contract" / "fake_service.py"


class StandIn:
    """The stand-in backend of one test."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        self._requests = folder / "requests.jsonl"
        program = folder / ("python.bat" if os.name == "nt" else "python")
        command = f'"{sys.executable}" "{_FAKE}"'
        program.write_text(f"@{command} %*\r\n" if os.name == "nt" else f'#!/bin/sh\nexec {command} "$@"\n')
        program.chmod(0o755)
        monkeypatch.setenv("HEADGAS_PYTHON", str(program))
        monkeypatch.setenv("HEADGAS_FAKE_REQUESTS", str(self._requests))

    def misbehave(self, mode: str) -> None:
        """From now on backends start in a mode that the stand-in's source lists."""
        self._monkeypatch.setenv("HEADGAS_FAKE", mode)

    @property
    def requests(self) -> list[dict[str, Any]]:
        """The render and convert requests so far."""
        return [json.loads(line) for line in self._requests.read_text("utf-8").splitlines()]

    def asked(self, count: int) -> bool:
        """Whether there were so many already."""
        return self._requests.exists() and len(self.requests) >= count

    def stop(self) -> None:
        """Ends the backend."""
        client.stop()


def read_pixels(path: Path) -> np.ndarray:
    """The image [H,W,4] float32 in a file, row 0 on top."""
    image = bpy.data.images.load(str(path))
    width, height = image.size
    pixels = np.empty(width * height * 4, np.float32)
    image.pixels.foreach_get(pixels)
    bpy.data.images.remove(image)
    return pixels.reshape(height, width, 4)[::-1]


def render_still(path: Path) -> np.ndarray:
    """Renders the scene's frame into a file and reads it back, [H,W,4] float32, row 0 on top."""
    scene = bpy.context.scene
    scene.render.filepath = str(path)
    bpy.ops.render.render(write_still=True)
    return read_pixels(path)


def render_layers(path: Path) -> dict[str, np.ndarray]:
    """Renders the passes of all view layers into a file, and reads them back as `read_layers` does."""
    scene = bpy.context.scene
    settings = scene.render.image_settings
    if hasattr(settings, "media_type"):
        settings.media_type = 'MULTI_LAYER_IMAGE'
    if hasattr(settings, "use_exr_interleave"):
        settings.use_exr_interleave = True  # one part, as before 5.0
    settings.file_format = 'OPEN_EXR_MULTILAYER'
    settings.color_depth, settings.exr_codec = '32', 'NONE'
    scene.render.filepath = str(path)
    bpy.ops.render.render(write_still=True)
    return read_layers(path)


def read_layers(path: Path) -> dict[str, np.ndarray]:
    """The channels [H,W] float32 of an uncompressed OpenEXR file by name, row 0 on top (openexr.com, file layout)."""
    data = path.read_bytes()
    place, attributes = 8, {}
    while data[place]:
        name, kind = data[place:].split(b"\0", 2)[:2]
        place += len(name) + len(kind) + 2
        size = struct.unpack_from("<i", data, place)[0]
        attributes[name.decode()] = data[place + 4 : place + 4 + size]
        place += 4 + size
    left, top, right, bottom = struct.unpack("<4i", attributes["dataWindow"])
    width, height = right - left + 1, bottom - top + 1
    names, listed = [], attributes["channels"]
    while listed[0]:
        name = listed.split(b"\0", 1)[0]
        assert struct.unpack_from("<i", listed, len(name) + 1)[0] == 2, "float32"
        names.append(name.decode())
        listed = listed[len(name) + 17 :]
    start = place + 1 + 8 * height
    row = np.dtype([("y", "<i4"), ("bytes", "<i4"), ("values", "<f4", (len(names), width))])
    rows = np.frombuffer(data, row, count=height, offset=start)["values"]
    return {name: rows[:, index] for index, name in enumerate(names)}
