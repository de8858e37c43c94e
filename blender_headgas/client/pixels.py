# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The memory that the backend draws into: ours, shared, and as large as the largest frame so far."""

import logging
import math
import os
import zlib
from collections.abc import Mapping
from multiprocessing.shared_memory import SharedMemory
from typing import NamedTuple

import numpy as np

PASSES = {"median": 1, "normal": 3, "count": 1, "motion": 4}  # channels; docs/formats.md says what they hold
UNLIMITED = ("median", "count")  # passes that know no depth limit
_log = logging.getLogger(__name__)


class Layout(NamedTuple):
    """How many pixels a frame has, and of how many avatars it tells them apart."""

    width: int
    height: int
    covering: int = 0  # planes of coverage
    passes: tuple[str, ...] = ()  # of PASSES

    @property
    def bytes(self) -> int:
        """What a frame takes: float32 RGBA, depth, coverage and passes."""
        channels = 5 + self.covering + sum(PASSES[name] for name in self.passes)
        return 4 * self.width * self.height * channels


class Picture(NamedTuple):
    """What the backend answers with; float32, row 0 on top."""

    image: np.ndarray  # [H,W,4] scene-linear, premultiplied
    depth: np.ndarray  # [H,W] metres; 1e10 where nothing is hit
    coverage: np.ndarray | None = None  # [A,H,W] each avatar's share of alpha, where it was asked for
    legend: str = ""  # what the colours of an inspection mean, for the user
    passes: Mapping[str, np.ndarray] = {}  # [H,W] or [H,W,C] by name, those that were asked for
    seconds: float = 0.0  # that the backend took
    farthest: float = math.inf  # metres along the view: no depth limit behind it hides anything
    held: np.ndarray | None = None  # [H,W] how much meshes that are holdouts hide of what is behind all avatars


def split_frame(data: memoryview | bytes | None, layout: Layout) -> Picture:
    """Copies of a frame's planes."""
    height, width = layout.height, layout.width
    planes = np.ndarray((layout.bytes // (4 * height * width), height, width), np.float32, data)
    image, depth, coverage = planes[:4].reshape(height, width, 4), planes[4], planes[5 : 5 + layout.covering]
    passes, start = {}, 5 + layout.covering
    for name in layout.passes:
        channels = PASSES[name]
        shape = (height, width, channels) if channels > 1 else (height, width)
        passes[name] = planes[start : start + channels].reshape(shape).copy()
        start += channels
    return Picture(image.copy(), depth.copy(), coverage.copy() if layout.covering else None, passes=passes)


def decoded(data: bytes, encoding: str, layout: Layout) -> bytes:
    """The frame's bytes as they are in shared memory, from how they travelled (docs/formats.md, `encoding`).

    Raises:
        ValueError: they are not a frame of that layout.
    """
    frame = data
    if encoding != "raw":
        kind = np.float16 if encoding == "half" else np.float32
        split = 4 * layout.width * layout.height * np.dtype(kind).itemsize
        try:
            unpacked = zlib.decompress(data, bufsize=layout.bytes)
        except zlib.error as error:
            raise ValueError(f"broken pixels: {error}") from None
        colours = _interleaved(unpacked[:split], kind).astype(np.float32, copy=False)
        frame = colours.tobytes() + _interleaved(unpacked[split:], np.float32).tobytes()
    if len(frame) != layout.bytes:
        raise ValueError(f"{len(frame)} bytes of pixels instead of {layout.bytes}")
    return frame


def _interleaved(planes: bytes, kind: type) -> np.ndarray:
    """Numbers from the first bytes of all, then the second, …"""
    size = np.dtype(kind).itemsize
    if len(planes) % size:
        raise ValueError(f"{len(planes)} bytes of pixels")
    return np.ascontiguousarray(np.frombuffer(planes, np.uint8).reshape(size, -1).T).view(kind)


class PixelBuffer:
    """A shared memory segment that only grows; empty until the first frame."""

    def __init__(self) -> None:
        self._memory: SharedMemory | None = None

    def reserve(self, size: int) -> str | None:
        """The name of a segment of at least `size` bytes, or None where the system has no room for one.

        Without a segment the pixels travel over the connection: slower, and the same.
        """
        if self._memory is None or self._memory.size < size:
            self.close()
            self._memory = _allocated(size)
        return self._memory.name if self._memory else None

    def frame(self, layout: Layout) -> Picture:
        """Copies of the planes in the segment."""
        if self._memory is None:
            raise RuntimeError("no memory is reserved")
        return split_frame(self._memory.buf, layout)

    def write(self, data: bytes) -> None:
        """Begins the segment with bytes for the backend to read before it draws."""
        if self._memory is None or self._memory.buf is None:
            raise RuntimeError("no memory is reserved")
        self._memory.buf[: len(data)] = data

    def close(self) -> None:
        """Gives the memory back to the system."""
        if self._memory is not None:
            memory, self._memory = self._memory, None
            memory.close()
            memory.unlink()


def _allocated(size: int) -> SharedMemory | None:
    """A segment whose pages exist: on a full /dev/shm, writing to pages that don't would kill the writer."""
    try:
        memory = SharedMemory(create=True, size=size)
    except OSError as error:
        _log.warning("no shared memory (%s): pixels travel over the connection", error)
        return None
    try:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(memory._fd, 0, size)  # type: ignore[attr-defined]
    except OSError as error:
        _log.warning("no room for %d bytes of shared memory (%s): pixels travel over the connection", size, error)
        memory.close()
        memory.unlink()
        return None
    return memory
