# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Opening a capture of any layout."""

from collections.abc import Callable
from dataclasses import replace
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
        raise refusal(path, [problem.message for problem in problems])
    capture.split("train")
    return capture


def refusal(path: Path | str, problems: list[str], hint: str = "") -> HeadGaSError:
    """What to raise of a capture with these problems: the first few of them."""
    problems = list(dict.fromkeys(problems))  # a field of a file is complained of by each of its frames
    shown = problems[:_SHOWN] + ([f"… and {len(problems) - _SHOWN} more."] if len(problems) > _SHOWN else [])
    return HeadGaSError("\n".join(shown), f"`headgas check {path}` lists everything that is wrong with it.{hint}")


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
        return replace(layout.read(path, report, flame), poses_estimated=True)
    if transforms.is_transforms_folder(path):
        return transforms.read_transforms(path, report)
    raise HeadGaSError(
        f"{path}: is not a capture: it has neither {folder.FILE} nor transforms.json, and no published layout.",
        "docs/formats.md describes all that are read.",
    )
