# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the readers of published layouts share: cameras, splits, images, and frames that are read one by one."""

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from headgas.avatars.expression_space import ExpressionSpace
from headgas.captures.capture import Capture, Frame, seen_range
from headgas.captures.fields import Fields, WrongFields, frames_of, read_json
from headgas.captures.opening import image_size
from headgas.captures.transforms import OPENGL_TO_OPENCV, TO_HEAD_SPACE
from headgas.errors import HeadGaSError

Report = Callable[[HeadGaSError], None]
Entry = TypeVar("Entry")
Common = TypeVar("Common", bound=Hashable)
HALF_PIXEL = 0.5  # where a program sends its rays through whole pixel numbers: they are its pixels' centres
_ASKED = 9  # frames that say what all have in common: some of them may be damaged
_TENTH = 0.1  # of the frames is held out where a recording is too short for the published test set


@dataclass(frozen=True)
class Listed:
    """One frame as a file of cameras has it."""

    top: Fields  # of the file
    number: int  # in the file
    split: str

    @property
    def fields(self) -> Fields:
        """
        Raises:
            HeadGaSError: the file has no object there.
        """
        return Fields(frames_of(self.top)[self.number], f"{self.top.where}, frame {self.number}")


@dataclass(frozen=True)
class Seen:
    """What layouts are told apart by: a folder, and its file of cameras where it has one."""

    folder: Path
    top: dict[str, Any]
    frame: frozenset[str]  # fields that frames have

    @classmethod
    def of(cls, folder: Path) -> "Seen":
        names = ("transforms_train.json", "transforms.json")
        for path in (folder / name for name in names):
            if path.is_file():
                try:
                    top = read_json(path)
                    frames = frames_of(Fields(top, str(path)))
                except HeadGaSError:
                    break  # whoever reads it says what is wrong with it
                known = frozenset(name for frame in frames if isinstance(frame, dict) for name in frame)
                return cls(folder, dict(top), known)
        return cls(folder, {}, frozenset())


def listed(folder: Path, files: Mapping[str, str]) -> list[Listed]:
    """The frames in those of the files that are there, with the split that belongs to each file's name.

    Raises:
        HeadGaSError: there are none.
    """
    found: list[Listed] = []
    for name, split in files.items():
        if not (folder / name).is_file():
            continue
        top = Fields(read_json(folder / name), str(folder / name))
        if top.data.get("frames") == []:
            continue  # VHAP's way of saying that nothing is left for validation
        found += [Listed(top, number, split) for number in range(len(frames_of(top)))]
    if not found:
        raise HeadGaSError(f"{folder}: there are no frames in {' or '.join(files)}.")
    return found


def common(entries: Iterable[Entry], read: Callable[[Entry], Common]) -> Common:
    """What most of the first entries that can be read have: what is damaged is reported where all are read.

    Raises:
        HeadGaSError: none can be read; it is the first one's.
    """
    errors: list[HeadGaSError] = []

    def values() -> Iterable[Common]:
        for entry in entries:
            try:
                yield read(entry)
            except HeadGaSError as error:
                errors.append(error)

    found = Counter(islice(values(), _ASKED)).most_common(1)
    if not found:
        raise errors[0]
    return found[0][0]


def count_of(fields: Fields, field: str) -> int:
    """How many things a field lists.

    Raises:
        HeadGaSError: it is no list, or an empty one.
    """
    values = fields.data.get(field)
    if not isinstance(values, list) or not values:
        raise fields.error(field, "a list of numbers")
    return len(values)


def viewmat_of(head_to_camera: np.ndarray, scale: float = 1.0) -> np.ndarray:
    """The viewmat [4,4] float32 of an OpenCV camera.

    Args:
        head_to_camera: [4,4] from a head with Y up and Z out of the face, which is how all these layouts have it.
        scale: metres per unit.
    """
    viewmat = head_to_camera @ np.linalg.inv(TO_HEAD_SPACE)
    viewmat[:3, 3] *= scale
    return viewmat.astype(np.float32)


def opengl_viewmat(camera_to_head: np.ndarray, scale: float = 1.0) -> np.ndarray:
    """The same for the place [4,4] of an OpenGL camera, which looks along -Z and has Y up."""
    return viewmat_of(OPENGL_TO_OPENCV @ np.linalg.inv(camera_to_head), scale)


def pixel_matrix(fields: Fields, fx: float, fy: float, cx: float, cy: float) -> np.ndarray:
    """K [3,3] float32 in pixels.

    Raises:
        HeadGaSError: a focal length is no length.
    """
    if fx <= 0 or fy <= 0:
        raise HeadGaSError(f"{fields.where}: its focal lengths are {fx:g} and {fy:g}; expected positive ones.")
    return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]], np.float32)


def size_of(top: Fields, image: Path) -> tuple[int, int]:
    """Width and height as a file of cameras says them, or as the image has them.

    Raises:
        HeadGaSError: neither can be read.
    """
    return (top.size("w"), top.size("h")) if "w" in top and "h" in top else image_size(image)


def found(folder: Path, stem: str, endings: Iterable[str] = (".png", ".jpg", ".jpeg")) -> Path:
    """The image of that name with any of the endings; with the first of them where there is none."""
    paths = [folder / f"{stem}{ending}" for ending in endings]
    return next((path for path in paths if path.is_file()), paths[0])


def tail_is_test(count: int, published: int) -> list[str]:
    """Splits of frames in order: the last ones are for testing, as many as were published; a tenth of short ones."""
    held_out = published if count >= 2 * published else max(1, round(_TENTH * count))
    return ["train"] * (count - held_out) + ["test"] * held_out


def assembled(
    folder: Path, space: ExpressionSpace, entries: Iterable[Entry], read: Callable[[Entry], Frame], report: Report
) -> Capture:
    """A capture of frames that are read one by one; what is wrong with one goes to `report`, and it is left out."""
    frames: dict[str, Frame] = {}
    for entry in entries:
        try:
            frame = read(entry)
            if frame.name in frames:
                raise WrongFields(f"{folder}: the frame {frame.name!r} is there twice.", vars(frame))
            frames[frame.name] = frame
        except HeadGaSError as error:
            report(error)
    kept = tuple(frames.values())
    return Capture(folder, seen_range(space, kept) if kept else space, kept)


def unnamed_space(kind: str, names: Iterable[str]) -> ExpressionSpace:
    """A space whose parameters rest at zero; their range is seen later."""
    names = tuple(names)
    zeros = (0.0,) * len(names)
    return ExpressionSpace(kind, names, zeros, zeros, zeros)
