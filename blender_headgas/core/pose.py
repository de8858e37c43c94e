# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""A pose of a face as text: what Copy Pose puts into the clipboard, and Paste Pose takes from anywhere.

A JSON object:

    {"format": "headgas-pose", "version": 1, "values": {channel: number, ...}}
"""

import json
import math

from .errors import HeadGaSError

FORMAT, VERSION = "headgas-pose", 1
_HINT = "Press Copy Pose on an avatar first"


def pose_text(values: dict[str, float]) -> str:
    """The text of a pose: values by channel."""
    rounded = {name: round(value, 6) for name, value in values.items()}  # as exact as float32
    return json.dumps({"format": FORMAT, "version": VERSION, "values": rounded}, indent=1, ensure_ascii=False)


def parse_pose(text: str) -> dict[str, float]:
    """The values by channel that a text holds."""
    if not text.strip():
        raise HeadGaSError("The clipboard holds no text", _HINT)
    try:
        data = json.loads(text)
    except (json.JSONDecodeError, RecursionError):
        raise HeadGaSError("The clipboard holds no pose, but another text", _HINT) from None
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise HeadGaSError(f"The text in the clipboard has no field 'format' that says '{FORMAT}'", _HINT)
    if data.get("version") != VERSION:
        message = f"The pose in the clipboard has version {data.get('version')}; this is for version {VERSION}"
        raise HeadGaSError(message, "Update the add-on")
    values = data.get("values")
    if not isinstance(values, dict):
        raise HeadGaSError("The pose in the clipboard has no object 'values' with a number per channel", _HINT)
    for name, value in values.items():
        if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
            raise HeadGaSError(f"The pose in the clipboard has no finite number for '{name}'", _HINT)
    return {name: float(value) for name, value in values.items()}
