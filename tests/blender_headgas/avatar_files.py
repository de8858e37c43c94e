# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes avatar files for tests, right ones and wrong ones."""

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np

NAMES = ["jawOpen", "mouthSmileLeft", "mouthSmileRight", "browInnerUp"]
NEUTRAL = [0.1, 0.0, 0.0, -0.2]


def header() -> dict[str, Any]:
    """The JSON header of a small avatar."""
    return {
        "format": "headgas-avatar",
        "version": 1,
        "model": "HeadGaS",
        "preset": "headgas",
        "config": {},
        "expression_space": {
            "kind": "ARKit",
            "names": list(NAMES),
            "neutral": list(NEUTRAL),
            "low": [0.0, 0.0, 0.0, -0.5],
            "high": [1.0, 0.8, 0.6, 0.5],
        },
        "head_space": "+X left, -Y front, +Z up, metres",
        "color_encoding": "srgb-display",
        "training": {"iterations": 1, "seconds": 1.0, "psnr": 20.0, "gaussians": 7, "capture": "test"},
    }


def header_of(names: list[str], kind: str = "custom") -> dict[str, Any]:
    """The header of an avatar with these parameters, at rest at 0 and seen from -1 to 1."""
    count = len(names)
    ranges = {"neutral": [0.0] * count, "low": [-1.0] * count, "high": [1.0] * count}
    return header() | {"expression_space": {"kind": kind, "names": names, **ranges}}


def tensors() -> dict[str, np.ndarray]:
    """A tetrahedron of a head, and seven Gaussians."""
    return {
        "means": np.zeros((7, 3), np.float32),
        "surface/vertices": np.array(
            [[0.1, -0.1, -0.15], [-0.1, -0.1, -0.15], [0.0, 0.1, -0.15], [0.0, 0.0, 0.15]], np.float32
        ),
        "surface/faces": np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [2, 0, 3]], np.int32),
        "surface/colors": np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [128, 128, 128]], np.uint8),
    }


def write_avatar(
    path: Path,
    head: dict[str, Any] | None = None,
    arrays: dict[str, np.ndarray] | None = None,
    entries: dict[str, Any] | None = None,
) -> Path:
    """Writes a safetensors file; `entries` replaces parts of its table of contents."""
    arrays = tensors() if arrays is None else arrays
    table: dict[str, Any] = {"__metadata__": {"headgas": json.dumps(header() if head is None else head)}}
    data = b""
    for name, array in arrays.items():
        dtype = {"<f4": "F32", "<i4": "I32", "|u1": "U8", "<f8": "F64"}[array.dtype.str]
        place = [len(data), len(data) + array.nbytes]
        table[name] = {"dtype": dtype, "shape": list(array.shape), "data_offsets": place}
        data += array.tobytes()
    text = json.dumps(table | (entries or {})).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path
