# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Avatars of clients on other machines: kept by the hash of their content, so that each travels once."""

import contextlib
import hashlib
import os
import re
import threading
from pathlib import Path
from typing import Any

from headgas.errors import HeadGaSError
from headgas.files import user_cache

_KEPT_BYTES = 20 * 2**30  # of uploads; those not asked for longest go first


class Uploads:
    """Receives files piece by piece; what is interrupted goes on where it stopped."""

    def __init__(self, folder: Path | None = None) -> None:
        """folder: for the files; by default in the user's cache."""
        self._folder = folder
        self._lock = threading.Lock()

    def receive(self, params: dict[str, Any]) -> dict[str, Any]:
        """Takes the next piece, if one came along, and says what is still missing.

        params: `sha256` (hexadecimal) and `bytes` of the whole file; with a piece, `offset` and `data`.
        Returns `path`, where the whole file is here, or None; and `have`, the bytes that have arrived.

        Raises:
            HeadGaSError: the request is not of this form, the file arrived damaged or cannot be kept.
        """
        digest, total = params["sha256"], params["bytes"]
        if not isinstance(digest, str) or not re.fullmatch("[0-9a-f]{64}", digest):
            raise HeadGaSError(f"The request's sha256 is {digest!r}; expected 64 hexadecimal digits.")
        if not isinstance(total, int) or total <= 0:
            raise HeadGaSError(f"The request's bytes are {total!r}; expected a file's size.")
        with self._lock:
            try:
                return self._receive(digest, total, params.get("offset"), params.get("data", b""))
            except OSError as error:
                raise HeadGaSError(f"The upload cannot be kept ({error.strerror or error}).") from None

    def _receive(self, digest: str, total: int, offset: Any, data: bytes) -> dict[str, Any]:
        folder = self._folder or user_cache() / "avatars"
        folder.mkdir(parents=True, exist_ok=True)
        target = folder / f"{digest}.safetensors"
        part = target.with_suffix(".part")
        if target.is_file():
            os.utime(target)
            return {"path": str(target), "have": total}
        have = part.stat().st_size if part.exists() else 0
        if data and offset == have:
            with part.open("ab") as file:
                file.write(data)
            have += len(data)
        if have < total:
            return {"path": None, "have": have}
        _check(part, digest)
        os.replace(part, target)
        _remove_old(folder, target)
        return {"path": str(target), "have": total}


def _check(part: Path, digest: str) -> None:
    """Raises, and forgets the file, when it is not what was announced."""
    with part.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != digest:
        part.unlink()
        raise HeadGaSError("An avatar arrived damaged.", "Try again: it is sent anew.")


def _remove_old(folder: Path, newest: Path) -> None:
    kept = 0
    for path in sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True):
        kept += path.stat().st_size
        if kept > _KEPT_BYTES and path != newest:
            with contextlib.suppress(OSError):  # in use, on Windows
                path.unlink()
