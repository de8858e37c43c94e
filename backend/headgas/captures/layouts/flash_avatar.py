# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""FlashAvatar: imgs/, alpha/ and parsing/, with metrical-tracker's `.frame` files in that program's own folder.

Source: Xiang et al., "FlashAvatar", CVPR 2024; USTC3DV/FlashAvatar-code, scene/__init__.py: an image's number is its
frame's plus one, what is not alpha and parsed as neck or head is background, and the last 500 frames are for testing.
"""

from pathlib import Path

from headgas.captures.capture import Capture, Frame
from headgas.captures.layouts.metrical import Tracked, read_frames
from headgas.captures.layouts.reading import Report, Seen, found
from headgas.captures.mattes import Matte
from headgas.errors import HeadGaSError

TEST_FRAMES = 500
_JPEG = (".jpg", ".png")


def detect(seen: Seen) -> bool:
    return all((seen.folder / name).is_dir() for name in ("imgs", "alpha"))


def read(folder: Path, report: Report, flame: Path | None) -> Capture:
    parsed = (folder / "parsing").is_dir()

    def frame(tracked: Tracked, split: str) -> Frame:
        stem = f"{tracked.number + 1:05d}"
        mattes = [Matte(found(folder / "alpha", stem, _JPEG))]
        if parsed:
            mattes.append(Matte(found(folder / "parsing", f"{stem}_neckhead")))
        return Frame(
            name=stem,
            split=split,
            image=found(folder / "imgs", stem, _JPEG),
            width=tracked.width,
            height=tracked.height,
            viewmat=tracked.viewmat,
            K=tracked.K,
            expression=tracked.expression,
            mattes=tuple(mattes),
        )

    return read_frames(folder, _frames(folder), TEST_FRAMES, frame, report)


def _frames(folder: Path) -> Path:
    """Where the `.frame` files are: dataset/ID and metrical-tracker/output/ID/checkpoint lie beside each other."""
    near = folder.resolve()
    places = [near / "checkpoint", near.parent.parent / "metrical-tracker" / "output" / near.name / "checkpoint"]
    for place in places:
        if next(place.glob("*.frame"), None) is not None:
            return place
    raise HeadGaSError(
        f"{folder}: metrical-tracker's .frame files are neither in {places[0]} nor in {places[1]}.",
        "Cameras and expressions are in them. Copy them to the first of the two.",
    )
