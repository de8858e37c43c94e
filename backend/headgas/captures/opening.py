# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Opening pictures: whatever is wrong with a file is one error that names it."""

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

from headgas.errors import HeadGaSError

# What Pillow's readers raise for files that are no pictures, or end too early, or say they are enormous; it calls a PNG
# with a wrong checksum a syntax error.
_DAMAGED = (OSError, SyntaxError, ValueError, EOFError, OverflowError, struct.error, zlib.error,
            Image.DecompressionBombError)  # fmt: skip


@contextmanager
def opened_picture(path: Path, what: str) -> Iterator[Image.Image]:
    """A picture, to be decoded where it is used.

    Args:
        what: what the message calls it, such as "the matte of frame 12".

    Raises:
        HeadGaSError: it is missing, damaged, or no picture.
    """
    try:
        with Image.open(path) as picture:
            yield picture
    except _DAMAGED as error:
        raise HeadGaSError(f"{path}: {what} cannot be read ({error}).") from None


def image_size(path: Path) -> tuple[int, int]:
    """Width and height of an image, from its first bytes.

    Raises:
        HeadGaSError: it is missing or damaged.
    """
    with opened_picture(path, "the size, which the cameras need,") as picture:
        return picture.size
