# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads a take from a file of any known format, which is known by its content."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..errors import HeadGaSError
from .audio2face import is_audio2face, read_audio2face
from .capture import is_capture, read_capture
from .checks import ReadingOptions, wrong
from .flame import read_flame
from .lam import is_lam, read_lam
from .livelink import is_table, read_table
from .mediapipe import is_mediapipe, read_mediapipe
from .own import is_own, read_own
from .take import Take

SUFFIXES = (".csv", ".json", ".npz")
_JSON: tuple[tuple[Callable[[Any], bool], Callable[[Path, Any, ReadingOptions], Take]], ...] = (
    (is_own, read_own),
    (is_audio2face, read_audio2face),
    (is_lam, read_lam),
    (is_capture, read_capture),
    (is_mediapipe, read_mediapipe),
)
_KNOWN = (
    "Takes are CSV of Live Link Face, JSON of ours, MediaPipe, Audio2Face or LAM, .npz of FLAME parameters, and "
    "captures (capture.json, transforms.json) with expressions"
)


def read_take(path: Path, frame_rate: float = 30.0, *, landscape: bool = False) -> Take:
    """The take in a file, or in a folder of FLAME parameters.

    Args:
        path: of the file.
        frame_rate: moments per second, where the recording says neither times nor a rate.
        landscape: the phone that Live Link Face ran on lay on its side.

    Raises:
        HeadGaSError: the file is damaged, or of no known format.
    """
    options = ReadingOptions(frame_rate, landscape)
    if path.is_dir():
        return read_flame(path, options)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise HeadGaSError(f"{path} cannot be read: {error.strerror or error}", "Choose the file again") from None
    if content.startswith(b"PK\x03\x04"):
        return read_flame(path, options)
    text = _text(path, content)
    if text.lstrip()[:1] in ("{", "["):
        data = _json(path, text)
        for recognises, read in _JSON:
            if recognises(data):
                return read(path, data, options)
    elif is_table(text):
        return read_table(path, text, options)
    raise wrong(path, "holds no take of a known format" if text.strip() else "is empty", _KNOWN)


def _text(path: Path, content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise wrong(path, f"is neither text nor an .npz file (byte {error.start})", _KNOWN) from None


def _json(path: Path, text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise wrong(path, f"line {error.lineno}, column {error.colno}: {error.msg}") from None
    except (RecursionError, ValueError) as error:
        raise wrong(path, f"is no JSON that can be read ({error})") from None
