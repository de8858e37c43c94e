# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Other people's formats: what avatars are read from, and what other programs can open."""

from headgas.exchange.converting import Conversion, beside, convert
from headgas.exchange.imported import Imported, ReadingOptions
from headgas.exchange.reading import read_avatar

__all__ = ["Conversion", "Imported", "ReadingOptions", "beside", "convert", "read_avatar"]
