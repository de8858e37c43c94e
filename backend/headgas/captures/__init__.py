# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Datasets: reading, checking and importing captures."""

from headgas.captures.capture import Box, Capture, Frame
from headgas.captures.checking import check_capture, load_for_training
from headgas.captures.importing import ImportedCapture, ImportOptions, import_capture
from headgas.captures.reading import load_capture

__all__ = [
    "Box",
    "Capture",
    "Frame",
    "ImportOptions",
    "ImportedCapture",
    "check_capture",
    "import_capture",
    "load_capture",
    "load_for_training",
]
