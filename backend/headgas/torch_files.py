# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `torch.save` writes, of both layouts, read without torch's own reader.

That one refuses code, too, but makes tensors of any size that a file claims, also beyond the bytes that it holds.

Source: torch/serialization.py and torch/_utils.py of PyTorch 2. A zip holds `NAME/data.pkl` and the bytes of each
storage in `NAME/data/KEY`; the older layout is a row of pickles, then each storage's number of elements and bytes.
"""

import io
import pickle
import struct
import zipfile
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from headgas.unpickling import Restricted

_MAGIC, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001  # of the older layout
_STORAGES = {
    "DoubleStorage": torch.float64, "FloatStorage": torch.float32, "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16, "LongStorage": torch.int64, "IntStorage": torch.int32,
    "ShortStorage": torch.int16, "CharStorage": torch.int8, "ByteStorage": torch.uint8, "BoolStorage": torch.bool,
}  # fmt: skip


def _tensor(storage: Tensor, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: Any) -> Tensor:
    """torch's `_rebuild_tensor_v2`: a view of a storage [n], which it must lie in and cannot be larger than."""
    elements, last = 1, offset
    for length, step in zip(size, stride, strict=True):
        if min(length, step) < 0:
            raise pickle.UnpicklingError("a tensor of negative size")
        elements, last = elements * length, last + max(0, length - 1) * step
    if offset < 0 or elements and last >= len(storage) or elements > max(1, len(storage)):
        raise pickle.UnpicklingError(f"a tensor {list(size)} of more than the {len(storage)} numbers that are there")
    return storage.as_strided(size, stride, offset if elements else 0)


def _parameter(data: Tensor, *_: Any) -> Tensor:
    return data


_NAMES: dict[tuple[str, str], Any] = {
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    ("torch", "Size"): tuple,
    **{("torch", name): dtype for name, dtype in _STORAGES.items()},
}


class _Unpickler(Restricted):
    """Knows tensors, too. storage: from a key, the kind of its numbers and their number to the tensor [n] of them."""

    def __init__(self, file: io.BytesIO, storage: Callable[[str, torch.dtype, int], Tensor]) -> None:
        super().__init__(file)
        self._storage = storage

    def find_class(self, module: str, name: str) -> Any:
        return _NAMES[module, name] if (module, name) in _NAMES else super().find_class(module, name)

    def persistent_load(self, pid: Any) -> Any:
        match pid:
            case ["storage", torch.dtype() as dtype, str() as key, str(), int() as count, *_] if count >= 0:
                return self._storage(key, dtype, count)
        raise pickle.UnpicklingError("a storage that is none")


def is_torch(start: bytes) -> bool:
    """Whether a file that begins so may be one of torch's: a zip, or a pickle of the protocol that it takes."""
    return start[:2] in (b"PK", b"\x80\x02")


def read_zip(archive: zipfile.ZipFile) -> Any:
    """What the newer layout holds, every tensor on the CPU."""
    names = archive.namelist()
    root = next((name.removesuffix("data.pkl") for name in names if name.endswith("/data.pkl")), None)
    if root is None:
        raise ValueError("torch did not write it")
    if f"{root}byteorder" in names and archive.read(f"{root}byteorder").strip() != b"little":
        raise ValueError("its numbers are big-endian")
    storages: dict[str, Tensor] = {}

    def storage(key: str, dtype: torch.dtype, count: int) -> Tensor:
        if key not in storages:
            storages[key] = _numbers(archive.read(f"{root}data/{key}"), dtype, count)
        return _same(storages[key], dtype, count)

    return _Unpickler(io.BytesIO(archive.read(f"{root}data.pkl")), storage).load()


def read_legacy(content: bytes) -> Any:
    """What the older layout holds, every tensor on the CPU."""
    file = io.BytesIO(content)
    if Restricted(file).load() != _MAGIC or Restricted(file).load() != _PROTOCOL:
        raise ValueError("torch did not write it")
    Restricted(file).load()  # of what machine it is
    storages: dict[str, Tensor] = {}

    def storage(key: str, dtype: torch.dtype, count: int) -> Tensor:
        if key not in storages:  # its bytes follow
            claimed = sum(known.nbytes for known in storages.values()) + count * dtype.itemsize
            if claimed > len(content):
                raise EOFError(f"claims {claimed:,} bytes of numbers")
            storages[key] = torch.zeros(count, dtype=dtype)
        return _same(storages[key], dtype, count)

    held = _Unpickler(file, storage).load()
    for key in Restricted(file).load():
        (count,) = struct.unpack("<q", file.read(8))
        filled = storages[key]
        filled.copy_(_numbers(file.read(len(filled) * filled.dtype.itemsize), filled.dtype, count))
    return held


def _numbers(data: bytes, dtype: torch.dtype, count: int) -> Tensor:
    """The tensor [count] of bytes."""
    if len(data) != count * dtype.itemsize:
        raise EOFError(f"holds {len(data):,} bytes for {count:,} numbers")
    return torch.frombuffer(bytearray(data), dtype=dtype) if count else torch.empty(0, dtype=dtype)


def _same(storage: Tensor, dtype: torch.dtype, count: int) -> Tensor:
    if storage.dtype != dtype or len(storage) != count:
        raise pickle.UnpicklingError("a storage of two kinds")
    return storage
