# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that hold pickles or may hold them, read without running what is in them.

A malicious file is refused before anything in it is called, and the message says what that was.
"""

import io
import pickle
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from headgas.errors import HeadGaSError
from headgas.torch_files import is_torch, read_legacy, read_zip
from headgas.unpickling import Forbidden, Held, Restricted

__all__ = ["Held", "as_array", "read_array", "read_npz", "read_objects", "read_pickle", "read_torch"]

_PLAUSIBLE, _MOST_COMPRESSED = 1 << 28, 100  # bytes that any zip may unpack to; how much smaller a larger one may be
_DAMAGED = (pickle.UnpicklingError, EOFError, LookupError, AttributeError, TypeError, ValueError, RuntimeError,
            MemoryError, OverflowError, SyntaxError, tokenize.TokenError, struct.error, zipfile.BadZipFile,
            zlib.error)  # fmt: skip


def read_pickle(path: Path) -> Any:
    """What a plain pickle holds: containers, numbers, texts, numpy arrays, and `Held` for chumpy's and scipy's objects.

    Texts that Python 2 wrote are read as Latin-1.

    Raises:
        HeadGaSError: the file is missing, damaged, or names anything else.
    """
    return _guarded(path, lambda: Restricted(io.BytesIO(path.read_bytes())).load())


def read_array(path: Path) -> np.ndarray:
    """The array of a `.npy` file, never through a pickle; it is read from the disk as it is used.

    Raises:
        HeadGaSError: the file is missing, damaged, or holds Python objects.
    """
    return _guarded(path, lambda: np.lib.format.open_memmap(path, "c"))


def read_objects(path: Path) -> Any:
    """What a `.npy` file of Python objects holds, `np.save(path, {...})`'s dict for example: as `read_pickle` has it.

    Raises:
        HeadGaSError: the file is missing, damaged, or names anything else.
    """

    def load() -> Any:
        with path.open("rb") as file:
            version = np.lib.format.read_magic(file)
            read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
            shape, _, dtype = read[version](file)
            if not dtype.hasobject:
                raise ValueError("it holds numbers, not objects")
            values = Restricted(io.BytesIO(file.read())).load()
        return values.item() if shape == () and isinstance(values, np.ndarray) else values

    return _guarded(path, load)


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an `.npz` file, never through a pickle.

    Raises:
        HeadGaSError: the file is missing, damaged, or holds Python objects.
    """

    def load() -> dict[str, np.ndarray]:
        _check_size(path)
        with np.load(path, allow_pickle=False) as archive:
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise ValueError("it is no archive of arrays")
            return {name: archive[name] for name in archive.files}

    return _guarded(path, load)


def read_torch(path: Path) -> Any:
    """What `torch.save` wrote, of either layout, with every tensor on the CPU; numpy arrays are allowed in it.

    Raises:
        HeadGaSError: the file is missing, damaged, or names anything but tensors, arrays and containers.
    """

    def load() -> Any:
        with path.open("rb") as file:
            if not is_torch(file.read(2)):
                raise ValueError("torch did not write it")
        if not zipfile.is_zipfile(path):
            return read_legacy(path.read_bytes())
        _check_size(path)
        with zipfile.ZipFile(path) as archive:
            return read_zip(archive)

    return _guarded(path, load)


def as_array(value: Any) -> np.ndarray:
    """The numbers of an array, or of a tensor that may have been about to be trained; else the object itself []."""
    if isinstance(value, torch.Tensor):
        return np.asarray(value.detach().double())
    if isinstance(value, np.ndarray):
        return value
    alone = np.empty((), object)  # np.array would look into lists, which may hold each other a million times
    alone[()] = value
    return alone


def _check_size(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        size = sum(info.file_size for info in archive.infolist())
    if size > max(_PLAUSIBLE, _MOST_COMPRESSED * path.stat().st_size):
        raise HeadGaSError(f"{path}: unpacks to {size:,} bytes, too many for its {path.stat().st_size:,}.")


def _guarded(path: Path, load: Callable[[], Any]) -> Any:
    try:
        return load()
    except OSError as error:
        raise HeadGaSError(f"{path}: cannot be read ({error.strerror or error}).") from None
    except Forbidden as error:
        raise _refused(path, str(error)) from None
    except _DAMAGED as error:
        said = str(error).splitlines()[0].partition(". ")[0][:200] if str(error) else type(error).__name__
        if "allow_pickle" in said or "Python objects in dtype" in said:
            raise HeadGaSError(f"{path}: holds Python objects where an array of numbers was expected.") from None
        raise HeadGaSError(f"{path}: is damaged, or is no such file ({said}).") from None


def _refused(path: Path, name: str) -> HeadGaSError:
    return HeadGaSError(
        f"{path}: is refused: opening it would call {name}, which no model needs.",
        "The file may be malicious. Nothing of it was run. Get it from somewhere you trust, or ask its author for "
        "a .safetensors or .ply file.",
    )
