# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""INSTA: transforms*.json with `exp_path`, 100 expressions of FLAME in a text file each.

Source: Zielon et al., "Instant Volumetric Head Avatars", CVPR 2023; Zielon/INSTA, scripts/transforms.py. Unlike in the
other layouts, `transform_matrix` places an OpenCV camera. FLAME is in metres and rests; jaw and eyes are in no file but
metrical-tracker's (layouts/metrical.py, which reads folders that still have these).
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from headgas.avatars.flame import flame_space
from headgas.captures.capture import Capture, Frame
from headgas.captures.fields import LARGEST, Fields, gathered
from headgas.captures.layouts.reading import (
    Listed,
    Report,
    Seen,
    assembled,
    common,
    listed,
    tail_is_test,
    viewmat_of,
)
from headgas.captures.transforms import image_path, intrinsics
from headgas.errors import HeadGaSError

TEST_FRAMES = 350
_SPLITS = {"transforms_train.json": "train", "transforms_test.json": "test"}  # _val's frames are in _test too
_ALL = {"transforms.json": "train"}


def detect(seen: Seen) -> bool:
    """VHAP's export of meshes has `exp_path`, too, but other cameras, and no poses."""
    return {"exp_path", "transform_matrix"} <= seen.frame and "timestep_index" not in seen.frame


def read(folder: Path, report: Report, flame: Path | None) -> Capture:
    if (folder / "transforms_train.json").is_file():
        entries = listed(folder, _SPLITS)
    else:
        entries = listed(folder, _ALL)
        splits = tail_is_test(len(entries), TEST_FRAMES)
        entries = [replace(entry, split=split) for entry, split in zip(entries, splits, strict=True)]
    count = common(entries, lambda entry: len(_expression(entry.fields, folder)))

    def frame(entry: Listed) -> Frame:
        fields = entry.fields
        right = gathered(
            {
                "image": lambda: image_path(fields, folder),
                "camera": lambda: intrinsics(fields, entry.top),
                "pose": lambda: fields.rigid("transform_matrix"),
                "expression": lambda: _expression(fields, folder, count),
            }
        )
        K, width, height = right["camera"]
        return Frame(
            name=right["image"].stem,
            split=entry.split,
            image=right["image"],
            width=width,
            height=height,
            viewmat=viewmat_of(np.linalg.inv(right["pose"])),
            K=K.astype(np.float32),
            expression=right["expression"],
        )

    return assembled(folder, flame_space(count, (), ()), entries, frame, report)


def _expression(fields: Fields, folder: Path, count: int | None = None) -> np.ndarray:
    """The numbers of a text file, a line each, float32; count: how many there must be."""
    path = fields.path("exp_path", folder)
    try:
        values = np.array(path.read_text(encoding="ascii").split(), np.float64)
    except (OSError, ValueError) as error:
        raise HeadGaSError(f"{path}: cannot be read as numbers ({error}); {fields.where} names it.") from None
    if not len(values) or not (np.abs(values) <= LARGEST).all():
        raise HeadGaSError(f"{path}: expected finite numbers, one a line; {fields.where} names it.")
    if len(values) != (count or len(values)):
        raise HeadGaSError(f"{path}: holds {len(values)} numbers, other frames' have {count}; {fields.where} names it.")
    return values.astype(np.float32)
