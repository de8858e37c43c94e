# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""A film without sound: JPEG pictures in an AVI file, which needs no other program and plays nearly everywhere.

Sources: Microsoft, "AVI RIFF File Reference", 1992; the pictures are the stream 0 of compressed video, handler MJPG.
"""

import io
import os
import struct
from pathlib import Path
from types import TracebackType

import numpy as np
from PIL import Image

from headgas.errors import HeadGaSError

_QUALITY = 92  # of JPEG
_HAS_INDEX, _KEY_FRAME = 0x10, 0x10
_LIMIT = 2**32 - 2**20  # bytes: sizes are 32-bit numbers
_HEADER = 224  # bytes before the first picture
_UNIT = 1000  # of the frame rate: thousandths of a frame per second


class Film:
    """Pictures that become a file when all went well, and none otherwise."""

    def __init__(self, path: Path, rate: float) -> None:
        """rate: pictures per second."""
        self._path, self._rate = path, rate
        self._unfinished = path.with_name(path.name + ".part")
        self._sizes: list[int] = []
        self._shape = (0, 0)  # height and width, pixels

    def __enter__(self) -> "Film":
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._unfinished.open("wb")
            self._file.write(bytes(_HEADER))
        except OSError as error:
            raise self._error(error) from None
        return self

    def add(self, image: np.ndarray) -> None:
        """One picture [H,W,3] uint8, of the same size as all others.

        Raises:
            HeadGaSError: the file cannot be written, or grows beyond what the format can hold.
        """
        if self._sizes and image.shape[:2] != self._shape:
            sizes = " and ".join(f"{width}×{height}" for height, width in (self._shape, image.shape[:2]))
            message = f"{self._path}: the pictures of a film must be of one size, these are of {sizes}."
            raise HeadGaSError(message, "Write pictures into a folder.")
        self._shape = image.shape[0], image.shape[1]
        stream = io.BytesIO()
        Image.fromarray(image).save(stream, format="JPEG", quality=_QUALITY, subsampling=0)
        data = stream.getvalue()
        try:
            if self._file.tell() + len(data) > _LIMIT:
                raise HeadGaSError(f"{self._path}: a film cannot be larger than 4 GB.", "Write pictures into a folder.")
            self._file.write(b"00dc" + struct.pack("<I", len(data)) + data + bytes(len(data) % 2))
        except OSError as error:
            raise self._error(error) from None
        self._sizes.append(len(data))

    def __exit__(self, kind: type[BaseException] | None, _: object, __: TracebackType | None) -> None:
        if kind is not None or not self._sizes:
            self._file.close()
            self._unfinished.unlink(missing_ok=True)
            return
        try:
            with self._file:
                self._file.write(self._index())
                end = self._file.tell()
                self._file.seek(0)
                self._file.write(self._header(end))
            os.replace(self._unfinished, self._path)
        except OSError as error:
            raise self._error(error) from None

    def _index(self) -> bytes:
        entries, offset = b"", 4  # counted from the word "movi"
        for size in self._sizes:
            entries += b"00dc" + struct.pack("<III", _KEY_FRAME, offset, size)
            offset += 8 + size + size % 2
        return b"idx1" + struct.pack("<I", len(entries)) + entries

    def _header(self, end: int) -> bytes:
        height, width = self._shape
        count, largest, rate = len(self._sizes), max(self._sizes), round(self._rate * _UNIT)
        times = round(1e6 / self._rate), round(largest * self._rate)
        main = struct.pack("<14I", *times, 0, _HAS_INDEX, count, 0, 1, largest, width, height, 0, 0, 0, 0)
        stream = struct.pack("<4s4sIHHIIIIIIII4H", b"vids", b"MJPG", 0, 0, 0, 0, _UNIT, rate, 0, count, largest,
                             0xFFFFFFFF, 0, 0, 0, width, height)  # fmt: skip
        picture = struct.pack("<IiiHH4sIiiII", 40, width, height, 1, 24, b"MJPG", 3 * width * height, 0, 0, 0, 0)
        streams = b"strl" + _chunk(b"strh", stream) + _chunk(b"strf", picture)
        headers = b"hdrl" + _chunk(b"avih", main) + _chunk(b"LIST", streams)
        movie = 4 + sum(8 + size + size % 2 for size in self._sizes)
        whole = b"AVI " + _chunk(b"LIST", headers) + b"LIST" + struct.pack("<I", movie) + b"movi"
        header = b"RIFF" + struct.pack("<I", end - 8) + whole
        assert len(header) == _HEADER
        return header

    def _error(self, error: OSError) -> HeadGaSError:
        return HeadGaSError(f"{self._path}: cannot be written ({error.strerror or error}).")


def _chunk(name: bytes, data: bytes) -> bytes:
    return name + struct.pack("<I", len(data)) + data
