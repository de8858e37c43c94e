# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Expressions of drivers: short, and read back as what they are."""

import math

import pytest

from blender_headgas.core.driving import Linear, read, written
from blender_headgas.core.errors import HeadGaSError


@pytest.mark.parametrize(
    ("linear", "text"),
    [
        (Linear({"a": 1.0}), "a"),
        (Linear({"a": 1.5}, 0.2, 0.0, 1.0), "min(max(a * 1.5 + 0.2, 0), 1)"),
        (Linear({"a": 0.5, "b": -2.0}, -0.25), "a * 0.5 + b * -2 - 0.25"),
        (Linear({"a": 1.0}, 0.0, -math.inf, 0.8), "min(a, 0.8)"),
        (Linear({"a": 0.800000011920929}, -0.0), "a * 0.8"),
        (Linear({"a": 1.0}, 0.0, -1.0), "max(a, -1)"),
    ],
)
def test_only_what_differs_is_written(linear, text):
    assert written(linear) == text
    back = read(text)
    assert back.gains == pytest.approx(linear.gains) and back.constant == pytest.approx(linear.constant)
    assert (back.low, back.high) == (linear.low, linear.high)


@pytest.mark.parametrize(
    ("text", "linear"),
    [
        ("2 * (a - b) / 4 + 1", Linear({"a": 0.5, "b": -0.5}, 1.0)),
        ("max(0, min(1, a))", Linear({"a": 1.0}, 0.0, 0.0, 1.0)),
        ("-a + a * 3", Linear({"a": 2.0})),
        ("0.5", Linear({}, 0.5)),
        ("a * (1 / 4)", Linear({"a": 0.25})),
    ],
)
def test_what_users_write_is_read(text, linear):
    assert read(text) == linear


@pytest.mark.parametrize(
    "text",
    [
        "a * b",
        "sin(a)",
        "a if b else 0",
        "",
        "a +",
        "a / 0",
        "min(a, b)",
        "a ** 2",
        "1 / a",
        "max(a, 1) * 2",
        "'x'",
        "min(a)",
    ],
)
def test_what_is_not_linear_is_refused(text):
    with pytest.raises(HeadGaSError, match="not a sum"):
        read(text)


def test_too_long_an_expression_is_refused():
    with pytest.raises(HeadGaSError, match="20 sources are too many"):
        written(Linear({f"headgas_{i}": 0.123456 for i in range(20)}))
