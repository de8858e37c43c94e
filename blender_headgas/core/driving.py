# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Expressions of drivers: written so that Blender evaluates them without Python, and read back as linear maps.

Blender's simple expressions (Blender manual, Drivers, Simple Expressions) know numbers, variables, + - * /, min and
max. They run where scripts are not allowed to.
"""

import ast
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .errors import HeadGaSError

_LIMIT = 255  # characters that Blender keeps of a driver's expression


@dataclass(frozen=True)
class Linear:
    """clip(Σ gain · variable + constant, low, high)."""

    gains: Mapping[str, float]  # by variable
    constant: float = 0.0
    low: float = -math.inf
    high: float = math.inf


def written(linear: Linear) -> str:
    """The shortest expression that says it: a gain of 1, a constant of 0 and limits that are none are left out.

    Raises:
        HeadGaSError: it is longer than Blender keeps.
    """
    terms = [name if _text(gain) == "1" else f"{name} * {_text(gain)}" for name, gain in linear.gains.items()]
    if _text(linear.constant) != "0":
        terms.append(_text(linear.constant))
    text = " + ".join(terms).replace("+ -", "- ")
    if linear.low > -math.inf:
        text = f"max({text}, {_text(linear.low)})"
    if linear.high < math.inf:
        text = f"min({text}, {_text(linear.high)})"
    if len(text) > _LIMIT:
        raise HeadGaSError(
            f"{len(linear.gains)} sources are too many for one driver: its expression has {len(text)} characters "
            f"of {_LIMIT}",
            "Switch off some of them in the list",
        )
    return text


def read(expression: str) -> Linear:
    """The linear map that an expression is.

    Raises:
        HeadGaSError: it is something else.
    """
    try:
        tree = ast.parse(expression, mode="eval").body
        low, high = -math.inf, math.inf
        while isinstance(tree, ast.Call):
            tree, name, limit = _limited(tree)
            if name == "min":
                high = min(high, limit)
            else:
                low = max(low, min(limit, high))
        gains = _linear(tree)
    except (SyntaxError, ValueError, ZeroDivisionError, RecursionError):
        raise HeadGaSError(
            f"'{expression}' is not a sum of variables with gains and limits",
            "Only such drivers can be written into a mapping; make this one simpler, or remove it",
        ) from None
    constant = gains.pop("", 0.0)
    return Linear(gains, constant, low, high)


def _text(value: float) -> str:
    return f"{value + 0.0:.6g}"


def _limited(call: ast.Call) -> tuple[ast.expr, str, float]:
    """What min(…, limit) or max(…, limit) holds, which of them it is, and the limit."""
    if not isinstance(call.func, ast.Name) or call.func.id not in ("min", "max") or len(call.args) != 2:
        raise ValueError
    first, second = call.args
    if _is_constant(first):
        first, second = second, first
    return first, call.func.id, _number(second)


def _is_constant(node: ast.expr) -> bool:
    return not any(isinstance(part, ast.Name | ast.Call) for part in ast.walk(node))


def _linear(node: ast.expr) -> dict[str, float]:
    """The gains of variables, and under "" the constant."""
    match node:
        case ast.Constant(value=int() | float() as value):
            return {"": float(value)}
        case ast.Name(id=name):
            return {name: 1.0, "": 0.0}
        case ast.UnaryOp(op=ast.USub() | ast.UAdd() as sign, operand=inner):
            return _scaled(_linear(inner), -1.0 if isinstance(sign, ast.USub) else 1.0)
        case ast.BinOp(left=left, op=ast.Add() | ast.Sub() as sign, right=right):
            return _sum(_linear(left), _scaled(_linear(right), -1.0 if isinstance(sign, ast.Sub) else 1.0))
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            if _is_constant(left):
                left, right = right, left
            return _scaled(_linear(left), _number(right))
        case ast.BinOp(left=left, op=ast.Div(), right=right):
            return _scaled(_linear(left), 1.0 / _number(right))
    raise ValueError


def _number(node: ast.expr) -> float:
    if not _is_constant(node):
        raise ValueError
    return _linear(node)[""]


def _scaled(values: Mapping[str, float], by: float) -> dict[str, float]:
    return {name: value * by for name, value in values.items()}


def _sum(*parts: Mapping[str, float]) -> dict[str, float]:
    names: Sequence[str] = list(dict.fromkeys(name for part in parts for name in part))
    return {name: sum(part.get(name, 0.0) for part in parts) for name in names}
