# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages as Blender can show them."""

from collections.abc import Sequence


def reportable(error: Exception) -> str:
    """The error's text for a report: the status bar swallows line breaks, so a space stands before each."""
    return str(error).replace("\n", " \n")


def listed(names: Sequence[str], most: int = 3) -> str:
    """The first names, in quotes, and how many more there are."""
    shown = ", ".join(f"'{name}'" for name in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
