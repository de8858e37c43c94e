# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""NeRFBlendShape: transforms.json with `exp_ori`, coefficients of 46 blendshapes of FaceWarehouse.

Source: Gao et al., "Reconstructing Personalized Semantic Facial NeRF Models from Monocular Video", SIGGRAPH Asia 2022;
USTC3DV/NeRFBlendShape-code, nerf/provider.py and nerf/utils.py: an OpenGL camera, rays through whole pixel numbers.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from headgas.captures.capture import Capture, Frame
from headgas.captures.fields import Fields
from headgas.captures.layouts.reading import (
    HALF_PIXEL,
    Listed,
    Report,
    Seen,
    assembled,
    count_of,
    found,
    listed,
    opengl_viewmat,
    pixel_matrix,
    rigid,
    size_of,
    tail_is_test,
    unnamed_space,
)
from headgas.captures.mattes import HEAD, Matte

TEST_FRAMES = 500
_FACE_WAREHOUSE = 46  # the blendshapes of FaceWarehouse, without the face at rest
FILES = {"transforms.json": "train"}


def detect(seen: Seen) -> bool:
    return "exp_ori" in seen.first and "img_id" in seen.first


def read(folder: Path, report: Report, flame: Path | None) -> Capture:
    entries = sorted(listed(folder, FILES), key=lambda entry: image_number(entry.fields))
    splits = tail_is_test(len(entries), TEST_FRAMES)
    entries = [replace(entry, split=split) for entry, split in zip(entries, splits, strict=True)]
    return read_frames(folder, entries, parsed_matte, report)


def read_frames(
    folder: Path, entries: Sequence[Listed], matte: Callable[[Path, int], Matte], report: Report
) -> Capture:
    """The capture of these frames; matte: of an image by its number."""
    # as an avatar of GaussianHead's released program calls them (exchange/gaussian_head.py)
    names = [f"expression_{number}" for number in range(count_of(entries[0].fields, "exp_ori"))]
    space = unnamed_space("FaceWarehouse" if len(names) == _FACE_WAREHOUSE else "custom", names)
    images = next((folder / name for name in ("ori_imgs", "head_imgs") if (folder / name).is_dir()), folder)
    size = size_of(entries[0].top, _image(images, image_number(entries[0].fields)))

    def frame(entry: Listed) -> Frame:
        top, fields = entry.top, entry.fields
        number = image_number(fields)
        cx, cy = (top.number(field) + HALF_PIXEL for field in ("cx", "cy"))
        return Frame(
            name=str(number),
            split=entry.split,
            image=_image(images, number),
            width=size[0],
            height=size[1],
            viewmat=opengl_viewmat(rigid(fields, "transform_matrix")),
            K=pixel_matrix(top, top.number("fx"), top.number("fy"), cx, cy),
            expression=fields.array("exp_ori", (len(space),)).astype("float32"),
            mattes=(matte(folder, number),),
        )

    return assembled(folder, space, entries, frame, report)


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
