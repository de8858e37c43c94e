# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames as command lines list them, and files that were cut off while they were written, made byte by byte."""

import struct
import zlib

import pytest

from blender_headgas.core.errors import HeadGaSError
from blender_headgas.core.frames import is_whole, listed_frames, parse_frames


def _png() -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    body = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)) + chunk(b"IDAT", zlib.compress(b"\0\1\2\3"))
    return b"\x89PNG\r\n\x1a\n" + body + chunk(b"IEND", b"")


def _exr(parts: int, written: bool) -> bytes:
    """An OpenEXR file of one line in each part; its table is written last, zeros stand there until then."""
    attributes = b"compression\0compression\0" + struct.pack("<i", 1) + b"\0"
    attributes += b"dataWindow\0box2i\0" + struct.pack("<i4i", 16, 0, 0, 0, 0)
    header = struct.pack("<ii", 20000630, 2 | (0x1000 if parts > 1 else 0))
    header += (attributes + b"\0") * parts + (b"\0" if parts > 1 else b"")
    tables = b"".join(struct.pack("<Q", len(header) + 8 * parts if written else 0) for _ in range(parts))
    return header + tables + b"\1" * 20


@pytest.mark.parametrize(
    ("whole", "part"),
    [
        (_png(), _png()[:-1]),
        (_png(), _png()[:40]),
        (b"\xff\xd8\xff\xe0 a picture \xff\xd9", b"\xff\xd8\xff\xe0 a pict"),
        (_exr(1, True), _exr(1, False)),
        (_exr(3, True), _exr(3, False)),
        (_exr(1, True), _exr(1, True)[:30]),
        (b"BM of another format", b""),
    ],
)
def test_files_that_were_cut_off_are_told_from_whole_ones(tmp_path, whole, part):
    path = tmp_path / "frame"
    path.write_bytes(whole)
    assert is_whole(path)
    path.write_bytes(part)
    assert not is_whole(path)


def test_lists_of_frames():
    assert parse_frames("3, 5-7,6..8,-2") == [-2, 3, 5, 6, 7, 8]
    assert parse_frames("-3--1") == [-3, -2, -1]
    assert listed_frames([1, 2]) == "1, 2" and listed_frames(range(1, 20)).endswith("10 and 9 more")
    for wrong in ("", "1-", "a", "5-3", "1;2"):
        with pytest.raises(HeadGaSError, match="no list of frames"):
            parse_frames(wrong)
