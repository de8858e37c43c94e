# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Our own avatar files among the others."""

from pathlib import Path

from headgas.avatars import load_avatar
from headgas.avatars.checkpoint import load_surface
from headgas.errors import HeadGaSError
from headgas.exchange.imported import Imported, ReadingOptions

SUFFIX = ".safetensors"


def is_safetensors(start: bytes) -> bool:
    """Whether a file that begins so is a safetensors file: the length of a JSON object, then that."""
    return start[8:10] == b'{"' and int.from_bytes(start[:8], "little") < 1 << 32


def is_own(path: Path) -> bool:
    """Whether a path is a safetensors file that can be read."""
    try:
        with path.open("rb") as file:
            return is_safetensors(file.read(10))
    except OSError:
        return False


def read_own(path: Path, options: ReadingOptions) -> Imported:
    """The avatar in one of our files.

    Raises:
        HeadGaSError: the file is damaged, foreign or newer, or options are given that it needs none of.
    """
    if (options.axes, options.scale) != (None, 1.0):
        raise HeadGaSError(f"{path}: is in head space and metres already; it takes neither axes nor a scale.")
    checkpoint = load_avatar(path)
    header = checkpoint.header
    form = f"HeadGaS avatar of version {header['version']}"
    return Imported(checkpoint.avatar, form, (), header["preset"], header["training"], load_surface(path))
