# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Our own takes, JSON as docs/formats.md describes it: an avatar's parameters at Blender's frames.

The head's place in the world is left out: it is that of an object and its bones, which a take does not tell apart.
"""

from pathlib import Path
from typing import Any

import numpy as np

from ..shot_files import TAKE, VERSION
from .checks import ReadingOptions, channel_names, checked_rate, number, rising, table, wrong
from .take import Take


def is_own(data: Any) -> bool:
    """Whether a JSON file's content is such a take."""
    return isinstance(data, dict) and data.get("format") == TAKE


def read_own(path: Path, data: dict[str, Any], options: ReadingOptions) -> Take:
    """The take in a file.

    Raises:
        HeadGaSError: something in it is damaged, or newer.
    """
    if data.get("version") != VERSION:
        raise wrong(path, f"is of the version {data.get('version')!r:.40}; this extension reads {VERSION}")
    frames = data.get("frames")
    if not isinstance(frames, list) or not frames:
        raise wrong(path, "needs a list of at least one frame in 'frames'")
    for place, frame in enumerate(frames):
        if not isinstance(frame, dict):
            raise wrong(path, f"frame {place} is no object")
    names = channel_names(path, data.get("names"), "names")
    values = table(path, [frame.get("values") for frame in frames], len(names), "values")
    numbers = [number(path, frame.get("frame"), f"frame {place}, 'frame'") for place, frame in enumerate(frames)]
    times = rising(path, np.array(numbers)) / checked_rate(path, data.get("fps", options.frame_rate), "fps")
    return Take(names, times, values.astype(np.float32))
