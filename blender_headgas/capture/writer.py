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

MANIFEST, PLAN, POINTS, IMAGES = "capture.json", "capture.plan.json", "points.npy", "images"
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


def open_folder(folder: Path, plan: dict) -> None:
    """Make the folder ready for a plan: go on with the same plan's frames, start afresh with another's.

    A finished capture made by another plan is never overwritten.
    """
    try:
        (folder / IMAGES).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise HeadGaSError(f"Can't write to {folder}: {error.strerror}.", _CHOOSE) from error
    if not os.access(folder, os.W_OK):
        raise HeadGaSError(f"Can't write to {folder}.", _CHOOSE)
    before = _plan_of(folder)
    if before == plan:
        return
    if (folder / MANIFEST).exists():
        raise HeadGaSError(f"{folder} already holds another capture.", "Choose an empty folder, or delete it first.")
    for image in (folder / IMAGES).glob("*.png"):
        if before is None:
            raise HeadGaSError(f"{folder / IMAGES} already holds pictures.", "Choose an empty folder.")
        image.unlink()
    write_json(folder / PLAN, plan)


def _plan_of(folder: Path) -> dict | None:
    """The plan that this folder's frames were rendered by, if any."""
    try:
        return json.loads((folder / PLAN).read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return None
