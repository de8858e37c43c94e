# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be shown of avatars instead of their picture."""

from dataclasses import dataclass
from typing import Literal

Mode = Literal["color", "depth", "normal", "opacity", "count", "features", "influence"]


@dataclass(frozen=True)
class Inspection:
    """What the viewport shows of the Gaussians; docs/manual.md says what each mode's colours mean."""

    mode: Mode = "color"
    parameter: str = ""  # whose influence is shown
    fraction: float = 1.0  # in 0..1: how many of the Gaussians are shown, the most important ones
    scale: float = 1.0  # in 0..1: of the Gaussians' size
