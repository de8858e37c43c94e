# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads what the extension needs of an avatar's `.safetensors` file with numpy alone: its header and its surface."""

import json
import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from .errors import HeadGaSError
from .expressions import ExpressionSpace

FORMAT = "headgas-avatar"
VERSION = 2
_HEADER_LIMIT = 100_000_000  # bytes; the limit of the safetensors library itself
_KINDS = ("ARKit", "FLAME", "FaceWarehouse", "custom")
_DTYPES = {"F32": np.dtype("<f4"), "I32": np.dtype("<i4"), "U8": np.dtype("u1")}
_SURFACE = {"surface/vertices": "F32", "surface/faces": "I32", "surface/colors": "U8"}


@dataclass(frozen=True)
class AvatarHeader:
    """What an avatar's file says about itself."""

    path: Path
    model: str
    preset: str
    gaussians: int
    bytes: int
    expression_space: ExpressionSpace


@dataclass(frozen=True)
class Surface:
    """A light mesh of the neutral head, in head space."""

    vertices: np.ndarray  # [V,3] float32, metres
    faces: np.ndarray  # [T,3] int32, counter-clockwise from outside
    colors: np.ndarray  # [V,3] uint8, sRGB


@dataclass(frozen=True)
class _Table:
    """A safetensors file's table of contents."""

    metadata: dict[str, Any]
    tensors: dict[str, Any]
    start: int  # the byte where the tensors' data begin
    size: int  # bytes in the file


def read_header(path: Path) -> AvatarHeader:
    """The header of the avatar at `path`."""
    table = _read_table(path)
    header = _headgas_header(path, table.metadata)
    return AvatarHeader(
        path=path,
        model=_text(path, header, "model"),
        preset=_text(path, header, "preset"),
        gaussians=_gaussians(path, table, header),
        bytes=table.size,
        expression_space=_expression_space(path, header),
    )


def read_surface(path: Path) -> Surface:
    """The light mesh of the avatar at `path`."""
    table = _read_table(path)
    _headgas_header(path, table.metadata)
    vertices, faces, colors = (_tensor(path, table, name, dtype) for name, dtype in _SURFACE.items())
    if not np.isfinite(vertices).all():
        raise _broken(path, "surface/vertices", "holds numbers that are not finite")
    if len(colors) != len(vertices):
        raise _broken(path, "surface/colors", f"has {len(colors)} rows for {len(vertices)} vertices")
    if len(faces) and not (0 <= faces.min() and faces.max() < len(vertices)):
        raise _broken(path, "surface/faces", f"points outside of its {len(vertices)} vertices")
    return Surface(vertices, faces, colors)


def _read_table(path: Path) -> _Table:
    """Format: an unsigned 64-bit length, that many bytes of JSON, the tensors (github.com/huggingface/safetensors)."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            prefix = file.read(8)
            if len(prefix) < 8:
                raise _broken(path, "header", f"the file ends after {len(prefix)} bytes")
            length = struct.unpack("<Q", prefix)[0]
            if length > _HEADER_LIMIT:
                raise _foreign(path, f"its header would be {length} bytes long")
            if 8 + length > size:
                raise _broken(path, "header", f"needs {length} bytes, the file has {size - 8}")
            text = file.read(length)
    except FileNotFoundError:
        raise HeadGaSError(
            f"There is no avatar at {path}", "Choose the file again in the object's HeadGaS panel"
        ) from None
    except OSError as error:
        raise HeadGaSError(
            f"{path} cannot be read: {error.strerror or error}", "Check the file and its permissions"
        ) from None
    try:
        entries = json.loads(text)
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError):
        raise _foreign(path, "its header is not JSON") from None
    if not isinstance(entries, dict):
        raise _foreign(path, "its header is not a JSON object")
    metadata = entries.pop("__metadata__", {})
    if not isinstance(metadata, dict):
        raise _broken(path, "__metadata__", "is not a JSON object")
    return _Table(metadata, entries, 8 + length, size)


def _headgas_header(path: Path, metadata: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(metadata.get("headgas"), str):
        raise _foreign(path, "its metadata has no field 'headgas'")
    try:
        header = json.loads(metadata["headgas"])
    except (json.JSONDecodeError, RecursionError):
        raise _broken(path, "headgas", "is not JSON") from None
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise _foreign(path, f"its field 'format' is not '{FORMAT}'")
    version = header.get("version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise _broken(path, "version", f"is {version!r}, not a positive whole number")
    if version > VERSION:
        raise HeadGaSError(
            f"{path} is an avatar of version {version}; this extension reads up to version {VERSION}",
            "Update the HeadGaS extension",
        )
    return header


def _gaussians(path: Path, table: _Table, header: dict[str, Any]) -> int:
    """The number of Gaussians; models whose Gaussians sit on a rig hold no means, and training's summary says it."""
    if "means" in table.tensors:
        return _entry(path, table, "means", "F32", columns=3)[0][0]
    training = header.get("training")
    count = training.get("gaussians") if isinstance(training, dict) else None
    if not isinstance(count, int) or isinstance(count, bool) or count < 0:
        raise _broken(path, "training.gaussians", f"is {count!r}, and there are no means to count")
    return count


def _expression_space(path: Path, header: dict[str, Any]) -> ExpressionSpace:
    space = header.get("expression_space")
    if not isinstance(space, dict):
        raise _broken(path, "expression_space", "is missing or not a JSON object")
    if space.get("kind") not in _KINDS:
        raise _broken(path, "expression_space.kind", f"is {space.get('kind')!r}, not one of {', '.join(_KINDS)}")
    names = space.get("names")
    if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
        raise _broken(path, "expression_space.names", "is not a list of names")
    if len(set(names)) < len(names):
        raise _broken(path, "expression_space.names", "names a parameter twice")
    neutral, low, high = (_numbers(path, space, field, len(names)) for field in ("neutral", "low", "high"))
    if (low > high).any():
        raise _broken(path, "expression_space.low", f"is above 'high' for '{names[int(np.argmax(low > high))]}'")
    return ExpressionSpace(space["kind"], tuple(names), neutral, low, high)


def _numbers(path: Path, space: dict[str, Any], field: str, count: int) -> np.ndarray:
    """The list of `count` finite numbers in a field, [count] float32."""
    values = space.get(field)
    if not isinstance(values, list) or len(values) != count:
        raise _broken(path, f"expression_space.{field}", f"is not a list of {count} numbers, one for each name")
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        raise _broken(path, f"expression_space.{field}", "holds something that is not a number")
    numbers = np.array([_single(value) for value in values], np.float32)
    if not np.isfinite(numbers).all():
        raise _broken(path, f"expression_space.{field}", "holds a number that is not finite")
    return numbers


def _single(value: float) -> float:
    """A JSON number of any size as single precision holds it; too large becomes infinite."""
    return float(value) if abs(value) <= float(np.finfo(np.float32).max) else math.inf


def _text(path: Path, header: dict[str, Any], field: str) -> str:
    if not isinstance(header.get(field), str):
        raise _broken(path, field, "is missing or not text")
    return header[field]


def _entry(path: Path, table: _Table, name: str, dtype: str, columns: int) -> tuple[tuple[int, int], int]:
    """Shape and first byte of a tensor, after making sure that its data lie inside the file."""
    entry = table.tensors.get(name)
    if not isinstance(entry, dict):
        raise _broken(path, name, "this tensor is missing")
    if entry.get("dtype") != dtype:
        raise _broken(path, name, f"has the type {entry.get('dtype')!r} instead of '{dtype}'")
    shape, offsets = entry.get("shape"), entry.get("data_offsets")
    if not _whole_numbers(shape, 2) or shape[1] != columns:
        raise _broken(path, name, f"has the shape {shape!r} instead of [n, {columns}]")
    if not _whole_numbers(offsets, 2) or offsets[1] - offsets[0] != shape[0] * columns * _DTYPES[dtype].itemsize:
        raise _broken(path, name, f"its place in the file {offsets!r} does not fit the shape {shape!r}")
    if table.start + offsets[1] > table.size:
        raise _broken(path, name, f"the file ends after {table.size} of {table.start + offsets[1]} bytes")
    return (shape[0], shape[1]), table.start + offsets[0]


def _tensor(path: Path, table: _Table, name: str, dtype: str) -> np.ndarray:
    """A tensor [n,3]."""
    shape, offset = _entry(path, table, name, dtype, columns=3)
    return np.fromfile(path, _DTYPES[dtype], count=shape[0] * shape[1], offset=offset).reshape(shape)


def _whole_numbers(values: Any, count: int) -> TypeGuard[list[int]]:
    return (
        isinstance(values, list)
        and len(values) == count
        and all(isinstance(value, int) and not isinstance(value, bool) and value >= 0 for value in values)
    )


def _broken(path: Path, field: str, what: str) -> HeadGaSError:
    return HeadGaSError(f"{path} is broken: {field}: {what}", "Copy the file again, or train the avatar again")


def _foreign(path: Path, what: str) -> HeadGaSError:
    return HeadGaSError(
        f"{path} is not a HeadGaS avatar: {what}", "Choose an avatar.safetensors that 'headgas train' has written"
    )
