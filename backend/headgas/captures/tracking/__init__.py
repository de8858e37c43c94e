# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""A video of a face becomes a capture."""

from headgas.captures.tracking.environment import is_ready
from headgas.captures.tracking.track import Tracked, TrackOptions, track

__all__ = ["TrackOptions", "Tracked", "is_ready", "track"]
