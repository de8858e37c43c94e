# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parameters that drive an avatar."""

import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from headgas.errors import HeadGaSError

KINDS = ("ARKit", "FLAME", "FaceWarehouse", "custom")


@dataclass(frozen=True)
class ExpressionSpace:
    """Ordered parameter names with their neutral value and the range that was seen.

    It is data of the capture and the checkpoint; nothing in the code knows a particular set of names.
    """

    kind: str  # one of KINDS
    names: tuple[str, ...]  # [B], unique
    neutral: tuple[float, ...]  # [B]
    low: tuple[float, ...]  # [B], the smallest value seen
    high: tuple[float, ...]  # [B], the largest value seen

    def __len__(self) -> int:
        return len(self.names)

    def to_json(self) -> dict[str, Any]:
        """The JSON object that docs/formats.md describes."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}

    @classmethod
    def from_json(cls, data: Any, where: str) -> "ExpressionSpace":
        """Reads the JSON object; `neutral`, `low` and `high` may be left out (zeros, neutral, neutral).

        Raises:
            HeadGaSError: a field is missing or wrong; `where` names the file in the message.
        """
        if not isinstance(data, Mapping):
            raise HeadGaSError(f"{where}: the field 'expression_space' must be an object.")
        kind, names = data.get("kind", "custom"), data.get("names")
        if kind not in KINDS:
            raise HeadGaSError(f"{where}: expression_space.kind is {kind!r}; expected one of {', '.join(KINDS)}.")
        if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
            raise HeadGaSError(f"{where}: expression_space.names must be a list of names.")
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise HeadGaSError(f"{where}: expression_space.names holds {', '.join(twice)} more than once.")
        neutral = _numbers(data, "neutral", [0.0] * len(names), where)
        low = _numbers(data, "low", list(neutral), where)
        high = _numbers(data, "high", list(neutral), where)
        return cls(kind, tuple(names), neutral, low, high)


def _numbers(data: Mapping[str, Any], field: str, default: list[float], where: str) -> tuple[float, ...]:
    values = data.get(field, default)
    finite = isinstance(values, list) and all(
        isinstance(v, int | float) and not isinstance(v, bool) and abs(v) <= sys.float_info.max for v in values
    )
    if not finite or len(values) != len(default):
        raise HeadGaSError(f"{where}: expression_space.{field} must be {len(default)} finite numbers, one per name.")
    return tuple(float(v) for v in values)
