# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compiling the CPU kernels once per machine."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numba
from numba.core.caching import FunctionCache

from headgas.splatting.kernel_folder import kernel_folder, locked

log = logging.getLogger(__name__)

_FOLDER = kernel_folder()


class _Cache(FunctionCache):
    """numba's cache of one kernel on disk, for several processes, and for disks that are full or fail."""

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The compiled kernel, or None."""
        try:
            return super().load_overload(sig, target_context)
        except Exception as error:  # unpickling a damaged file may raise anything
            log.warning("a compiled kernel in %s is damaged (%r): compiling it again", self.cache_path, error)
            self._drop()
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep a compiled kernel: one process at a time, since two would give their files the same number."""
        try:
            with locked(_FOLDER):
                super().save_overload(sig, data)
        except OSError as error:
            log.warning("a compiled kernel cannot be kept in %s (%s)", _FOLDER, error)

    def _drop(self) -> None:
        try:
            with locked(_FOLDER):
                self.flush()
        except OSError as error:
            log.warning("the damaged file cannot be replaced (%s)", error)


def compiled(function: Callable) -> Callable:
    """Compile with numba, keep the result on disk, release Python's lock while it runs.

    What a kernel takes from other files, constants too, must come from files that define kernels, or from splatting/:
    the results of other sources are told apart by those files (see `kernel_folder`).
    """
    dispatcher: Any = numba.njit(nogil=True, error_model="numpy", fastmath={"contract", "nsz"})(function)
    config: Any = numba.config  # type: ignore[attr-defined]  # filled in at run time
    before = config.CACHE_DIR
    config.CACHE_DIR = str(_FOLDER)  # read while the cache is made; other users of numba keep theirs
    try:
        dispatcher._cache = _Cache(function)
    finally:
        config.CACHE_DIR = before
    return dispatcher


_said: set[str] = set()
_done: set[str] = set()


def is_compiled(what: str) -> bool:
    """Whether this machine has compiled these kernels before."""
    return what in _done or _marker(what).exists()


def announce(what: str, seconds: int, place: str = "") -> None:
    """Say once that these kernels are about to be compiled; `place` as in "3 of 7: "."""
    if what not in _said:
        _said.add(what)
        log.info("compiling %s%s, once per machine, about %d s", place, what, seconds)


@contextmanager
def announced(what: str, seconds: int) -> Iterator[None]:
    """Say once that a first use will compile, and remember on disk when it has."""
    if what in _done:
        yield
        return
    if not is_compiled(what):
        announce(what, seconds)
    yield
    _done.add(what)
    try:
        _FOLDER.mkdir(parents=True, exist_ok=True)
        _marker(what).touch()
    except OSError as error:
        log.warning("%s: %s", _FOLDER, error.strerror)


def _marker(what: str) -> Path:
    return _FOLDER / f"{what.replace(' ', '-')}.compiled"
