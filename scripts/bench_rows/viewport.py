# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows about avatars in viewports: what each redraw costs the main thread of a real Blender window.

The window is that of scripts/gui_test.py, which sets it up.
"""

import json
import statistics
from collections.abc import Iterator

import environment
import gui_test
import window

_TITLES = {"still": "nothing is new", "moved": "the avatar has moved", "fresh": "a new frame has arrived"}
_PARTS = {"processor": "", "textures": ", making its texture", "drawing": ", Blender's calls to draw"}


def viewport_rows(bench) -> Iterator:
    """Medians of redraws in which the avatar fills all of a picture."""
    reason = window.why_not() or ("" if window.is_set_up() else "none is set up, python3 scripts/gui_test.py does it")
    if reason:
        raise RuntimeError(f"no window of Blender: {reason}")
    if gui_test.run(environment.backend(environment.TEST_PACKAGES), ("cost",)):
        raise RuntimeError("the walk through Blender's window has failed")
    found = json.loads((gui_test.OUT / "cost" / "costs.json").read_text(encoding="utf-8"))
    print(f"GL           {found['gl']}")
    for size, costs in found["costs"].items():
        for kind, title in _TITLES.items():
            for part, what in _PARTS.items():
                value = statistics.median(redraw[part] for redraw in costs[kind])
                yield bench.row(f"redraw at {size}², {title}{what}", value, "ms", 1)
