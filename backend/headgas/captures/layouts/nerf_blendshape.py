# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""NeRFBlendShape: transforms.json with `exp_ori`, coefficients of 46 blendshapes of FaceWarehouse.

Source: Gao et al., "Reconstructing Personalized Semantic Facial NeRF Models from Monocular Video", SIGGRAPH Asia 2022;
USTC3DV/NeRFBlendShape-code, nerf/provider.py and nerf/utils.py: an OpenGL camera, rays through whole pixel numbers.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from headgas.captures.capture import Capture, Frame
from headgas.captures.fields import Fields, gathered
from headgas.captures.layouts.reading import (
    HALF_PIXEL,
    Listed,
    Report,
    Seen,
    assembled,
    common,
    count_of,
    found,
    listed,
    opengl_viewmat,
    pixel_matrix,
    size_of,
    tail_is_test,
    unnamed_space,
)
from headgas.captures.mattes import HEAD, Matte
from headgas.errors import HeadGaSError

TEST_FRAMES = 500
_FACE_WAREHOUSE = 46  # the blendshapes of FaceWarehouse, without the face at rest
FILES = {"transforms.json": "train"}


def detect(seen: Seen) -> bool:
    return "exp_ori" in seen.frame and "img_id" in seen.frame


def read(folder: Path, report: Report, flame: Path | None) -> Capture:
    entries = sorted(listed(folder, FILES), key=_place)
    splits = tail_is_test(len(entries), TEST_FRAMES)
    entries = [replace(entry, split=split) for entry, split in zip(entries, splits, strict=True)]
    return read_frames(folder, entries, parsed_matte, report)


def read_frames(
    folder: Path, entries: Sequence[Listed], matte: Callable[[Path, int], Matte], report: Report
) -> Capture:
    """The capture of these frames; matte: of an image by its number."""
    count = common(entries, lambda entry: count_of(entry.fields, "exp_ori"))
    # as an avatar of GaussianHead's released program calls them (exchange/gaussian_head.py)
    names = [f"expression_{number}" for number in range(count)]
    space = unnamed_space("FaceWarehouse" if count == _FACE_WAREHOUSE else "custom", names)
    images = next((folder / name for name in ("ori_imgs", "head_imgs") if (folder / name).is_dir()), folder)
    size = common(entries, lambda entry: size_of(entry.top, _image(images, image_number(entry.fields))))

    def frame(entry: Listed) -> Frame:
        fields = entry.fields
        readers = numbered(entry, partial(_image, images), partial(matte, folder), size, _intrinsics)
        readers["expression"] = lambda: fields.array("exp_ori", (count,)).astype("float32")
        right = gathered(readers)
        return Frame(name=right["image"].stem, split=entry.split, **right)

    return assembled(folder, space, entries, frame, report)


def numbered(
    entry: Listed,
    image: Callable[[int], Path],
    matte: Callable[[int], Matte],
    size: tuple[int, int],
    intrinsics: Callable[[Fields], np.ndarray],
) -> dict[str, Callable[[], Any]]:
    """How a frame is read whose picture has a number, as AD-NeRF's and those of its successors: all but expressions."""
    fields = entry.fields
    return {
        "image": lambda: image(image_number(fields)),
        "mattes": lambda: (matte(image_number(fields)),),
        "width": lambda: size[0],
        "height": lambda: size[1],
        "viewmat": lambda: opengl_viewmat(fields.rigid("transform_matrix")),
        "K": lambda: intrinsics(entry.top),
    }


def _place(entry: Listed) -> int:
    """A frame's image_number; whoever reads the frame says what is wrong with it."""
    try:
        return image_number(entry.fields)
    except HeadGaSError:
        return -1


def _intrinsics(top: Fields) -> np.ndarray:
    fx, fy, cx, cy = (top.number(field) for field in ("fx", "fy", "cx", "cy"))
    return pixel_matrix(top, fx, fy, cx + HALF_PIXEL, cy + HALF_PIXEL)


def image_number(fields: Fields) -> int:
    """A frame's `img_id`.

    Raises:
        HeadGaSError: it is no whole number.
    """
    number = fields.number("img_id")
    if number != int(number) or number < 0:
        raise fields.error("img_id", "a whole number")
    return int(number)


def parsed_matte(folder: Path, number: int) -> Matte:
    """What the parsed picture of that number has for the head."""
    return Matte(found(folder / "parsing", str(number)), color=HEAD)


def _image(images: Path, number: int) -> Path:
    return found(images, str(number), (".jpg", ".png"))
