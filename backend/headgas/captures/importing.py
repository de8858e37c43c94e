# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Published layouts become capture folders of our own: frame by frame, resumable, whole or not at all."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from headgas import files
from headgas.captures import folder, transforms
from headgas.captures.capture import Frame
from headgas.captures.layouts import find_layout
from headgas.captures.layouts.reading import found
from headgas.captures.mattes import Matte
from headgas.captures.reading import read_capture, refusal
from headgas.errors import HeadGaSError

_ORDER = "import.json"  # what an unfinished folder is to hold
_HEAD = 0.25  # metres from chin to crown, with hair
_HEIGHTS = (0.12, 0.7)  # metres that a matte may reach from top to bottom, shoulders included


@dataclass(frozen=True)
class ImportOptions:
    """What a layout does not say about itself, and what to do with its images."""

    scale: float = 1.0  # times as large as the layout's reader makes the head
    mattes: Path | None = None  # a folder of mattes, named as the images are
    flame: Path | None = None  # the user's FLAME, for layouts whose cameras do not follow the head
    link: bool = False  # to images that have their matte already, not copy them
    skip: bool = False  # frames that cannot be read


@dataclass(frozen=True)
class ImportedCapture:
    """What came of it."""

    layout: str
    train: int  # frames
    test: int  # frames
    parameters: int
    height: float | None  # metres that the head's mattes reach; None where all was there already
    problems: list[str] = field(default_factory=list)  # frames that were left out, and what looks wrong


def import_capture(
    source: Path, out: Path, options: ImportOptions, on_progress: Callable[[int, int], None] = lambda done, of: None
) -> ImportedCapture:
    """Writes a published layout as a capture folder; goes on where an interrupted one ended.

    Args:
        on_progress: told after each frame how many are done, and of how many.

    Raises:
        HeadGaSError: something cannot be read or written; `capture.json` is then not there.
    """
    if not 0 < options.scale < np.inf:
        raise HeadGaSError(f"The scale {options.scale:g} cannot be used; expected a number above 0.")
    for given in (source, options.mattes or source):
        if not given.is_dir():
            raise HeadGaSError(f"{given}: is not a folder.")
    name = _layout_name(source, options)
    if name is None:
        raise HeadGaSError(
            f"{source}: has none of the published layouts.",
            f"docs/formats.md lists them. Folders with {folder.FILE} or with our fields in transforms.json are used as "
            "they are; --mattes FOLDER adds mattes to the latter.",
        )
    problems: list[HeadGaSError] = []
    capture = read_capture(source, problems.append, options.flame)
    if problems and not options.skip:
        messages = [problem.message for problem in problems]
        raise refusal(source, messages, " With --skip-broken, such frames are left out.")
    said = [problem.message for problem in problems]
    _begin(source, out, options)
    kept: list[Frame] = []
    seen = _Seen()
    frames = [_changed(frame, options) for frame in capture.frames]
    for number, frame in enumerate(frames, 1):
        if problem := _write_frame(frame, out, options, seen):
            said.append(problem)
        else:
            kept.append(frame)
        on_progress(number, len(frames))
    train = sum(frame.split == "train" for frame in kept)
    if not train:
        raise HeadGaSError(f"{source}: no frame to train on is left.")
    space = capture.expression_space
    folder.write_folder(out, space, kept, estimated=capture.poses_estimated)
    (out / _ORDER).unlink(missing_ok=True)
    said += seen.complaints(options.scale)
    return ImportedCapture(name, train, len(kept) - train, len(space), seen.height, said)


def _layout_name(source: Path, options: ImportOptions) -> str | None:
    """What a folder's layout is called; None where it is none to be imported."""
    if (source / folder.FILE).is_file():
        return None
    if (layout := find_layout(source)) is not None:
        return layout.name
    return "transforms.json" if options.mattes and transforms.is_transforms_folder(source) else None


class _Seen:
    """What the mattes say about the cameras."""

    def __init__(self) -> None:
        self._heights: list[float] = []  # metres
        self._centred = 0  # frames in which the head's origin is where the matte is

    def add(self, frame: Frame, alpha: np.ndarray) -> None:
        """Takes the alpha [H,W] of a frame."""
        rows, columns = (np.flatnonzero((alpha > 0.5).any(axis)) for axis in (1, 0))
        if not len(rows):
            return
        u, v, z = frame.K @ frame.viewmat[:3, 3]
        self._heights.append(float(np.ptp(rows) + 1) * abs(z) / float(frame.K[1, 1]))
        inside = z > 0 and columns[0] <= u / z <= columns[-1] + 1 and rows[0] <= v / z <= rows[-1] + 1
        self._centred += bool(inside)

    @property
    def height(self) -> float | None:
        """Metres that the mattes reach from top to bottom, at the distance of the head's origin."""
        return float(np.median(self._heights)) if self._heights else None

    def complaints(self, scale: float) -> list[str]:
        said = []
        if self._centred < 0.5 * len(self._heights):
            said.append("In most frames the cameras do not look at the head: it may have been tracked in other axes.")
        if self.height and not _HEIGHTS[0] <= self.height <= _HEIGHTS[1]:
            fitting = scale * _HEAD / self.height
            said.append(f"The mattes are {self.height:.2g} m high. --scale {fitting:.2g} would make that {_HEAD} m.")
        return said


def _begin(source: Path, out: Path, options: ImportOptions) -> None:
    """Notes what the folder is to hold; refuses one that holds something else."""
    order = {"source": str(source.resolve()), "scale": options.scale, "link": options.link}
    order["mattes"] = str(options.mattes.resolve()) if options.mattes else None
    path = out / _ORDER
    if (out / folder.FILE).exists():
        raise HeadGaSError(f"{out}: already holds a capture.", "Choose another folder, or delete it.")
    if path.is_file():
        try:
            begun = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            begun = None
        if begun != order and any((out / "images").glob("*")):
            raise HeadGaSError(f"{out}: another import was begun there.", "Choose another folder, or delete it.")
    elif out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise HeadGaSError(f"{out}: is not empty.", "Choose an empty folder.")
    files.write(path, json.dumps(order))


def _changed(frame: Frame, options: ImportOptions) -> Frame:
    """The frame as the options want it."""
    viewmat = frame.viewmat.copy()
    viewmat[:3, 3] *= options.scale
    if options.mattes is None:
        return replace(frame, viewmat=viewmat)
    return replace(frame, viewmat=viewmat, mattes=(Matte(found(options.mattes, frame.image.stem)),))


def _write_frame(frame: Frame, out: Path, options: ImportOptions, seen: _Seen) -> str:
    """Writes the image as training sees it, unless it is there; says why where it cannot be read."""
    target = out / "images" / f"{frame.name}.png"
    if target.is_file():
        return ""
    try:
        pixels = frame.load_rgba()
    except HeadGaSError as error:
        if not options.skip:
            hint = "`headgas check` lists everything that is wrong; --skip-broken leaves such frames out."
            raise HeadGaSError(error.message, error.hint or hint) from None
        return error.message
    if frame.mattes or frame.image.suffix.lower() != ".png":
        content = BytesIO()
        Image.fromarray((pixels * 255 + 0.5).astype(np.uint8)).save(content, "PNG")
        files.write(target, content.getvalue())
    elif options.link:
        _link(target, frame.image)
    else:
        files.write(target, frame.image.read_bytes())
    seen.add(frame, pixels[..., 3])
    return ""


def _link(target: Path, image: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        os.symlink(image.resolve(), target)
    except OSError as error:
        raise HeadGaSError(
            f"{target}: cannot be linked to {image} ({error.strerror or error}).", "Leave out --link."
        ) from None
