# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""`.spz` files: compressed splats. Versions 1 to 4 are read, version 3 is written, which most viewers open.

Source: github.com/nianticlabs/spz (README.md, src/cc/load-spz.cc at 21715c3). Versions 1 to 3 are one gzip stream,
version 4 is a plain header with a ZSTD stream for each of the six attributes.
"""

import gzip
import math
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import zstandard

from headgas.errors import HeadGaSError
from headgas.exchange.imported import Imported, ReadingOptions, assembled, check_count, static, usable_degree
from headgas.files import write
from headgas.splatting.splats import Splats

AXES = "opengl"  # the format says so: right, up, back
_MAGIC = b"NGSP"
_GZIP = b"\x1f\x8b"
_HEADER = struct.Struct("<4sIIBBBB")  # magic, version, count, degree, fractional bits, flags, streams (from version 4)
_HEADER_4 = 32  # bytes of the header from version 4 on; its place of the table of contents follows the above
_ANTIALIASED, _EXTENDED = 1, 2  # flags
_COORDINATES = 0xADBE0003  # the type of the extension SPZ_ADOBE_coordinate_system
_SYSTEMS = {4: "opengl", 6: "opencv", 12: "blender"}  # its RUB, RDF and RFU
_EXTENSIONS = 1 << 16  # bytes of extensions that are looked at
_ZSTD_VERSION = 4
_LARGEST_DEGREE = 4
_COLOR_SCALE = 0.15
_MOST_FRACTIONAL_BITS = 18  # written: four micrometres, up to 32 m away
_PLAUSIBLE, _MOST_COMPRESSED = 1 << 26, 100  # bytes that any file may unpack to; how much smaller a larger one may be
_HALF = math.sqrt(0.5)  # the largest that the second largest number of a unit quaternion can be


@dataclass(frozen=True)
class _Header:
    version: int
    count: int
    degree: int
    fractional_bits: int
    flags: int
    streams: int

    @property
    def sizes(self) -> dict[str, int]:
        """Bytes of each attribute of one Gaussian, in the order of the file."""
        bands = (self.degree + 1) ** 2 - 1
        position, rotation = (6 if self.version == 1 else 9), (4 if self.version >= 3 else 3)
        return {"positions": position, "alphas": 1, "colors": 3, "scales": 3, "rotations": rotation, "sh": 3 * bands}


def is_spz(path: Path, start: bytes) -> bool:
    """Whether a file that begins so is an `.spz` file, or at least wants to be one."""
    if start[:2] != _GZIP or path.suffix.lower() == ".spz":
        return start[:4] == _MAGIC or start[:2] == _GZIP
    try:
        return zlib.decompressobj(wbits=31).decompress(start, 4) == _MAGIC
    except zlib.error:
        return False


def read_spz(path: Path, options: ReadingOptions) -> Imported:
    """The static avatar in an `.spz` file.

    Raises:
        HeadGaSError: the file is damaged, or newer than version 4.
    """
    data = path.read_bytes()
    unpacked = _unzipped(path, data, _HEADER.size) if data[:2] == _GZIP else data
    header = _header(path, unpacked)
    needed = _HEADER.size + header.count * sum(header.sizes.values())
    if needed > max(_PLAUSIBLE, _MOST_COMPRESSED * len(data)):
        message = f"its header speaks of {header.count:,} Gaussians, too many for {len(data):,} bytes."
        raise HeadGaSError(f"{path}: {message}")
    if header.version >= _ZSTD_VERSION:
        attributes, extensions = _streams(path, data, header)
    else:
        unpacked = _unzipped(path, data, needed + _EXTENSIONS) if data[:2] == _GZIP else data
        attributes, extensions = _split(path, unpacked, header), unpacked[needed:]
    degree, warnings = usable_degree(header.degree, path.name)
    axes = AXES
    if header.flags & _EXTENDED:
        axes, more = _extended(path, extensions)
        warnings += more
    parts = _decoded(header, attributes, (degree + 1) ** 2)
    splats = assembled(path, *parts, antialiased=bool(header.flags & _ANTIALIASED))
    return static(splats, f"SPZ {header.version}", axes, options, warnings)


def _extended(path: Path, records: bytes) -> tuple[str, list[str]]:
    """The axes that a file's extensions name, else those of the format; and warnings. Each extension is a type, its
    size in bytes and these."""
    axes, warnings, at = AXES, set[str](), 0
    while at + 8 <= len(records):
        kind, size = struct.unpack_from("<II", records, at)
        if kind == _COORDINATES and size == 4 and at + 12 <= len(records):
            (system,) = struct.unpack_from("<I", records, at + 8)
            if system in _SYSTEMS:
                axes = _SYSTEMS[system]
            else:
                warnings.add(f"{path.name}: its axes are of a kind that is not read: if it lies wrong, say which.")
        else:
            warnings.add(f"{path.name}: its extensions are left out.")
        at += 8 + size
    return axes, sorted(warnings, reverse=True)


def _header(path: Path, data: bytes) -> _Header:
    if len(data) < _HEADER.size:
        raise HeadGaSError(f"{path}: ends within its header.")
    magic, *numbers = _HEADER.unpack_from(data)
    header = _Header(*numbers)
    if magic != _MAGIC:
        raise HeadGaSError(f"{path}: is not an SPZ file.")
    if not 1 <= header.version <= _ZSTD_VERSION:
        raise HeadGaSError(f"{path}: is an SPZ file of version {header.version}; 1 to {_ZSTD_VERSION} are read.")
    check_count(path, header.count)
    if header.degree > _LARGEST_DEGREE:
        raise HeadGaSError(f"{path}: its header speaks of harmonics of degree {header.degree}; expected 0 to 4.")
    if header.fractional_bits > 23:
        raise HeadGaSError(f"{path}: its header speaks of {header.fractional_bits} fractional bits; expected 0 to 23.")
    return header


def _unzipped(path: Path, data: bytes, size: int) -> bytes:
    """The first `size` bytes of a gzip stream, whatever else it may hold; fewer where it ends."""
    try:
        return zlib.decompressobj(wbits=31).decompress(data, size)
    except zlib.error as error:
        raise HeadGaSError(f"{path}: its gzip stream is damaged ({error}).") from None


def _split(path: Path, data: bytes, header: _Header) -> dict[str, np.ndarray]:
    """The bytes [N,k] of each attribute, of versions 1 to 3."""
    attributes, start = {}, _HEADER.size
    for name, size in header.sizes.items():
        end = start + header.count * size
        if len(data) < end:
            raise HeadGaSError(f"{path}: ends too early, within the {name} of {header.count:,} Gaussians.")
        attributes[name] = np.frombuffer(data, np.uint8, end - start, start).reshape(header.count, size)
        start = end
    return attributes


def _streams(path: Path, data: bytes, header: _Header) -> tuple[dict[str, np.ndarray], bytes]:
    """The bytes [N,k] of each attribute, of version 4, and the extensions."""
    sizes = {name: size for name, size in header.sizes.items() if size}
    if len(data) < _HEADER_4 or header.streams < len(sizes):
        raise HeadGaSError(f"{path}: its header speaks of {header.streams} streams; expected {len(sizes)}.")
    (contents,) = struct.unpack_from("<I", data, _HEADER.size)
    start = contents + 16 * header.streams
    if contents < _HEADER_4 or start > len(data):
        raise HeadGaSError(f"{path}: ends within its table of contents, or that lies outside of it.")
    attributes = {}
    for number, (name, size) in enumerate(sizes.items()):
        packed, unpacked = struct.unpack_from("<QQ", data, contents + 16 * number)
        if unpacked != header.count * size or start + packed > len(data):
            raise HeadGaSError(f"{path}: the stream of its {name} ends too early, or has another size than it says.")
        try:
            stream = zstandard.ZstdDecompressor().stream_reader(data[start : start + packed])
            values = stream.read(unpacked)
        except zstandard.ZstdError as error:
            raise HeadGaSError(f"{path}: the stream of its {name} is damaged ({error}).") from None
        if len(values) != unpacked:
            raise HeadGaSError(f"{path}: the stream of its {name} ends too early.")
        attributes[name] = np.frombuffer(values, np.uint8).reshape(header.count, size)
        start += packed
    return {"sh": np.empty((header.count, 0), np.uint8)} | attributes, data[_HEADER_4:contents]


def _decoded(header: _Header, packed: dict[str, np.ndarray], bands: int) -> tuple[np.ndarray, ...]:
    """Means, quaternions wxyz, logarithms of scales, logits and `bands` harmonics, float32."""
    one = np.float32(1)  # float64 would take twice the memory
    if header.version == 1:
        means = packed["positions"].view("<f2").astype(np.float32)
    else:
        bytes3 = packed["positions"].reshape(-1, 3, 3).astype(np.int32)
        fixed = bytes3[..., 0] | bytes3[..., 1] << 8 | bytes3[..., 2] << 16
        means = (fixed - ((fixed & 0x800000) << 1)) * (one / (1 << header.fractional_bits))
    rotations = packed["rotations"]
    quaternions = _smallest_three(rotations) if header.version >= 3 else _first_three(rotations)
    alphas = packed["alphas"][:, 0] * (one / 255)
    with np.errstate(divide="ignore"):
        logits = np.log(alphas) - np.log1p(-alphas)
    harmonics = np.empty((header.count, bands, 3), np.float32)
    harmonics[:, 0] = (packed["colors"] / 255.0 - 0.5) / _COLOR_SCALE
    harmonics[:, 1:] = packed["sh"][:, : 3 * (bands - 1)].reshape(header.count, bands - 1, 3)
    harmonics[:, 1:] = (harmonics[:, 1:] - 128) / 128
    return means, quaternions, packed["scales"] * one / 16 - 10, logits, harmonics


def _first_three(packed: np.ndarray) -> np.ndarray:
    """x, y and z as a byte each; w is what is missing, and not negative. [N,3] uint8 to [N,4] wxyz."""
    xyz = packed / 127.5 - 1
    return np.concatenate([np.sqrt(np.maximum(0, 1 - (xyz**2).sum(1, keepdims=True))), xyz], 1)


def _smallest_three(packed: np.ndarray) -> np.ndarray:
    """Of x, y, z and w the number of the largest in two bits; then the others, each in a sign and nine bits, the last
    one lowest. [N,4] uint8 to [N,4] wxyz."""
    code = packed.copy().view("<u4")[:, 0].astype(np.int64)
    largest = code >> 30
    xyzw = np.zeros((len(code), 4))
    for axis in (3, 2, 1, 0):
        stored = largest != axis
        value = _HALF * (code & 511) / 511 * np.where(code & 512, -1, 1)
        xyzw[:, axis] = np.where(stored, value, 0)
        code = np.where(stored, code >> 10, code)
    rows = np.arange(len(code))
    xyzw[rows, largest] = np.sqrt(np.maximum(0, 1 - (xyzw**2).sum(1)))
    return xyzw[:, [3, 0, 1, 2]]


def write_spz(path: Path, splats: Splats) -> list[str]:
    """Writes splats, in the axes of the file. Returns what the format could not hold, for the user.

    Raises:
        HeadGaSError: the file cannot be written, or the splats lie too far away.
    """
    content, warnings = spz_content(splats)
    write(path, content)
    return warnings


def spz_content(splats: Splats) -> tuple[bytes, list[str]]:
    """The bytes of a file of version 3, and what the format cannot hold, for the user.

    Raises:
        HeadGaSError: the splats lie too far away.
    """
    means = splats.means.double().numpy()
    farthest = float(np.abs(means).max(initial=0))
    bits = next((b for b in range(_MOST_FRACTIONAL_BITS, -1, -1) if farthest * (1 << b) < (1 << 23) - 1), None)
    if bits is None:
        raise HeadGaSError(f"Gaussians {farthest:g} units away cannot be written to SPZ.")
    count, bands = splats.harmonics.shape[:2]
    fixed = np.round(means * (1 << bits)).astype("<i4").reshape(-1, 1).view(np.uint8)[:, :3]
    attributes = (
        fixed,
        _bytes(splats.logits.double().sigmoid().numpy() * 255),
        _bytes(splats.harmonics[:, 0].double().numpy() * (_COLOR_SCALE * 255) + 127.5),
        _bytes((splats.log_scales.double().numpy() + 10) * 16),
        _pack_smallest_three(splats.quaternions.double().numpy()),
        _bytes(splats.harmonics[:, 1:].double().numpy() * 128 + 128),
    )
    flags = _ANTIALIASED if splats.antialiased else 0
    header = _HEADER.pack(_MAGIC, 3, count, math.isqrt(bands) - 1, bits, flags, 0)
    content = gzip.compress(header + b"".join(part.tobytes() for part in attributes), mtime=0)
    cut = (splats.harmonics[:, 1:].abs() > 1 + 1 / 128).any()
    return content, ["SPZ holds view-dependent colours from -1 to 1: stronger ones were cut off."] if cut else []


def _bytes(values: np.ndarray) -> np.ndarray:
    return np.clip(np.round(values), 0, 255).astype(np.uint8)


def _pack_smallest_three(wxyz: np.ndarray) -> np.ndarray:
    """The inverse of `_smallest_three`; quaternions [N,4] of any length but zero, to [N] <u4."""
    xyzw = wxyz[:, [1, 2, 3, 0]] / np.linalg.norm(wxyz, axis=1, keepdims=True)
    rows, largest = np.arange(len(xyzw)), np.abs(xyzw).argmax(1)
    xyzw = xyzw * np.where(xyzw[rows, largest] < 0, -1, 1)[:, None]
    code = largest.astype(np.uint32)
    for axis in range(4):
        size = np.minimum(np.abs(xyzw[:, axis]) / _HALF * 511 + 0.5, 511).astype(np.uint32)
        number = code << 10 | (xyzw[:, axis] < 0).astype(np.uint32) << 9 | size
        code = np.where(largest == axis, code, number)
    return code.astype("<u4")
