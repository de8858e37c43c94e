# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Binary glTF files: accessors, and a mesh with its morph targets and its skin.

Source: Khronos Group, "glTF 2.0 Specification", sections 3.6 (accessors), 3.7 (meshes and skins) and 4.4 (GLB).
"""

import json
import struct
from dataclasses import dataclass

import numpy as np

from headgas.errors import HeadGaSError

_HEADER, _CHUNK = struct.Struct("<4sII"), struct.Struct("<I4s")
_COMPONENTS = {5120: "<i1", 5121: "<u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
_WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}
_LARGEST = 50_000_000  # numbers in an array: what a file claims must not fill the memory
_INVALID = (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError)  # what other JSON leads to


@dataclass(frozen=True)
class SkinnedMesh:
    """A mesh in the skin's rest pose, in the mesh's own axes and units."""

    points: np.ndarray  # [V,3] float32
    triangles: np.ndarray  # [T,3] int64
    target_names: tuple[str, ...]  # [M]
    targets: np.ndarray  # [M,V,3] float32: what is added to the points for a weight of 1
    joint_names: tuple[str, ...]  # [J]
    joints: np.ndarray  # [J,3] float32: the joints' places in rest
    weights: np.ndarray  # [V,J] float32, each row's sum is 1


class Glb:
    """An opened GLB file; where: what messages call it."""

    def __init__(self, content: bytes, where: str) -> None:
        self._where = where
        if len(content) < 20 or content[:4] != b"glTF":
            raise HeadGaSError(f"{where}: is not a binary glTF file.")
        _, version, length = _HEADER.unpack_from(content)
        if version != 2 or length > len(content):
            raise HeadGaSError(f"{where}: is glTF {version} of {length:,} bytes; expected glTF 2, and whole.")
        chunks: dict[bytes, bytes] = {}
        at = _HEADER.size
        while at + _CHUNK.size <= length:
            size, kind = _CHUNK.unpack_from(content, at)
            if at + _CHUNK.size + size > length:
                raise HeadGaSError(f"{where}: is cut off inside its chunk {kind!r}.")
            chunks.setdefault(kind, content[at + _CHUNK.size : at + _CHUNK.size + size])
            at += _CHUNK.size + size
        try:
            self._json = json.loads(chunks[b"JSON"])
        except (KeyError, ValueError, RecursionError) as error:
            raise HeadGaSError(f"{where}: its JSON cannot be read ({error}).") from None
        self._binary = chunks.get(b"BIN\0", b"")

    def accessor(self, index: int) -> np.ndarray:
        """[n,k] of the accessor's own type; sparse values are in place, normalised integers are not made fractions."""
        accessor = self._json["accessors"][index]
        count, width = int(accessor["count"]), _WIDTHS[accessor["type"]]
        if count < 0:
            raise HeadGaSError(f"{self._where}: accessor {index} claims {count:,} elements.")
        self._check_size(f"accessor {index}", count, width)
        kind = accessor["componentType"]
        if "bufferView" in accessor:
            values = self._view(accessor["bufferView"], accessor.get("byteOffset", 0), kind, count, width)
        else:
            values = np.zeros((count, width), _COMPONENTS[kind])
        if "sparse" not in accessor:
            return values
        sparse, values = accessor["sparse"], values.copy()
        where, what = sparse["indices"], sparse["values"]
        rows = self._view(where["bufferView"], where.get("byteOffset", 0), where["componentType"], sparse["count"], 1)
        if len(rows) and int(rows.max()) >= count:
            raise HeadGaSError(f"{self._where}: accessor {index} has a sparse value at {int(rows.max())} of {count}.")
        values[rows[:, 0]] = self._view(what["bufferView"], what.get("byteOffset", 0), kind, sparse["count"], width)
        return values

    def _check_size(self, what: str, rows: int, columns: int) -> None:
        if rows * columns > _LARGEST:
            raise HeadGaSError(f"{self._where}: {what} claims {rows:,} x {columns:,} numbers; a head has fewer.")

    def _view(self, view: int, offset: int, kind: int, count: int, width: int) -> np.ndarray:
        described, dtype = self._json["bufferViews"][view], np.dtype(_COMPONENTS[kind])
        start = described.get("byteOffset", 0) + offset
        stride = described.get("byteStride", width * dtype.itemsize)
        last = start + (count - 1) * stride + width * dtype.itemsize if count else start
        end = described.get("byteOffset", 0) + described["byteLength"]
        if described["buffer"] != 0 or min(start, stride, count) < 0 or last > min(end, len(self._binary)):
            raise HeadGaSError(f"{self._where}: buffer view {view} reaches beyond the file's data.")
        shape, strides = (count, width), (stride, dtype.itemsize)
        return np.ndarray(shape, dtype, self._binary, start, strides)

    def skinned_mesh(self) -> SkinnedMesh:
        """The first mesh with a skin.

        Raises:
            HeadGaSError: there is none, or it is not as the specification wants it.
        """
        try:
            return self._skinned_mesh()
        except _INVALID as error:
            raise HeadGaSError(f"{self._where}: is no valid glTF ({type(error).__name__}: {error}).") from None

    def _skinned_mesh(self) -> SkinnedMesh:
        nodes = self._json["nodes"]
        node = next((node for node in nodes if "mesh" in node and "skin" in node), None)
        if node is None:
            raise HeadGaSError(f"{self._where}: holds no mesh with a skin.")
        mesh, skin = self._json["meshes"][node["mesh"]], self._json["skins"][node["skin"]]
        primitives = mesh["primitives"]
        if len(primitives) != 1 or primitives[0].get("mode", 4) != 4:
            raise HeadGaSError(f"{self._where}: its mesh has {len(primitives)} parts; expected one, of triangles.")
        primitive = primitives[0]
        attributes, targets = primitive["attributes"], primitive.get("targets", [])
        points = self.accessor(attributes["POSITION"]).astype(np.float32)
        names = tuple(map(str, mesh.get("extras", {}).get("targetNames", ())))
        if len(names) != len(targets):
            raise HeadGaSError(f"{self._where}: its mesh has {len(targets)} morph targets and {len(names)} names.")
        if len(set(names)) < len(names) or "" in names:
            raise HeadGaSError(f"{self._where}: its morph targets have a name twice, or one has none.")
        self._check_size("its morph targets", len(targets), points.size)
        moved = np.zeros((len(targets), *points.shape), np.float32)
        for row, target in enumerate(targets):
            if "POSITION" in target:
                moved[row] = self.accessor(target["POSITION"])
        inverse = self.accessor(skin["inverseBindMatrices"]).reshape(-1, 4, 4).transpose(0, 2, 1)  # stored by columns
        rest = np.linalg.inv(inverse.astype(np.float64))
        count = len(skin["joints"])
        joints, weights = self.accessor(attributes["JOINTS_0"]), self.accessor(attributes["WEIGHTS_0"])
        self._check_size("its skin", len(points), count)
        dense = np.zeros((len(points), count), np.float64)
        scale = {"u1": 255.0, "u2": 65535.0}.get(weights.dtype.str[1:], 1.0)
        np.add.at(dense, (np.arange(len(points))[:, None], joints), weights / scale)
        total = dense.sum(1, keepdims=True)
        finite = all(np.isfinite(values).all() for values in (points, moved, rest))
        if not finite or not (total > 0).all():
            raise HeadGaSError(f"{self._where}: its mesh has points that are not finite, or that follow no joint.")
        return SkinnedMesh(
            points,
            self.accessor(primitive["indices"]).astype(np.int64).reshape(-1, 3),
            names,
            moved,
            tuple(str(nodes[joint].get("name", joint)) for joint in skin["joints"]),
            rest[:count, :3, 3].astype(np.float32),
            (dense / total).astype(np.float32),
        )
