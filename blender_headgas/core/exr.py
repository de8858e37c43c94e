# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads channels of an OpenEXR file as Blender writes it without compression.

The layout is that of "OpenEXR File Layout" (openexr.com): one part, scan lines, each a record of its own.
"""

import struct
from pathlib import Path

import numpy as np

from .errors import HeadGaSError

_MAGIC, _VERSION = 20000630, 2
_NOT_PLAIN = 0x200 | 0x800 | 0x1000  # flags: tiles, deep data, several parts
_KINDS = ("<u4", "<f2", "<f4")  # of pixels, by their number


def read_channels(path: Path) -> dict[str, np.ndarray]:
    """Every channel [H,W] by its full name, row 0 on top.

    Raises:
        HeadGaSError: the file is missing, cut off, or no uncompressed file of scan lines.
    """
    try:
        data = path.read_bytes()
        attributes, place = _header(data)
        if attributes["compression"][0]:
            raise ValueError("it is compressed")
        x0, y0, x1, y1 = struct.unpack("<4i", attributes["dataWindow"])
        width, height = x1 - x0 + 1, y1 - y0 + 1
        channels = _channels(attributes["channels"], width)
        record = np.dtype([("y", "<i4"), ("size", "<i4"), *channels])
        rows = np.frombuffer(data, record, height, place + 8 * height)  # behind the table of their places
        rows = rows[np.argsort(rows["y"])]
        if (rows["y"] != np.arange(y0, y1 + 1)).any():
            raise ValueError("its rows are not in one piece")
    except OSError as error:
        raise HeadGaSError(f"{path} cannot be read: {error.strerror or error}") from None
    except (ValueError, KeyError, IndexError, struct.error) as error:
        raise HeadGaSError(f"{path} is no OpenEXR file as Blender writes it without compression ({error})") from None
    return {name: rows[name] for name, _, _ in channels}


def _header(data: bytes) -> tuple[dict[str, bytes], int]:
    """The attributes by name, and where they end."""
    magic, version = struct.unpack_from("<2i", data)
    if magic != _MAGIC or version & 0xFF != _VERSION:
        raise ValueError("it begins otherwise")
    if version & _NOT_PLAIN:
        raise ValueError("it has tiles or several parts")
    attributes, place = {}, 8
    while data[place]:
        name, place = _text(data, place)
        _, place = _text(data, place)  # its type, which the name tells
        (size,) = struct.unpack_from("<i", data, place)
        place += 4
        attributes[name] = data[place : place + size]
        place += size
    return attributes, place + 1


def _channels(data: bytes, width: int) -> list[tuple[str, str, tuple[int]]]:
    """What a row holds."""
    found, place = [], 0
    while data[place]:
        name, place = _text(data, place)
        kind, _, x_step, y_step = struct.unpack_from("<4i", data, place)
        if (x_step, y_step) != (1, 1):
            raise ValueError(f"{name} has fewer pixels than the others")
        found.append((name, _KINDS[kind], (width,)))
        place += 16
    return found


def _text(data: bytes, place: int) -> tuple[str, int]:
    """A text that ends with a zero, and where the next thing begins."""
    end = data.index(0, place)
    return data[place:end].decode("utf-8"), end + 1
