# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compiling the CPU kernels once per machine."""

import hashlib
import logging
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numba

log = logging.getLogger(__name__)


def _user_cache() -> Path:
    """Where this system keeps what a program may make again."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "headgas" / "cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "headgas"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "headgas"


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _cache_folder() -> Path:
    """One folder for each state of the sources: numba's index does not see changes in functions it calls."""
    fingerprint = hashlib.sha256(numba.__version__.encode())
    for source in sorted(Path(__file__).parent.glob("*.py")):
        fingerprint.update(source.read_bytes())
    wishes = [Path(os.environ["NUMBA_CACHE_DIR"])] if os.environ.get("NUMBA_CACHE_DIR") else []
    for base in (*wishes, _user_cache(), Path(tempfile.gettempdir()) / "headgas-kernels"):
        folder = base / "kernels" / fingerprint.hexdigest()[:16]
        if _writable(folder):
            return folder
    return Path(tempfile.mkdtemp(prefix="headgas-kernels-"))


_FOLDER = _cache_folder()


def compiled(function: Callable) -> Callable:
    """Compile with numba, keep the result on disk, release Python's lock while it runs."""
    config: Any = numba.config  # type: ignore[attr-defined]  # filled in at run time
    before = config.CACHE_DIR
    config.CACHE_DIR = str(_FOLDER)  # read while the function is decorated; other users of numba keep theirs
    try:
        return numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "nsz"})(function)
    finally:
        config.CACHE_DIR = before


_announced: set[str] = set()


@contextmanager
def announced(what: str, seconds: int) -> Iterator[None]:
    """Say once that a first use will compile, and remember on disk when it has."""
    if what in _announced:
        yield
        return
    marker = _FOLDER / f"{what.replace(' ', '-')}.compiled"
    if not marker.exists():
        log.info("compiling %s, once per machine, about %d s", what, seconds)
    yield
    marker.touch()
    _announced.add(what)
