# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""glTF files with the extension KHR_gaussian_splatting: `.glb`, or `.gltf` with its data inside.

Source: github.com/KhronosGroup/glTF, extensions/2.0/Khronos/KHR_gaussian_splatting/README.md at 77b44be (release
candidate), and the glTF 2.0 specification for the rest.
"""

import base64
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np

import headgas
from headgas.avatars.rendering import srgb_to_linear
from headgas.avatars.spherical_harmonics import C0, coefficient_count
from headgas.files import write
from headgas.splatting.splats import Splats

AXES = "opengl"  # +Y up, +Z forward: a head looks along +Z, as glTF has it
_EXTENSION = "KHR_gaussian_splatting"
_FLOAT, _UNSIGNED_SHORT, _VERTICES = 5126, 5123, 34962  # constants of glTF


def write_gltf(path: Path, splats: Splats) -> list[str]:
    """Writes splats, in the axes of glTF; as one binary file where the name ends in `.glb`. Returns what the format
    could not hold, for the user.

    Raises:
        HeadGaSError: the file cannot be written.
    """
    attributes = _attributes(splats)
    data, views, accessors = b"", [], []
    for number, (name, values) in enumerate(attributes.items()):
        views.append({"buffer": 0, "byteOffset": len(data), "byteLength": values.nbytes, "target": _VERTICES})
        kind = {1: "SCALAR", 3: "VEC3", 4: "VEC4"}[values.shape[1]]
        accessor: dict[str, Any] = {"bufferView": number, "count": len(values), "type": kind}
        accessor["componentType"] = _FLOAT if values.dtype == "<f4" else _UNSIGNED_SHORT
        if values.dtype != "<f4":
            accessor["normalized"] = True
        if name == "POSITION":
            accessor |= {"min": values.min(0).tolist(), "max": values.max(0).tolist()}
        accessors.append(accessor)
        data += values.tobytes()  # all are multiples of four bytes
    splatting = {"kernel": "ellipse", "colorSpace": "srgb_rec709_display"}
    primitive = {
        "attributes": {name: number for number, name in enumerate(attributes)},
        "mode": 0,
        "extensions": {_EXTENSION: splatting},
    }
    document: dict[str, Any] = {
        "asset": {"version": "2.0", "generator": f"HeadGaS {headgas.__version__}"},
        "extensionsUsed": [_EXTENSION],
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, "name": path.stem}],
        "meshes": [{"primitives": [primitive], "name": path.stem}],
        "accessors": accessors,
        "bufferViews": views,
        "buffers": [{"byteLength": len(data)}],
    }
    if path.suffix.lower() == ".glb":
        write(path, _binary(document, data))
    else:
        uri = "data:application/octet-stream;base64," + base64.b64encode(data).decode()
        document["buffers"][0]["uri"] = uri
        write(path, json.dumps(document))
    lost = "glTF cannot say that Gaussians are antialiased: where they are small, other programs draw them too large."
    return [lost] if splats.antialiased else []


def _attributes(splats: Splats) -> dict[str, np.ndarray]:
    """The columns [N,k] by their names in the file."""
    opacities = splats.logits.sigmoid()[:, None]
    rotations = splats.quaternions / splats.quaternions.norm(dim=1, keepdim=True)
    # What shows where the extension is not known: points, whose colours glTF wants linear
    base = (splats.harmonics[:, 0] * C0 + 0.5).clamp(0, 1)
    shown = np.concatenate([srgb_to_linear(base).numpy(), opacities.numpy()], 1)
    columns = {
        "POSITION": splats.means.numpy(),
        f"{_EXTENSION}:ROTATION": rotations[:, [1, 2, 3, 0]].numpy(),
        f"{_EXTENSION}:SCALE": splats.log_scales.exp().numpy(),
        f"{_EXTENSION}:OPACITY": opacities.numpy(),
    }
    degree = 0
    for index in range(splats.harmonics.shape[1]):
        degree += index == coefficient_count(degree)
        name = f"{_EXTENSION}:SH_DEGREE_{degree}_COEF_{index - degree**2}"
        columns[name] = splats.harmonics[:, index].numpy()
    floats = {name: np.ascontiguousarray(values, "<f4") for name, values in columns.items()}
    return floats | {"COLOR_0": np.round(shown * 65535).astype("<u2")}


def _binary(document: dict[str, Any], data: bytes) -> bytes:
    """The container of `.glb` (glTF 2.0, section 4): a header, the JSON and the data, each in multiples of four."""
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    size = 12 + 8 + len(text) + 8 + len(data)
    chunks = struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(data), b"BIN\0") + data
    return struct.pack("<4sII", b"glTF", 2, size) + chunks
