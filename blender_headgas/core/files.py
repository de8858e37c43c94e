# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that are written whole or not at all."""

import os
from pathlib import Path

from .errors import HeadGaSError


def write_text(path: Path, text: str) -> None:
    """Writes a UTF-8 file beside its final name, then renames it; line ends stay as they are.

    Raises:
        HeadGaSError: it cannot be written.
    """
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: Path, content: bytes) -> None:
    """The same for any content.

    Raises:
        HeadGaSError: it cannot be written.
    """
    part = path.with_name(path.name + ".part")
    try:
        part.write_bytes(content)
        os.replace(part, path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise HeadGaSError(f"{path} cannot be written: {error.strerror or error}", "Choose another folder") from None
