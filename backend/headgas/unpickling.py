# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The restricted unpickler: what a pickle may name, and the little that those names do here.

A pickle is a program: it may name any function and call it. Here only the few that build arrays and plain containers
can be named; anything else is refused before it is called. Nothing that can be named makes more than the file holds,
and what Python itself would take too much memory or stack for is refused before it begins.
"""

import codecs
import collections
import io
import math
import pickle
import pickletools
import re
from typing import Any

import numpy as np

_ORDERS = ("<", ">", "=", "|")
_MOST_OPERATIONS = 1_000_000  # a model needs some thousands
_DEEPEST = 100  # tuples in each other: their hash takes stack for each
_PUTS, _GETS = ("PUT", "BINPUT", "LONG_BINPUT"), ("GET", "BINGET", "LONG_BINGET")
_MARK = -1


class Forbidden(Exception):
    """A pickle names what it must not."""


class Held:
    """What stands for an object of a program that is not here: its state, and nothing it could do."""

    def __init__(self, *arguments: Any) -> None:
        self.arguments = arguments
        self.state: Any = {}

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Type:
    """`numpy.dtype`, of plain numbers, texts and objects: other states than theirs are for whoever wants harm."""

    def __init__(self, code: str, *_: Any) -> None:
        if not isinstance(code, str) or not re.fullmatch(r"[biufcSUO]\d{0,9}", code):
            raise pickle.UnpicklingError(f"numbers of the kind {code!r}")
        self.dtype = np.dtype(code)

    def __setstate__(self, state: Any) -> None:
        match state:
            case [_, order, None, None, None, *_] if order in _ORDERS:
                self.dtype = self.dtype.newbyteorder("=" if order == "|" else order)
            case _:
                raise pickle.UnpicklingError("numbers of a kind that is no plain one")


class _Array(np.ndarray):
    """An array as its own pickle fills it: with all of its numbers, and no others."""

    def __setstate__(self, state: Any) -> None:
        match state:
            case [_, [*shape], _Type(dtype=dtype), fortran, data] if all(isinstance(n, int) and n >= 0 for n in shape):
                pass
            case _:
                raise pickle.UnpicklingError("an array whose state is none")
        if isinstance(data, str):  # Python 2 had no bytes
            data = data.encode("latin1")
        size = 1 if dtype.hasobject else dtype.itemsize
        if not isinstance(data, list if dtype.hasobject else bytes) or not size or len(data) != math.prod(shape) * size:
            raise pickle.UnpicklingError(f"an array {shape} of {dtype} whose data are of another size")
        checked: Any = (1, tuple(shape), dtype, bool(fortran), data)
        super().__setstate__(checked)


def _array(*_: Any) -> None:
    """`numpy.ndarray`: named as an argument, and not to be called."""
    raise pickle.UnpicklingError("an array without its numbers")


def _empty_array(kind: object, _shape: Any, _code: Any) -> _Array:
    """numpy's `_reconstruct`: an array of nothing, whose state follows."""
    if kind is not _array:
        raise pickle.UnpicklingError("an array that is none")
    return _Array((0,))


def _number(kind: Any, data: Any) -> Any:
    """numpy's `scalar`."""
    if not isinstance(kind, _Type) or kind.dtype.hasobject:
        raise pickle.UnpicklingError("a number that is none")
    data = data.encode("latin1") if isinstance(data, str) else data
    return np.frombuffer(data, kind.dtype, 1)[0]


def _encode(text: str, encoding: str = "latin1") -> bytes:
    """`_codecs.encode` as pickles of bytes use it, and for nothing else."""
    if encoding not in ("latin1", "latin-1"):
        raise pickle.UnpicklingError(f"encodes with {encoding!r}")
    return codecs.encode(text, "latin1")


def _byte_array(*given: Any) -> bytearray:
    """`bytearray` of what is there; of a number, it would be so many zeros."""
    if any(isinstance(value, int) for value in given):
        raise pickle.UnpicklingError("bytes that are not there")
    return bytearray(*given)


def _tuple(items: Any = ()) -> tuple[Any, ...]:
    """`tuple`, but not of tuples, which nothing would count."""
    made = tuple(items)
    if any(isinstance(item, tuple) for item in made):
        raise pickle.UnpicklingError("tuples of tuples")
    return made


_BUILTINS = {"bytearray": _byte_array, "tuple": _tuple} | {
    kind.__name__: kind for kind in (set, frozenset, complex, list, dict, int, float, bool)
}
_NAMES: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): _array,
    ("numpy", "dtype"): _Type,
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _empty_array for core in ("core", "_core")},
    **{(f"numpy.{core}.multiarray", "scalar"): _number for core in ("core", "_core")},
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("_codecs", "encode"): _encode,
    **{(module, name): found for module in ("builtins", "__builtin__") for name, found in _BUILTINS.items()},
}
_HELD = {
    ("chumpy.ch", "Ch"), ("chumpy.reordering", "Select"), ("scipy.sparse.csc", "csc_matrix"),
    ("scipy.sparse._csc", "csc_matrix"), ("scipy.sparse.csr", "csr_matrix"), ("scipy.sparse._csr", "csr_matrix"),
    ("scipy.sparse.coo", "coo_matrix"), ("scipy.sparse._coo", "coo_matrix"),
}  # fmt: skip


class Restricted(pickle.Unpickler):
    """Reads the pickle that begins where a file stands; knows the names above, and no others."""

    def __init__(self, file: io.BytesIO) -> None:
        """file: of Python 2 perhaps, whose texts are read as Latin-1."""
        super().__init__(file, encoding="latin1")
        self._file = file

    def load(self) -> Any:
        start = self._file.tell()
        _check(self._file)
        self._file.seek(start)
        return super().load()

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _HELD:
            return type(name, (Held,), {"origin": f"{module}.{name}"})
        found = _NAMES.get((module, name))
        if found is None:
            raise Forbidden(f"{module}.{name}")
        return found


def _check(file: io.BytesIO) -> None:
    """Refuses what calls nothing and does harm all the same: numbers of the memo that are far too large, which Python
    makes room for, and tuples that lie too deep in each other, whose hash overruns the stack.

    Raises:
        pickle.UnpicklingError, ValueError or IndexError: it is so, or the file is damaged.
    """
    stack: list[int] = []  # how deep tuples lie in each thing
    memo: dict[int, int] = {}
    for number, (operation, argument, _) in enumerate(pickletools.genops(file)):
        name = operation.name
        if number > _MOST_OPERATIONS:
            raise pickle.UnpicklingError(f"more than {_MOST_OPERATIONS:,} operations")
        if name in _PUTS or name == "MEMOIZE":
            place = len(memo) if argument is None else argument
            if not 0 <= place <= number:
                raise pickle.UnpicklingError(f"remembers a thing by the number {place}")
            memo[place] = stack[-1]
        elif name in _GETS:
            stack.append(memo[int(argument or 0)])
        else:
            taken = _taken(stack, operation.stack_before)
            depth = max(taken, default=0) + name.startswith("TUPLE")
            if depth > _DEEPEST:
                raise pickle.UnpicklingError("tuples too deep in each other")
            stack += [_MARK if kind is pickletools.markobject else depth for kind in operation.stack_after]


def _taken(stack: list[int], before: list[pickletools.StackObject]) -> list[int]:
    """What an operation takes off the stack: so many things, or all down to a mark, the mark and what is below it."""
    below = len(before)
    taken = []
    if pickletools.markobject in before:
        below = before.index(pickletools.markobject)
        while (depth := stack.pop()) != _MARK:
            taken.append(depth)
    return taken + [stack.pop() for _ in range(below)]
