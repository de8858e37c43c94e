# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""A capture's own frames as a take: capture.json and transforms*.json, as docs/formats.md describes them.

Frame i of the file is moment i of the take, whatever its split. Captures say no times: a file may have `fps`, else the
frame rate is the caller's. The head has no pose: in a capture it stands still and the camera moves.
"""

from pathlib import Path
from typing import Any

import numpy as np

from .checks import ReadingOptions, channel_names, checked_rate, table, wrong
from .take import Take


def is_capture(data: Any) -> bool:
    """Whether a JSON file's content is a capture whose frames have expressions."""
    frames = data.get("frames") if isinstance(data, dict) else None
    return isinstance(frames, list) and any(isinstance(frame, dict) and "expression" in frame for frame in frames)


def read_capture(path: Path, data: dict[str, Any], options: ReadingOptions) -> Take:
    """The take in a capture.

    Raises:
        HeadGaSError: something in it is damaged.
    """
    frames = data["frames"]
    for place, frame in enumerate(frames):
        if not isinstance(frame, dict) or not isinstance(frame.get("expression"), list):
            raise wrong(path, f"frame {place} has no list 'expression'")
    if "expression_space" in data:  # capture.json
        space, field = data["expression_space"], "expression_space.names"
        names = space.get("names") if isinstance(space, dict) else None
    else:  # transforms.json: without names they are counted, as training counts them
        count, field = len(frames[0]["expression"]), "expression_names"
        names = data.get(field, [f"expression_{i:02d}" for i in range(count)])
    names = channel_names(path, names, field)
    values = table(path, [frame["expression"] for frame in frames], len(names), "expression")
    rate = checked_rate(path, data.get("fps", options.frame_rate), "fps")
    return Take(names, np.arange(len(frames)) / rate, values.astype(np.float32))
