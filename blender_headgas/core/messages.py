# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors as Blender can show them."""


def reportable(error: Exception) -> str:
    """The error's text for a report: the status bar swallows line breaks, so a space stands before each."""
    return str(error).replace("\n", " \n")
