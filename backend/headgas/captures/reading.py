# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Opening a capture of any layout."""

from collections.abc import Callable
from pathlib import Path

from headgas.captures import folder, transforms
from headgas.captures.capture import Capture
from headgas.captures.layouts import find_layout
from headgas.errors import HeadGaSError

_SHOWN = 5  # complaints in one message


def load_capture(path: Path | str, flame: Path | None = None) -> Capture:
    """Opens a capture folder; images load when they are asked for.

    Args:
        flame: the user's FLAME, for layouts whose cameras do not follow the head; else the environment names it.

    Raises:
        HeadGaSError: the folder is no capture, or a frame has a wrong field.
    """
    problems: list[HeadGaSError] = []
    capture = read_capture(Path(path), problems.append, flame)
    if problems:
        lines = [problem.message for problem in problems[:_SHOWN]]
        if len(problems) > _SHOWN:
            lines.append(f"… and {len(problems) - _SHOWN} more.")
        raise HeadGaSError("\n".join(lines), f"`headgas check {path}` lists everything that is wrong with it.")
    capture.split("train")
    return capture


def read_capture(path: Path, report: Callable[[HeadGaSError], None], flame: Path | None = None) -> Capture:
    """Reads a capture of any layout; what is wrong with single frames goes to `report`, and those frames are left out.

    Raises:
        HeadGaSError: the folder is no capture, or a file as a whole cannot be used.
    """
    if not path.is_dir():
        raise HeadGaSError(f"{path}: is not a folder.", "A capture is a folder with images and their cameras.")
    if (path / folder.FILE).is_file():
        return folder.read_folder(path, report)
    if layout := find_layout(path):
        return layout.read(path, report, flame)
    if transforms.is_transforms_folder(path):
        return transforms.read_transforms(path, report)
    raise HeadGaSError(
        f"{path}: is not a capture: it has neither {folder.FILE} nor transforms.json, and no published layout.",
        "docs/formats.md describes all that are read.",
    )
