# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What drives LAM's avatars: {"names": [C], "frames": [{"weights": [C], "time": seconds}], "head_pose": [T][3]}.

Source: LAM_WebRender (aigc3d), test_expression_1s.json. `head_pose` is taken for a rotation vector in radians about
LAM's axes, Y up and Z out of the face; `rotation` in each frame is empty in its files, and is not read.
"""

from pathlib import Path
from typing import Any

import numpy as np

from ..rotations import from_vectors
from .checks import ReadingOptions, channel_names, number, rising, table, wrong
from .head_axes import turns_to_head_space
from .take import Take


def is_lam(data: Any) -> bool:
    """Whether a JSON file's content drives LAM's avatars."""
    frames = data.get("frames") if isinstance(data, dict) and "names" in data else None
    return isinstance(frames, list) and any(isinstance(frame, dict) and "weights" in frame for frame in frames)


def read_lam(path: Path, data: dict[str, Any], options: ReadingOptions) -> Take:
    """The take in a file.

    Raises:
        HeadGaSError: something in it is damaged.
    """
    names = channel_names(path, data["names"], "names")
    frames = data["frames"]
    for place, frame in enumerate(frames):
        if not isinstance(frame, dict) or "weights" not in frame:
            raise wrong(path, f"frame {place} has no 'weights'")
    values = table(path, [frame["weights"] for frame in frames], len(names), "weights")
    times = np.arange(len(frames)) / options.frame_rate
    if any("time" in frame for frame in frames):
        times = np.array([number(path, frame.get("time"), f"frame {i}, 'time'") for i, frame in enumerate(frames)])
    rotations = None
    if data.get("head_pose"):
        vectors = table(path, data["head_pose"], 3, "head_pose")
        if len(vectors) != len(frames):
            raise wrong(path, f"'head_pose' has {len(vectors)} frames; there are {len(frames)}")
        rotations = turns_to_head_space(from_vectors(vectors))
    return Take(names, rising(path, times), values.astype(np.float32), rotations)
