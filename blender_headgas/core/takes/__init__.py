# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes: recorded sequences of channel values and head poses, their formats and what can be done to them."""

from .reading import read_take
from .take import Take
from .writing import write_table

__all__ = ["Take", "read_take", "write_table"]
