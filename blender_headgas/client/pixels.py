# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The memory that the backend draws into: ours, shared, and as large as the largest frame so far."""

import logging
import os
from multiprocessing.shared_memory import SharedMemory

import numpy as np

_BYTES_PER_PIXEL = 20  # float32 RGBA and depth
_log = logging.getLogger(__name__)


def frame_bytes(width: int, height: int) -> int:
    """The size of one frame in bytes."""
    return width * height * _BYTES_PER_PIXEL


def split_frame(data: memoryview | bytes | None, width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    """Copies of the image [H,W,4] and the depth [H,W] (metres), float32, row 0 on top."""
    values = np.ndarray(width * height * 5, np.float32, data)
    image, depth = values[: width * height * 4], values[width * height * 4 :]
    return image.reshape(height, width, 4).copy(), depth.reshape(height, width).copy()


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

    def frame(self, width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
        """Copies of the image [H,W,4] and the depth [H,W] in the segment."""
        if self._memory is None:
            raise RuntimeError("no memory is reserved")
        return split_frame(self._memory.buf, width, height)

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
