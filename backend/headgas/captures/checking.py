# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""`headgas check`: all that is wrong with a capture, and what it does not show, before anybody trains on it."""

import logging
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from headgas.avatars.expression_space import ExpressionSpace
from headgas.captures.capture import Capture, Frame, seen_range, spread
from headgas.captures.expressions import other_names, read_expressions
from headgas.captures.fields import WrongFields
from headgas.captures.opening import image_size
from headgas.captures.reading import read_capture, refusal
from headgas.errors import HeadGaSError

log = logging.getLogger(__name__)

T = TypeVar("T")
_MOVED = 0.25  # of the largest distance from neutral: from there on a parameter counts as moved
_SELDOM = 0.03, 3  # of the training frames, and at least so many: fewer are hardly enough to learn from
_ARKIT_RANGE = 0.3  # of the full 0..1: less is a hint of an expression
_FEW_FRAMES = 30  # to train with
_NARROW = 20.0  # degrees of yaw from the leftmost to the rightmost view
_FULL, _EMPTY = 0.999, 0.02  # mean of the matte
_SHOWN_FRAMES = 6  # for pictures of the capture


@dataclass(frozen=True)
class Parameter:
    """What the training frames show of one parameter of the expression."""

    name: str
    low: float
    high: float
    frames: int  # in which it moved
    seldom: bool  # too seldom or too little to be learnt well


@dataclass(frozen=True)
class Views:
    """Where the cameras of the training frames are, seen from the head: least and most."""

    yaw: tuple[float, float]  # degrees to the subject's left
    pitch: tuple[float, float]  # degrees upward
    distance: tuple[float, float]  # metres from the origin of head space


@dataclass(frozen=True)
class Checked:
    """A capture as it was found."""

    capture: Capture | None  # None where nothing of it can be read
    problems: list[str]  # training refuses these, or would stumble over them
    warnings: list[str] = field(default_factory=list)  # what the avatar will not know
    matte: tuple[float, float] | None = None  # the least and the largest share of a picture that the head fills
    parameters: list[Parameter] = field(default_factory=list)
    views: Views | None = None

    def to_json(self) -> dict[str, Any]:
        """docs/formats.md has the fields."""
        frames = self.capture.frames if self.capture else ()
        sizes = Counter((frame.width, frame.height) for frame in frames)
        return {
            "problems": self.problems,
            "warnings": self.warnings,
            "frames": {split: sum(frame.split == split for frame in frames) for split in ("train", "test")},
            "sizes": [{"width": w, "height": h, "frames": count} for (w, h), count in sizes.most_common()],
            "matte": self.matte,
            "kind": self.capture.expression_space.kind if self.capture else None,
            "parameters": [vars(parameter) for parameter in self.parameters],
            "views": vars(self.views) if self.views else None,
            "pictures": [str(frame.image) for frame in spread(frames, _SHOWN_FRAMES)],
        }


def check_capture(path: Path | str) -> Checked:
    """Reads every field and every image of a capture, and looks at what its training frames show."""
    problems: list[HeadGaSError] = []
    try:
        capture = read_capture(Path(path), problems.append)
    except HeadGaSError as error:
        return Checked(None, [error.message])
    messages = [line for problem in problems for line in problem.message.splitlines()]
    messages += [error.message for error in _files_problems(capture)]
    looked = _each(_looked_at, capture.frames)
    wrong = [frame for problem in problems if (frame := _files_of(problem)) is not None]
    messages += [message for found, _ in [*looked, *_each(_looked_at, wrong)] for message in found]
    messages = list(dict.fromkeys(messages))  # a field of a file is complained of by each of its frames
    mattes = [matte for _, matte in looked if matte is not None]
    train = [frame for frame in capture.frames if frame.split == "train"]
    if not train:
        messages.append(f"{capture.path}: there is no frame to train on (split 'train').")
        return Checked(capture, messages, matte=_range(mattes))
    checked = Checked(
        capture, messages, [], _range(mattes), _parameters(capture.expression_space, train), _views(train)
    )
    checked.warnings.extend(_warnings(checked, train))
    return checked


def _files_of(problem: HeadGaSError) -> Frame | None:
    """The files of a frame with wrong fields, to be looked at all the same; None where its image is not known."""
    right = problem.right if isinstance(problem, WrongFields) else {}
    if (image := right.get("image")) is None:
        return None
    width, height = right["camera"][1:] if "camera" in right else (right.get("width"), right.get("height"))
    if width is None or height is None:
        try:
            width, height = image_size(image)
        except HeadGaSError:
            width = height = 0  # looking at it says that it cannot be read
    return Frame(
        right.get("name", image.stem), "train", image, width, height, np.eye(4), np.eye(3), np.zeros(0),
        depth=right.get("depth"), mattes=right.get("mattes", ()),
    )  # fmt: skip


def _files_problems(capture: Capture) -> Iterator[HeadGaSError]:
    """What is wrong beside the frames."""
    try:
        capture.load_points()
    except HeadGaSError as error:
        yield error
    try:
        for name in other_names(capture.path):
            read_expressions(capture.path, name)
    except HeadGaSError as error:
        yield error


def load_for_training(path: Path | str, skip_damaged: bool = False) -> Capture:
    """Opens a capture that shall be trained on.

    Refusing damaged frames, it looks at all fields and at the heads of all image files; what only decoding tells,
    training refuses when it comes to the frame. Skipping them, it reads every image, and says what it leaves out.

    Raises:
        HeadGaSError: something is damaged and not to be skipped, or no frame to train on is left.
    """
    errors: list[HeadGaSError] = []
    capture = read_capture(Path(path), errors.append)
    problems = [error.message for error in errors]
    found = _each(_problems_of if skip_damaged else _image_problems, capture.frames)
    problems += [problem for each in found for problem in each]
    if problems and not skip_damaged:
        raise refusal(path, problems, " With --skip-damaged, training leaves such frames out.")
    if problems:
        sound = tuple(frame for frame, wrong in zip(capture.frames, found, strict=True) if not wrong)
        left_out = len(capture.frames) - len(sound) + len(errors)
        log.warning("%s\n%s: %d damaged frames are left out.", "\n".join(problems), path, left_out)
        space = seen_range(capture.expression_space, sound) if sound else capture.expression_space
        capture = replace(capture, frames=sound, expression_space=space)
    capture.split("train")
    return capture


def _each(look: Callable[[Frame], T], frames: Sequence[Frame]) -> list[T]:
    """What `look` returns for each frame; decoding releases Python's lock."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(look, frames))


def _looked_at(frame: Frame) -> tuple[list[str], float | None]:
    """What is wrong with a frame's files, and the mean of its matte."""
    problems: list[str] = []
    try:
        frame.load_depth()
    except HeadGaSError as error:
        problems.append(error.message)
    try:
        return problems, float(frame.load_head()[..., 3].mean()) / 255
    except HeadGaSError as error:
        return [*problems, error.message], None


def _problems_of(frame: Frame) -> list[str]:
    return _looked_at(frame)[0]


def _image_problems(frame: Frame) -> list[str]:
    """What the head of the image file tells."""
    try:
        frame.check_image()
    except HeadGaSError as error:
        return [error.message]
    return []


def _parameters(space: ExpressionSpace, frames: Sequence[Frame]) -> list[Parameter]:
    values = np.stack([frame.expression for frame in frames]).astype(np.float64)  # [F,B]
    away = np.abs(values - np.array(space.neutral))
    most = away.max(0)
    moved = ((away > _MOVED * most) & (most > 0)).sum(0)
    least = min(max(_SELDOM[0] * len(frames), _SELDOM[1]), len(frames))
    seldom = moved < least
    if space.kind == "ARKit":
        seldom |= most < _ARKIT_RANGE
    low, high = values.min(0), values.max(0)
    return [
        Parameter(name, float(low[i]), float(high[i]), int(moved[i]), bool(seldom[i]))
        for i, name in enumerate(space.names)
    ]


def _views(frames: Sequence[Frame]) -> Views:
    """By the way that cameras look: where they are counts little when the head is not at the origin."""
    matrices = np.stack([frame.viewmat for frame in frames]).astype(np.float64)
    forward = matrices[:, 2, :3]
    positions = -np.einsum("fij,fi->fj", matrices[:, :3, :3], matrices[:, :3, 3])
    return Views(
        _limits(np.degrees(np.arctan2(-forward[:, 0], forward[:, 1]))),
        _limits(np.degrees(np.arcsin(np.clip(-forward[:, 2], -1, 1)))),
        _limits(np.linalg.norm(positions, axis=1)),
    )


def _warnings(checked: Checked, train: Sequence[Frame]) -> Iterator[str]:
    """What training can do without, but its avatar will not know."""
    assert checked.capture is not None and checked.views is not None
    if len(train) < _FEW_FRAMES:
        yield f"There are only {len(train)} training frames: some thirty channels need about a hundred."
    if len(train) == len(checked.capture.frames):
        yield "There are no test frames: nobody will know how well the avatar does what it was not shown."
    still = [parameter.name for parameter in checked.parameters if not parameter.frames]
    if still:
        yield f"Never moves in training, so an avatar cannot learn it: {', '.join(still)}"
    seldom = [parameter.name for parameter in checked.parameters if parameter.seldom and parameter.frames]
    if seldom:
        yield f"Moves seldom or little in training, so it is learnt badly: {', '.join(seldom)}"
    left, right = checked.views.yaw
    if right - left < _NARROW:
        yield f"All views lie within {right - left:.0f}° of yaw: from the sides the avatar is a guess."
    sizes = {(frame.width, frame.height) for frame in checked.capture.frames}
    if len(sizes) > 1:
        yield f"The pictures have {len(sizes)} sizes: {', '.join(f'{w}×{h}' for w, h in sorted(sizes))}"
    images = Counter(frame.image for frame in checked.capture.frames)
    several = sorted(str(image.name) for image, count in images.items() if count > 1)
    if several:
        yield f"Several frames have the same picture: {', '.join(several)}"
    if checked.matte and checked.matte[1] > _FULL:
        yield "Some mattes fill the whole picture: the background is then taken for a part of the head."
    if checked.matte and checked.matte[0] < _EMPTY:
        yield f"Some mattes fill less than {_EMPTY:.0%} of the picture: there is little to see."


def _range(values: Sequence[float]) -> tuple[float, float] | None:
    return (round(min(values), 4), round(max(values), 4)) if values else None


def _limits(values: np.ndarray) -> tuple[float, float]:
    return round(float(values.min()), 3), round(float(values.max()), 3)
