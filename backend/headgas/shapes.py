# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shapes of arrays: compared with the wanted ones, and written for people."""

from collections.abc import Sequence


def fits(shape: Sequence[int], wanted: Sequence[int | None]) -> bool:
    """Whether a shape is the wanted one; None stands for any number."""
    return len(shape) == len(wanted) and all(w in (None, n) for n, w in zip(shape, wanted, strict=True))


def written(shape: Sequence[int | None]) -> str:
    """A shape in the user's words: n×3."""
    return "×".join("n" if size is None else str(size) for size in shape)
