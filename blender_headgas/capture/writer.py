# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes a capture's files: docs/formats.md, "The capture"."""

import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..core.errors import HeadGaSError
from ..core.files import write_text

MANIFEST, POINTS, IMAGES, DEPTHS = "capture.json", "points.npy", "images", "depth"
_CHOOSE = "Choose a folder you may write to."
_ARKIT_MARKS = {"jawOpen", "eyeBlinkLeft", "mouthSmileLeft", "browInnerUp"}


def expression_kind(names: Sequence[str]) -> str:
    """ARKit when its best-known names are among them, else custom."""
    return "ARKit" if len(_ARKIT_MARKS & set(names)) >= 2 else "custom"


def write_json(path: Path, content: dict) -> None:
    """Whole or not at all: a reader never sees half a file."""
    write_text(path, json.dumps(content, indent=1))


def write_points(folder: Path, points: np.ndarray) -> None:
    """Surface points [n,3] float32 in head space, metres."""
    unfinished = folder / "points.unfinished"
    with unfinished.open("wb") as file:
        np.save(file, points.astype(np.float32))
    unfinished.replace(folder / POINTS)


def make_folders(folder: Path) -> None:
    """Make the folder ready for frames.

    Raises:
        HeadGaSError: it can't be written to.
    """
    try:
        for name in (IMAGES, DEPTHS):
            (folder / name).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise HeadGaSError(f"Can't write to {folder}: {error.strerror}.", _CHOOSE) from error
    if not os.access(folder, os.W_OK):
        raise HeadGaSError(f"Can't write to {folder}.", _CHOOSE)
