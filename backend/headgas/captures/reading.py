# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Opening a capture of any layout, and saying all that is wrong with it."""

from collections.abc import Callable
from pathlib import Path

from headgas.captures import folder, transforms
from headgas.captures.capture import Capture
from headgas.captures.expressions import other_names, read_expressions
from headgas.errors import HeadGaSError

_SHOWN = 5  # complaints in one message


def load_capture(path: Path | str) -> Capture:
    """Opens a capture folder; images load when they are asked for.

    Raises:
        HeadGaSError: the folder is no capture, or a frame has a wrong field.
    """
    problems: list[HeadGaSError] = []
    capture = _read(Path(path), problems.append)
    if problems:
        lines = [problem.message for problem in problems[:_SHOWN]]
        if len(problems) > _SHOWN:
            lines.append(f"… and {len(problems) - _SHOWN} more.")
        raise HeadGaSError("\n".join(lines), f"`headgas check {path}` lists everything that is wrong with it.")
    capture.split("train")
    return capture


def check_capture(path: Path | str) -> tuple[Capture | None, list[str]]:
    """Reads every field and every image. Returns the capture (None when hopeless) and all complaints."""
    problems: list[HeadGaSError] = []
    try:
        capture = _read(Path(path), problems.append)
    except HeadGaSError as error:
        return None, [error.message]
    messages = [problem.message for problem in problems]
    try:
        capture.load_points()
    except HeadGaSError as error:
        messages.append(error.message)
    try:
        for name in other_names(capture.path):
            read_expressions(capture.path, name)
    except HeadGaSError as error:
        messages.append(error.message)
    for frame in capture.frames:
        try:
            frame.load_depth()
            alpha = frame.load_rgba()[..., 3]
            if alpha.max() == 0:
                messages.append(f"{frame.image}: the matte of frame {frame.name} is empty.")
        except HeadGaSError as error:
            messages.append(error.message)
    if not any(frame.split == "train" for frame in capture.frames):
        messages.append(f"{capture.path}: there is no frame to train on (split 'train').")
    return capture, messages


def _read(path: Path, report: Callable[[HeadGaSError], None]) -> Capture:
    if not path.is_dir():
        raise HeadGaSError(f"{path}: is not a folder.", "A capture is a folder with images and their cameras.")
    if (path / folder.FILE).is_file():
        return folder.read_folder(path, report)
    if transforms.is_transforms_folder(path):
        return transforms.read_transforms(path, report)
    raise HeadGaSError(
        f"{path}: is not a capture: it has neither {folder.FILE} nor transforms.json.",
        "docs/formats.md describes both layouts.",
    )
