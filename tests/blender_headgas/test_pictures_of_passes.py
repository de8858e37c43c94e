# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files between a render and a capture: OpenEXR in, written here byte by byte, and grey PNGs out."""

import struct
import zlib

import numpy as np
import pytest

from blender_headgas.core.errors import HeadGaSError
from blender_headgas.core.exr import read_channels
from blender_headgas.core.png import grey_png


def text(value: str) -> bytes:
    return value.encode() + b"\0"


def attribute(name: str, kind: str, content: bytes) -> bytes:
    return text(name) + text(kind) + struct.pack("<i", len(content)) + content


def exr(compression: int = 0, flags: int = 0, rows=(7, 5, 6)) -> bytes:
    """A file of 2 × 3 pixels that begins at (4, 5): a half channel A and a float channel L.Depth.Z."""
    channels = b"".join(text(name) + struct.pack("<4i", kind, 0, 1, 1) for name, kind in (("A", 1), ("L.Depth.Z", 2)))
    header = struct.pack("<2i", 20000630, 2 | flags)
    header += attribute("channels", "chlist", channels + b"\0")
    header += attribute("compression", "compression", bytes([compression]))
    header += attribute("dataWindow", "box2i", struct.pack("<4i", 4, 5, 5, 7)) + b"\0"
    lines = [
        struct.pack("<2i", y, 12) + np.array([y, y + 0.5], "<f2").tobytes() + np.array([10 * y, 1e10], "<f4").tobytes()
        for y in rows
    ]
    start = len(header) + 8 * len(rows)
    return header + struct.pack("<3Q", *(start + 20 * i for i in range(3))) + b"".join(lines)


def test_channels_are_read_whatever_the_order_of_rows(tmp_path):
    (tmp_path / "a.exr").write_bytes(exr())
    found = read_channels(tmp_path / "a.exr")
    assert list(found) == ["A", "L.Depth.Z"]
    np.testing.assert_array_equal(found["A"], [[5, 5.5], [6, 6.5], [7, 7.5]])
    np.testing.assert_array_equal(found["L.Depth.Z"], np.float32([[50, 1e10], [60, 1e10], [70, 1e10]]))


@pytest.mark.parametrize("content, said", [
    (b"", "is no OpenEXR"), (b"PNG" + bytes(60), "begins otherwise"), (exr()[:-1], "is no OpenEXR"),
    (exr()[:40], "is no OpenEXR"), (exr(compression=3), "compressed"), (exr(flags=0x1000), "several parts"),
    (exr(rows=(5, 5, 6)), "in one piece"),
])  # fmt: skip
def test_what_is_not_such_a_file_is_refused(tmp_path, content, said):
    (tmp_path / "a.exr").write_bytes(content)
    with pytest.raises(HeadGaSError, match=said):
        read_channels(tmp_path / "a.exr")
    with pytest.raises(HeadGaSError, match="cannot be read"):
        read_channels(tmp_path / "b.exr")


def test_grey_pictures_are_whole_pngs():
    pixels = np.random.default_rng(0).integers(0, 65536, (5, 3), dtype=np.uint16)
    data = grey_png(pixels)
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    place, chunks = 8, {}
    while place < len(data):
        (length,), name = struct.unpack_from(">I", data, place), data[place + 4 : place + 8]
        chunks[name] = data[place + 8 : place + 8 + length]
        assert struct.unpack_from(">I", data, place + 8 + length)[0] == zlib.crc32(name + chunks[name])
        place += 12 + length
    assert list(chunks) == [b"IHDR", b"IDAT", b"IEND"]
    assert struct.unpack(">2I5B", chunks[b"IHDR"]) == (3, 5, 16, 0, 0, 0, 0)
    lines = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(5, 7)
    assert (lines[:, 0] == 2).all()  # each row is what differs from the one above
    rows = np.cumsum(lines[:, 1:], axis=0, dtype=np.uint8)
    np.testing.assert_array_equal(rows.copy().view(">u2"), pixels)
