# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames of a sequence: their numbers as command lines have them, and whether a picture's file is whole."""

import re
import struct
from collections.abc import Iterable
from pathlib import Path

from .errors import HeadGaSError

_PNG, _PNG_END = b"\x89PNG\r\n\x1a\n", b"IEND\xae\x42\x60\x82"
_JPEG, _JPEG_END = b"\xff\xd8", b"\xff\xd9"
_EXR = b"\x76\x2f\x31\x01"
_HEADER_LIMIT = 1 << 20  # bytes
_MULTI_PART = 0x1000  # OpenEXR's flag in the version field
_SHOWN = 10


def parse_frames(text: str) -> list[int]:
    """The frames of "1-10,15" or "1..10,15", in order, each once.

    Raises:
        HeadGaSError: it is no list of frames.
    """
    frames: set[int] = set()
    for part in text.split(","):
        match = re.fullmatch(r"\s*(-?\d+)(?:(?:-|\.\.)(-?\d+))?\s*", part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if first > last:
            raise HeadGaSError(f"'{text}' is no list of frames", "Frames are listed as in 1-10,15")
        frames.update(range(first, last + 1))
    return sorted(frames)


def listed_frames(frames: Iterable[int]) -> str:
    """Frames for the user, the first of them by number."""
    frames = list(frames)
    more = f" and {len(frames) - _SHOWN} more" if len(frames) > _SHOWN else ""
    return ", ".join(map(str, frames[:_SHOWN])) + more


def is_whole(path: Path) -> bool:
    """Whether a picture's file was written to its end, as PNG, JPEG and OpenEXR show; another is, if not empty."""
    size = path.stat().st_size
    if size == 0:
        return False
    with path.open("rb") as file:
        start = file.read(min(size, _HEADER_LIMIT))
        file.seek(max(0, size - len(_PNG_END)))
        end = file.read()
    if start.startswith(_PNG):
        return end.endswith(_PNG_END)
    if start.startswith(_JPEG):
        return end.endswith(_JPEG_END)
    if start.startswith(_EXR):
        return _exr_is_whole(start)
    return True


def _exr_is_whole(start: bytes) -> bool:
    """OpenEXR, file layout: the table of chunks follows the headers, and is filled in last."""
    several = bool(struct.unpack_from("<i", start, 4)[0] & _MULTI_PART)
    place = 8
    try:
        while start[place]:  # an attribute: name, type, size, value
            for _ in range(2):
                place = start.index(b"\0", place) + 1
            place += 4 + struct.unpack_from("<i", start, place)[0]
            if several and start[place] == 0 and start[place + 1] != 0:  # the next part's header
                place += 1
        place += 2 if several else 1
        return struct.unpack_from("<Q", start, place)[0] != 0
    except (IndexError, ValueError, struct.error):
        return False
