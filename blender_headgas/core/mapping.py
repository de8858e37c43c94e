# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mappings: how values of one set of channels become values of another; files that users can share.

The file is a JSON object, described in docs/formats.md:

    {"format": "headgas-mapping", "version": 1, "names_in": [I names], "names_out": [O names],
     "matrix": [O rows of I numbers], "bias": [O], "low": [O], "high": [O], "source": text, "licence": text}

out = clip(matrix · in + bias, low, high)
"""

import json
import math
from collections.abc import Mapping as Dictionary
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .errors import HeadGaSError
from .files import write_text

FORMAT, VERSION = "headgas-mapping", 1


@dataclass(frozen=True, eq=False)
class Mapping:
    """A linear map between two sets of named values."""

    names_in: tuple[str, ...]  # [I], unique
    names_out: tuple[str, ...]  # [O], unique
    matrix: np.ndarray  # [O,I] float32
    bias: np.ndarray  # [O] float32
    low: np.ndarray  # [O] float32, -inf where there is no limit
    high: np.ndarray  # [O] float32, inf where there is no limit
    source: str = ""  # where it comes from
    licence: str = ""

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Values [...,I] in the order of `names_in` become [...,O]."""
        return np.clip(values @ self.matrix.T + self.bias, self.low, self.high)

    def to_json(self) -> dict[str, Any]:
        """The file's object; a limit that is none becomes null."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "names_in": list(self.names_in),
            "names_out": list(self.names_out),
            "matrix": [_plain(row) for row in self.matrix],
            "bias": _plain(self.bias),
            "low": _plain(self.low),
            "high": _plain(self.high),
            "source": self.source,
            "licence": self.licence,
        }


def identity(names: tuple[str, ...]) -> Mapping:
    """What changes nothing."""
    count = len(names)
    unlimited = np.full(count, np.inf, np.float32)
    return Mapping(names, names, np.eye(count, dtype=np.float32), np.zeros(count, np.float32), -unlimited, unlimited)


def parse_mapping(text: str, where: str) -> Mapping:
    """The mapping in a file's text; `where` names the file in an error."""
    try:
        data = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise _wrong(where, f"is not JSON ({error})") from None
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise _wrong(where, f"has no field 'format' that says '{FORMAT}'")
    if data.get("version") != VERSION:
        raise HeadGaSError(
            f"{where} is a mapping of version {data.get('version')}; this is for version {VERSION}", "Update the add-on"
        )
    inputs, outputs = _names(where, data, "names_in"), _names(where, data, "names_out")
    rows = data.get("matrix")
    if not isinstance(rows, list) or len(rows) != len(outputs):
        raise _wrong(where, f"needs {len(outputs)} rows in 'matrix', one per name in 'names_out'")
    matrix = [_numbers(where, f"matrix[{i}]", row, len(inputs)) for i, row in enumerate(rows)]
    bias = _numbers(where, "bias", data.get("bias", [0.0] * len(outputs)), len(outputs))
    low = _numbers(where, "low", data.get("low", [None] * len(outputs)), len(outputs), -math.inf)
    high = _numbers(where, "high", data.get("high", [None] * len(outputs)), len(outputs), math.inf)
    for name, least, most in zip(outputs, low, high, strict=True):
        if least > most:
            raise _wrong(where, f"has 'low' above 'high' for {name}")
    return Mapping(
        inputs,
        outputs,
        np.array(matrix, np.float32).reshape(len(outputs), len(inputs)),
        np.array(bias, np.float32),
        np.array(low, np.float32),
        np.array(high, np.float32),
        str(data.get("source", "")),
        str(data.get("licence", "")),
    )


def load_mapping(path: Path) -> Mapping:
    """The mapping in the file at `path`."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise _wrong(str(path), "is not UTF-8 text") from None
    except OSError as error:
        raise HeadGaSError(f"{path} cannot be read: {error.strerror or error}", "Choose the file again") from None
    return parse_mapping(text, str(path))


def mapping_text(mapping: Mapping) -> str:
    """The file's text, a row of the matrix in a line."""
    fields = mapping.to_json()
    rows = ",\n  ".join(json.dumps(row) for row in fields.pop("matrix"))
    text = ",\n ".join(f"{json.dumps(name)}: {json.dumps(value)}" for name, value in fields.items())
    return f'{{{text},\n "matrix": [\n  {rows}\n ]}}\n'


def save_mapping(path: Path, mapping: Mapping) -> None:
    """Writes the file at `path`, whole or not at all."""
    write_text(path, mapping_text(mapping))


def _plain(values: np.ndarray) -> list[float | None]:
    """Values [n] with the digits that single precision has; None for what is no limit."""
    return [float(f"{value:.7g}") if math.isfinite(value) else None for value in values.tolist()]


def _wrong(where: str, what: str) -> HeadGaSError:
    return HeadGaSError(f"{where} {what}", "A mapping is a JSON file; its fields are in docs/formats.md")


def _names(where: str, data: Dictionary[str, Any], field: str) -> tuple[str, ...]:
    names = data.get(field)
    if not isinstance(names, list) or not names or not all(isinstance(name, str) and name for name in names):
        raise _wrong(where, f"needs a list of names in '{field}'")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise _wrong(where, f"has {', '.join(twice)} more than once in '{field}'")
    return tuple(names)


def _numbers(where: str, field: str, values: Any, count: int, missing: float | None = None) -> list[float]:
    """`count` finite numbers; null stands for `missing` where that is given."""
    listed = values if isinstance(values, list) else []
    numbers = [missing if value is None else float(value) if _is_number(value) else None for value in listed]
    found = [number for number in numbers if number is not None]
    if not len(found) == len(listed) == count:
        raise _wrong(where, f"needs {count} finite numbers in '{field}'")
    return found


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
