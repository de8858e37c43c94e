# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Blend-shape exports of Audio2Face: {"exportFps", "numPoses", "numFrames", "facsNames": [C], "weightMat": [T][C]}.

Newer exports also hold `joints` with their rotations and translations: jaw and eyes of NVIDIA's own characters, which
are left out. Source: exports as published with py_audio2face and omniverse add-ons.
"""

from pathlib import Path
from typing import Any

import numpy as np

from .checks import ReadingOptions, channel_names, checked_rate, table, wrong
from .take import Take


def is_audio2face(data: Any) -> bool:
    """Whether a JSON file's content is such an export."""
    return isinstance(data, dict) and "facsNames" in data and "weightMat" in data


def read_audio2face(path: Path, data: dict[str, Any], options: ReadingOptions) -> Take:
    """The take in an export.

    Raises:
        HeadGaSError: something in it is damaged.
    """
    names = channel_names(path, data["facsNames"], "facsNames")
    values = table(path, data["weightMat"], len(names), "weightMat")
    for field, found in (("numPoses", len(names)), ("numFrames", len(values))):
        if field in data and data[field] != found:
            raise wrong(path, f"'{field}' is {data[field]!r:.40}; there are {found}")
    rate = checked_rate(path, data.get("exportFps", options.frame_rate), "exportFps")
    return Take(names, np.arange(len(values)) / rate, values.astype(np.float32))
