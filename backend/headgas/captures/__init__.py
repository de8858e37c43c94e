# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Datasets: reading and checking captures."""

from headgas.captures.capture import Box, Capture, Frame
from headgas.captures.checking import check_capture
from headgas.captures.reading import load_capture

__all__ = ["Box", "Capture", "Frame", "check_capture", "load_capture"]
