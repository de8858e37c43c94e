# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""AD-NeRF: transforms_{train,val}.json with `aud_id`; the expressions are in track_params.pt, a row for each frame.

Source: Guo et al., "AD-NeRF", ICCV 2021; YudongGuo/AD-NeRF, data_util/process_data.py: an OpenGL camera, decimetres
divided by 10, rays through whole pixel numbers; the last eleventh is called validation, and is what is tested on. The
79 expressions are principal components of the Basel face model that its tracker fits.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np

from headgas.captures.capture import Capture, Frame
from headgas.captures.fields import Fields, gathered
from headgas.captures.layouts.nerf_blendshape import image_number, numbered, parsed_matte
from headgas.captures.layouts.reading import (
    HALF_PIXEL,
    Report,
    Seen,
    assembled,
    common,
    found,
    listed,
    pixel_matrix,
    size_of,
    unnamed_space,
)
from headgas.errors import HeadGaSError
from headgas.pickles import as_array, read_torch

_SPLITS = {"transforms_train.json": "train", "transforms_val.json": "test"}
_TRACKED = "track_params.pt"


def detect(seen: Seen) -> bool:
    return "aud_id" in seen.frame and "img_id" in seen.frame


def read(folder: Path, report: Report, flame: Path | None) -> Capture:
    entries = listed(folder, _SPLITS)
    expressions = _expressions(folder / _TRACKED, len(entries))
    space = unnamed_space("custom", (f"bfm_{number:02d}" for number in range(expressions.shape[1])))
    size = common(entries, lambda entry: size_of(entry.top, _image(folder, image_number(entry.fields))))

    def frame(row: int) -> Frame:
        readers = numbered(entries[row], partial(_image, folder), partial(parsed_matte, folder), size, _intrinsics)
        right = gathered(readers)
        return Frame(name=right["image"].stem, split=entries[row].split, expression=expressions[row], **right)

    return assembled(folder, space, range(len(entries)), frame, report)


def _intrinsics(top: Fields) -> np.ndarray:
    focal, cx, cy = (top.number(field) for field in ("focal_len", "cx", "cy"))
    return pixel_matrix(top, focal, focal, cx + HALF_PIXEL, cy + HALF_PIXEL)


def _image(folder: Path, number: int) -> Path:
    return found(folder / "ori_imgs", str(number), (".jpg", ".png"))


def _expressions(path: Path, frames: int) -> np.ndarray:
    """Of each frame in order [frames,79], float32."""
    if not path.is_file():
        raise HeadGaSError(
            f"{path}: is missing; the frames' expressions are in it.",
            "AD-NeRF's face tracker writes it. An avatar can only learn what each frame's expression is.",
        )
    data = read_torch(path)
    values = as_array(data.get("exp") if isinstance(data, Mapping) else None)
    if values.dtype.kind != "f" or values.ndim != 2 or len(values) != frames or not np.isfinite(values).all():
        expected = f"a row of finite numbers for each of the {frames} frames"
        raise HeadGaSError(f"{path}: its 'exp' is {values.dtype} {list(values.shape)}; expected {expected}.")
    return values.astype(np.float32)
