# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where compiled kernels are kept: one folder for each state of the sources, the old ones removed."""

import contextlib
import hashlib
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import llvmlite
import numba

from headgas.files import user_cache

if os.name == "nt":
    import msvcrt
else:
    import fcntl

log = logging.getLogger(__name__)

_IN_USE = "in-use"  # held by every process that works with the folder; its time is that of the last start
_KEPT = 5  # folders of other states of the sources
_DAYS = 30  # after which such a folder is removed
_held: list[BinaryIO] = []  # open for as long as this process lives


def kernel_folder() -> Path:
    """This process's folder: where a program keeps what it may make again, or, if nothing there can be written, a
    temporary one. Removes folders that have not been used for long."""
    name = _fingerprint(Path(__file__).parents[1])
    first = None
    for base in _bases():
        folder = base / "kernels" / name
        first = first or folder
        if _writable(folder):
            if folder is not first:
                log.warning("%s cannot be written: compiled kernels are kept in %s", first, folder)
            _hold(folder)
            _remove_old(folder)
            return folder
    folder = Path(tempfile.mkdtemp(prefix="headgas-kernels-"))
    log.warning("%s cannot be written: kernels are compiled in every process anew (%s)", first, folder)
    return folder


def _bases() -> Iterator[Path]:
    if os.environ.get("NUMBA_CACHE_DIR"):
        yield Path(os.environ["NUMBA_CACHE_DIR"])
    with contextlib.suppress(RuntimeError):  # a user without a home
        yield user_cache()
    shared = Path(tempfile.gettempdir())
    if os.name == "nt":  # each user has one
        yield shared / "headgas"
    elif (own := _own(shared / f"headgas-{os.getuid()}")) is not None:
        yield own


def _own(folder: Path) -> Path | None:
    """The folder, if nobody else can write to it: what lies in it is run."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
    except OSError:
        return None
    return folder if status.st_uid == os.getuid() and status.st_mode & 0o777 == 0o700 else None


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _fingerprint(package: Path) -> str:
    """Of the compiler and of every source that defines kernels: numba's index sees a change in a kernel's own file, but
    none in the functions that it calls."""
    digest = hashlib.sha256(f"{numba.__version__} {llvmlite.__version__}".encode())
    for source in sorted(package.rglob("*.py")):
        content = source.read_bytes()
        if source.parent.name == "splatting" or b"splatting.compiling import" in content:
            digest.update(source.relative_to(package).as_posix().encode() + b"\0" + content)
    return digest.hexdigest()[:16]


def _hold(folder: Path) -> None:
    """Mark the folder as in use until this process ends."""
    with contextlib.suppress(OSError):  # a file system without locks: the folder may be removed after 30 days
        (folder / _IN_USE).touch()
        file = (folder / _IN_USE).open("rb")
        _held.append(file)
        if os.name != "nt":
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)


def _remove_old(current: Path) -> None:
    """Remove the folders of other sources that nobody uses: all but the last few, and all that are old."""
    used = {}
    for folder in current.parent.iterdir():
        with contextlib.suppress(OSError):  # removed by another process
            if folder != current and folder.is_dir():
                mark = folder / _IN_USE
                used[folder] = (mark if mark.exists() else folder).stat().st_mtime
    newest_first = sorted(used, key=lambda folder: used[folder], reverse=True)
    for place, folder in enumerate(newest_first):
        if (place >= _KEPT or time.time() - used[folder] > _DAYS * 86400) and _is_free(folder):
            shutil.rmtree(folder, ignore_errors=True)


def _is_free(folder: Path) -> bool:
    """Whether no process holds the folder."""
    mark = folder / _IN_USE
    try:
        if os.name == "nt":
            mark.unlink(missing_ok=True)  # refused while a process has it open
        elif mark.exists():
            with mark.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes from writing to the folder; the system lets go when a process ends."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("ab") as file:
        if os.name == "nt":
            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)
        else:
            fcntl.flock(file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            if os.name == "nt":
                file.seek(0)
                msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)
