# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading JSON written by somebody else: every complaint names the file, the frame and the field."""

import json
import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from headgas.errors import HeadGaSError

_REQUIRED = object()
LARGEST = 1e9  # of numbers: beyond, squares leave single precision, and nothing in a capture is that large


def read_json(path: Path) -> Mapping[str, Any]:
    """The JSON object in a file.

    Raises:
        HeadGaSError: the file cannot be read or holds something else.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise HeadGaSError(f"{path}: cannot be read ({error.strerror or error}).") from None
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError, JSONDecodeError; numbers of thousands of digits
        raise HeadGaSError(f"{path}: is not valid JSON ({error}).") from None
    if not isinstance(data, Mapping):
        raise HeadGaSError(f"{path}: must hold a JSON object.")
    return data


class WrongFields(HeadGaSError):
    """Some fields of a frame cannot be used; `right` are the values of the others, by their names."""

    def __init__(self, message: str, right: Mapping[str, Any]) -> None:
        super().__init__(message)
        self.right = right


def gathered(readers: Mapping[str, Callable[[], Any]]) -> dict[str, Any]:
    """What each reader returns, by its name.

    Raises:
        WrongFields: some of them failed; a line for each.
    """
    values, failures = dict[str, Any](), list[str]()
    for name, read in readers.items():
        try:
            values[name] = read()
        except HeadGaSError as error:
            failures.append(error.message)
    if failures:
        raise WrongFields("\n".join(dict.fromkeys(failures)), values)
    return values


class Fields:
    """The fields of one JSON object, checked as they are read."""

    def __init__(self, data: Any, where: str) -> None:
        if not isinstance(data, Mapping):
            raise HeadGaSError(f"{where}: must be a JSON object.")
        self.data = data
        self.where = where

    def error(self, field: str, expected: str) -> HeadGaSError:
        found = repr(self.data[field])[:60] if field in self.data else "missing"
        return HeadGaSError(f"{self.where}: the field '{field}' is {found}; expected {expected}.")

    def __contains__(self, field: str) -> bool:
        return self.data.get(field) is not None

    def text(self, field: str, default: Any = _REQUIRED) -> str:
        value = self.data.get(field, default)
        if not isinstance(value, str) or not value:
            if value is default and value is not _REQUIRED:
                return value
            raise self.error(field, "a text")
        return value

    def number(self, field: str, default: Any = _REQUIRED) -> float:
        value = self.data.get(field, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= LARGEST:
            if value is default and value is not _REQUIRED:
                return value
            raise self.error(field, _expected("a finite number", value))
        return float(value)

    def positive(self, field: str, default: Any = _REQUIRED) -> float:
        value = self.number(field, default)
        if value <= 0:
            raise self.error(field, "a number above 0")
        return value

    def size(self, field: str, default: Any = _REQUIRED) -> int:
        value = self.number(field, default)
        if value != int(value) or not 0 < value <= 65536:
            raise self.error(field, "a whole number of pixels between 1 and 65536")
        return int(value)

    def array(self, field: str, shape: tuple[int, ...]) -> np.ndarray:
        """A float64 array of exactly that shape, finite."""
        try:
            value = np.asarray(self.data[field], np.float64)
        except (KeyError, TypeError, ValueError, OverflowError):
            value = None
        if value is None or value.shape != shape or not (np.abs(value) <= LARGEST).all():
            largest = None if value is None or not np.isfinite(value).all() else float(np.abs(value).max(initial=0))
            raise self.error(field, _expected("×".join(map(str, shape)) + " finite numbers", largest))
        return value

    def rigid(self, field: str) -> np.ndarray:
        """A [4,4] float64 rotation and translation."""
        matrix = self.array(field, (4, 4))
        check_rigid(self, field, matrix)
        return matrix

    def poses_estimated(self) -> bool:
        """Whether the field `poses` says that a tracker found cameras and expressions."""
        if (said := self.data.get("poses", "exact")) not in ("exact", "estimated"):
            raise self.error("poses", "'exact' or 'estimated'")
        return said == "estimated"

    def path(self, field: str, folder: Path, within: Path | None = None) -> Path:
        """A path that does not lead out of the folder (or of `within`), given with forward slashes; links in there are
        the user's."""
        path = Path(os.path.abspath(folder / self.text(field)))
        if "\0" in str(path):
            raise self.error(field, "a path")
        if not path.is_relative_to(os.path.abspath(within or folder)):
            raise self.error(field, "a path inside the capture's folder")
        return path


def frames_of(fields: Fields) -> list[Any]:
    """The frames that a file lists.

    Raises:
        HeadGaSError: it lists none.
    """
    frames = fields.data.get("frames")
    if not isinstance(frames, list) or not frames:
        raise fields.error("frames", "a list of at least one frame")
    return frames


def is_pinhole(K: np.ndarray) -> bool:
    """Whether K [3,3] has positive focal lengths, no skew, and 0 0 1 as its last row."""
    return bool(K[0, 0] > 0 and K[1, 1] > 0 and K[0, 1] == K[1, 0] == 0 and np.array_equal(K[2], (0, 0, 1)))


def _expected(what: str, found: Any) -> str:
    """What to say of a number: that it is too large, where it is one."""
    too_large = isinstance(found, int | float) and not isinstance(found, bool) and LARGEST < abs(found) < math.inf
    return f"{what} from -{LARGEST:g} to {LARGEST:g}" if too_large else what


def check_rigid(fields: Fields, field: str, matrix: np.ndarray) -> None:
    """Refuses a [4,4] matrix that is not a rotation and a translation.

    Raises:
        HeadGaSError: it scales, mirrors, is singular, or its last row is not 0 0 0 1.
    """
    rotation = matrix[:3, :3]
    orthonormal = np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-3)
    if not orthonormal or np.linalg.det(rotation) < 0 or not np.allclose(matrix[3], (0, 0, 0, 1), atol=1e-6):
        raise fields.error(field, "a rotation and a translation (a right-handed orthonormal matrix)")
