# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that hold pickles, read without running what is in them.

A pickle is a program: it may name any function and call it. Here only the few that build tensors, arrays and plain
containers can be named; anything else is refused before it is called, and the message says what it was.
"""

import codecs
import collections
import io
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from headgas.errors import HeadGaSError

_TORCH_STARTS = (b"PK", b"\x80\x02")  # of zips, and of pickles of the protocol that torch takes
_LARGEST = 8 << 30  # bytes that a zip may unpack to
_DAMAGED = (pickle.UnpicklingError, EOFError, KeyError, IndexError, AttributeError, TypeError, ValueError, RuntimeError,
            MemoryError, OverflowError, UnicodeDecodeError, zipfile.BadZipFile)  # fmt: skip
_reconstruct = np.zeros(0).__reduce__()[0]  # numpy's own, wherever this version of it keeps that
_scalar = np.float64(0).__reduce__()[0]


class Held:
    """What stands for an object of a program that is not here: its state, and nothing it could do."""

    def __init__(self, *arguments: Any) -> None:
        self.arguments = arguments
        self.state: Any = {}

    def __setstate__(self, state: Any) -> None:
        self.state = state


def _encode(text: str, encoding: str = "latin1") -> bytes:
    """`_codecs.encode` as pickles of bytes use it, and for nothing else."""
    if encoding not in ("latin1", "latin-1"):
        raise pickle.UnpicklingError(f"encodes with {encoding!r}")
    return codecs.encode(text, "latin1")


_ARRAYS: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _reconstruct for core in ("core", "_core")},
    **{(f"numpy.{core}.multiarray", "scalar"): _scalar for core in ("core", "_core")},
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("_codecs", "encode"): _encode,
    **{(module, name): getattr(__import__("builtins"), name) for module in ("builtins", "__builtin__")
       for name in ("set", "frozenset", "complex", "bytearray", "list", "dict", "tuple", "int", "float", "bool")},
}  # fmt: skip
_HELD = {
    ("chumpy.ch", "Ch"), ("chumpy.reordering", "Select"), ("scipy.sparse.csc", "csc_matrix"),
    ("scipy.sparse._csc", "csc_matrix"), ("scipy.sparse.csr", "csr_matrix"), ("scipy.sparse._csr", "csr_matrix"),
    ("scipy.sparse.coo", "coo_matrix"), ("scipy.sparse._coo", "coo_matrix"),
}  # fmt: skip


class _Restricted(pickle.Unpickler):
    """Knows the names above, and no others."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _HELD:
            return type(name, (Held,), {"origin": f"{module}.{name}"})
        found = _ARRAYS.get((module, name))
        if found is None:
            raise _Forbidden(f"{module}.{name}")
        return found


class _Forbidden(Exception):
    """A pickle names what it must not."""


def read_pickle(path: Path) -> Any:
    """What a plain pickle holds: containers, numbers, texts, numpy arrays, and `Held` for chumpy's and scipy's objects.

    Texts that Python 2 wrote are read as Latin-1.

    Raises:
        HeadGaSError: the file is missing, damaged, or names anything else.
    """
    return _guarded(path, lambda: _Restricted(io.BytesIO(path.read_bytes()), encoding="latin1").load())


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
            values = _Restricted(file, encoding="latin1").load()
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
            if file.read(2) not in _TORCH_STARTS:
                raise ValueError("torch did not write it")
        if zipfile.is_zipfile(path):
            _check_size(path)
        dtypes = [type(np.dtype(code)) for code in "?bBhHiIlLqQefd"]
        allowed: list[Any] = [np.ndarray, np.dtype, *dtypes]
        for core in ("core", "_core"):
            allowed += [(_reconstruct, f"numpy.{core}.multiarray._reconstruct")]
            allowed += [(_scalar, f"numpy.{core}.multiarray.scalar")]
        allowed += [(_encode, "_codecs.encode")]
        with torch.serialization.safe_globals(allowed):
            return torch.load(path, map_location="cpu", weights_only=True)

    return _guarded(path, load)


def as_array(value: Any) -> np.ndarray:
    """The numbers of an array, or of a tensor that may have been about to be trained; objects where it is neither."""
    if isinstance(value, torch.Tensor):
        return np.asarray(value.detach().double())
    return value if isinstance(value, np.ndarray) else np.array(value, object)


def _check_size(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        size = sum(info.file_size for info in archive.infolist())
    if size > _LARGEST:
        raise HeadGaSError(f"{path}: unpacks to {size:,} bytes; at most {_LARGEST:,} are read.")


def _guarded(path: Path, load: Callable[[], Any]) -> Any:
    try:
        return load()
    except OSError as error:
        raise HeadGaSError(f"{path}: cannot be read ({error.strerror or error}).") from None
    except _Forbidden as error:
        raise _refused(path, str(error)) from None
    except _DAMAGED as error:
        if (name := _named_by_torch(str(error))) is not None:
            raise _refused(path, name) from None
        said = str(error).splitlines()[0].partition(". ")[0][:200] if str(error) else type(error).__name__
        if "allow_pickle" in said or "Python objects in dtype" in said:
            raise HeadGaSError(f"{path}: holds Python objects where an array of numbers was expected.") from None
        raise HeadGaSError(f"{path}: is damaged, or is no such file ({said}).") from None


def _named_by_torch(message: str) -> str | None:
    """The global that torch.load(weights_only=True) refused, from its message."""
    for start in ("Unsupported global: GLOBAL ", "Trying to load unsupported GLOBAL ", "unsupported class "):
        if start in message:
            return message.split(start, 1)[1].split(maxsplit=1)[0].rstrip(".,")
    return "an operation" if "Unsupported operand" in message or "Unsupported class" in message else None


def _refused(path: Path, name: str) -> HeadGaSError:
    return HeadGaSError(
        f"{path}: is refused: opening it would call {name}, which no model needs.",
        "The file may be malicious. Nothing of it was run. Get it from somewhere you trust, or ask its author for "
        "a .safetensors or .ply file.",
    )
