# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes grey pictures of 16 bits as PNG, which Blender itself writes in colour only."""

import struct
import zlib

import numpy as np

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_UP = 2  # the filter of a row: what differs from the row above


def grey_png(pixels: np.ndarray) -> bytes:
    """The file of a picture [H,W] uint16, row 0 on top (PNG, third edition, sections 5, 9 and 11)."""
    height, width = pixels.shape
    rows = np.ascontiguousarray(pixels, ">u2").view(np.uint8).reshape(height, 2 * width)
    lines = np.full((height, 1 + 2 * width), _UP, np.uint8)
    lines[0, 1:] = rows[0]
    lines[1:, 1:] = rows[1:] - rows[:-1]
    header = struct.pack(">2I5B", width, height, 16, 0, 0, 0, 0)  # 16 bits, grey, the only methods, no interlacing
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(lines.tobytes(), 6)), (b"IEND", b""))
    return _SIGNATURE + b"".join(_chunk(name, content) for name, content in chunks)


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
