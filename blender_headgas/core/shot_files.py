# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes a take and cameras as JSON (docs/formats.md), from which `headgas render` renders a shot without Blender."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .cameras import Camera
from .files import write_text

TAKE, CAMERAS, VERSION = "headgas-take", "headgas-cameras", 1


def write_take(
    path: Path, rate: float, names: Sequence[str], frames: Iterable[tuple[int, np.ndarray, np.ndarray]]
) -> None:
    """Writes the file at `path`, whole or not at all.

    Args:
        rate: frames per second.
        names: [B] of the avatar's parameters.
        frames: number, expression [B], and the head's transform to the world [4,4], metres.

    Raises:
        HeadGaSError: it cannot be written.
    """
    entries = [
        {"frame": number, "values": [float(value) for value in expression], "transform": transform.tolist()}
        for number, expression, transform in frames
    ]
    _write(path, {"format": TAKE, "version": VERSION, "fps": rate, "names": list(names), "frames": entries})


def write_cameras(path: Path, rate: float, frames: Iterable[tuple[int, Camera]]) -> None:
    """Writes the cameras of frames, by their numbers; as `write_take`."""
    entries = [
        {
            "frame": number,
            "width": camera.width,
            "height": camera.height,
            "viewmat": camera.viewmat.tolist(),
            "K": camera.K.tolist(),
            "near": float(camera.near),
            "far": float(camera.far),
            "orthographic": camera.orthographic,
        }
        for number, camera in frames
    ]
    _write(path, {"format": CAMERAS, "version": VERSION, "fps": rate, "frames": entries})


def _write(path: Path, data: dict[str, Any]) -> None:
    """A line for each frame."""
    head, frames = json.dumps(data | {"frames": []})[:-2], data["frames"]
    write_text(path, head + "\n" + ",\n".join(json.dumps(frame) for frame in frames) + "\n]}\n")
