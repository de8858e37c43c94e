# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""glTF files as another program reads them: containers, accessors and the attributes of KHR_gaussian_splatting."""

import base64
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from headgas.avatars.rendering import linear_to_srgb
from headgas.exchange.gltf import write_gltf
from tests.headgas.avatars.test_splats import some_splats

PREFIX = "KHR_gaussian_splatting:"


def opened(path: Path) -> tuple[dict[str, Any], bytes]:
    """The document and its data."""
    content = path.read_bytes()
    if path.suffix == ".gltf":
        document = json.loads(content)
        head, data = document["buffers"][0]["uri"].split(",", 1)
        assert head == "data:application/octet-stream;base64"
        return document, base64.b64decode(data)
    magic, version, size = struct.unpack_from("<4sII", content)
    assert (magic, version, size) == (b"glTF", 2, len(content))
    length, kind = struct.unpack_from("<I4s", content, 12)
    assert kind == b"JSON" and length % 4 == 0
    more, kind = struct.unpack_from("<I4s", content, 20 + length)
    assert kind == b"BIN\0" and more % 4 == 0 and 28 + length + more == size
    return json.loads(content[20 : 20 + length]), content[28 + length :]


def attributes(document: dict[str, Any], data: bytes) -> dict[str, np.ndarray]:
    primitive = document["meshes"][0]["primitives"][0]
    columns = {}
    for name, number in primitive["attributes"].items():
        accessor = document["accessors"][number]
        view = document["bufferViews"][accessor["bufferView"]]
        dtype = {5126: "<f4", 5123: "<u2"}[accessor["componentType"]]
        width = {"SCALAR": 1, "VEC3": 3, "VEC4": 4}[accessor["type"]]
        assert view["byteOffset"] % 4 == 0
        assert view["byteLength"] == accessor["count"] * width * np.dtype(dtype).itemsize
        values = np.frombuffer(data, dtype, accessor["count"] * width, view["byteOffset"])
        columns[name] = values.reshape(accessor["count"], width) / (65535 if accessor.get("normalized") else 1)
    return columns


@pytest.mark.parametrize("suffix", [".glb", ".gltf"])
@pytest.mark.parametrize("degree", [0, 1, 3])
def test_another_program_finds_every_attribute(tmp_path: Path, degree: int, suffix: str) -> None:
    splats = some_splats(9, degree)
    path = tmp_path / f"head{suffix}"
    write_gltf(path, splats)
    document, data = opened(path)
    primitive = document["meshes"][document["nodes"][document["scenes"][document["scene"]]["nodes"][0]]["mesh"]]
    primitive = primitive["primitives"][0]
    assert document["asset"]["version"] == "2.0" and document["extensionsUsed"] == ["KHR_gaussian_splatting"]
    assert primitive["mode"] == 0 and document["buffers"][0]["byteLength"] == len(data)
    extension = primitive["extensions"]["KHR_gaussian_splatting"]
    assert (extension["kernel"], extension["colorSpace"]) == ("ellipse", "srgb_rec709_display")
    columns = attributes(document, data)
    np.testing.assert_array_equal(columns.pop("POSITION"), splats.means)
    position = document["accessors"][primitive["attributes"]["POSITION"]]
    assert position["min"] == splats.means.amin(0).tolist() and position["max"] == splats.means.amax(0).tolist()
    wxyz = torch.nn.functional.normalize(splats.quaternions, dim=1)
    np.testing.assert_allclose(columns.pop(f"{PREFIX}ROTATION"), wxyz[:, [1, 2, 3, 0]], atol=1e-6)
    np.testing.assert_allclose(columns.pop(f"{PREFIX}SCALE"), splats.log_scales.exp(), rtol=1e-6)
    np.testing.assert_allclose(columns.pop(f"{PREFIX}OPACITY")[:, 0], splats.logits.sigmoid(), rtol=1e-6)
    color = columns.pop("COLOR_0")
    shown = linear_to_srgb(torch.tensor(color[:, :3], dtype=torch.float32))
    torch.testing.assert_close(shown, (splats.harmonics[:, 0] * 0.28209479 + 0.5).clamp(0, 1), rtol=0, atol=1e-3)
    np.testing.assert_allclose(color[:, 3], splats.logits.sigmoid(), atol=1e-5)
    harmonics = [columns.pop(f"{PREFIX}SH_DEGREE_{d}_COEF_{n}") for d in range(degree + 1) for n in range(2 * d + 1)]
    np.testing.assert_array_equal(np.stack(harmonics, 1), splats.harmonics)
    assert not columns
