# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes: recorded sequences of channel values and head poses, their formats and what can be done to them."""

from .take import Take

__all__ = ["Take"]
