# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writing a file whole or not at all, beside the final name; and where goes what can be made again."""

import contextlib
import io
import os
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from headgas.errors import HeadGaSError


def write(path: Path, content: bytes | str) -> None:
    """Writes a file, with the folder that it is in; text as UTF-8.

    Raises:
        HeadGaSError: it cannot be written.
    """
    unfinished = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_bytes(content.encode() if isinstance(content, str) else content)
        os.replace(unfinished, path)
    except OSError as error:
        with contextlib.suppress(OSError):  # a full disk has room again
            unfinished.unlink()
        raise HeadGaSError(f"{path}: cannot be written ({error.strerror or error}).") from None


def save_image(path: Path, image: np.ndarray) -> None:
    """Writes [H,W,3 or 4] uint8 as PNG.

    Raises:
        HeadGaSError: the file cannot be written.
    """
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, format="PNG")
    write(path, stream.getvalue())

def user_cache() -> Path:
    """Where this system keeps what a program may make again."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "headgas" / "cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "headgas"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "headgas"
