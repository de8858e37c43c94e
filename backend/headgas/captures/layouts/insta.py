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
from headgas.captures.fields import Fields
from headgas.captures.layouts.reading import (
    Listed,
    Report,
    Seen,
    assembled,
    listed,
    pixel_matrix,
    rigid,
    tail_is_test,
    viewmat_of,
)
from headgas.errors import HeadGaSError

TEST_FRAMES = 350
_SPLITS = {"transforms_train.json": "train", "transforms_test.json": "test"}  # _val's frames are in _test too
_ALL = {"transforms.json": "train"}


def detect(seen: Seen) -> bool:
    return "exp_path" in seen.first and "transform_matrix" in seen.first


def read(folder: Path, report: Report, flame: Path | None) -> Capture:
    if (folder / "transforms_train.json").is_file():
        entries = listed(folder, _SPLITS)
    else:
        entries = listed(folder, _ALL)
        splits = tail_is_test(len(entries), TEST_FRAMES)
        entries = [replace(entry, split=split) for entry, split in zip(entries, splits, strict=True)]
    count = len(_expression(entries[0].fields, folder))

    def frame(entry: Listed) -> Frame:
        top, fields = entry.top, entry.fields
        image, expression = fields.path("file_path", folder), _expression(fields, folder)
        if len(expression) != count:
            said = f"'exp_path' names {len(expression)} numbers; the first frame has {count}"
            raise HeadGaSError(f"{fields.where}: {said}.")
        return Frame(
            name=image.stem,
            split=entry.split,
            image=image,
            width=top.size("w"),
            height=top.size("h"),
            viewmat=viewmat_of(np.linalg.inv(rigid(fields, "transform_matrix"))),
            K=pixel_matrix(top, *(top.number(field) for field in ("fl_x", "fl_y", "cx", "cy"))),
            expression=expression,
        )

    return assembled(folder, flame_space(count, (), ()), entries, frame, report)


def _expression(fields: Fields, folder: Path) -> np.ndarray:
    """The numbers of a text file, a line each, float32."""
    path = fields.path("exp_path", folder)
    try:
        values = np.array(path.read_text(encoding="ascii").split(), np.float32)
    except (OSError, ValueError) as error:
        raise HeadGaSError(f"{path}: cannot be read as numbers ({error}); {fields.where} names it.") from None
    if not len(values) or not np.isfinite(values).all():
        raise HeadGaSError(f"{path}: expected finite numbers, one a line.")
    return values
