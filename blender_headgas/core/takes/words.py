# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The spellings of ARKit's names in recordings: EyeBlinkLeft, eyeBlinkLeft, eyeBlink_L."""

from .. import arkit

_NAMES = {name.lower(): name for name in arkit.NAMES}


def canonical(name: str) -> str:
    """A name in ARKit's own spelling; itself where it is none of ARKit's."""
    lower = name.lower()
    for ending, side in (("_l", "left"), ("_r", "right")):
        if lower.endswith(ending):
            lower = lower.removesuffix(ending) + side
    return _NAMES.get(lower, name)
