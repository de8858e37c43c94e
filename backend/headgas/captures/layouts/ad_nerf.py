# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""AD-NeRF: transforms_{train,val}.json with `aud_id`; the expressions are in track_params.pt, a row for each frame.

Source: Guo et al., "AD-NeRF", ICCV 2021; YudongGuo/AD-NeRF, data_util/process_data.py: an OpenGL camera, decimetres
divided by 10, rays through whole pixel numbers; the last eleventh is called validation, and is what is tested on. The
79 expressions are principal components of the Basel face model that its tracker fits.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from headgas.captures.capture import Capture, Frame
from headgas.captures.layouts.nerf_blendshape import image_number, parsed_matte
from headgas.captures.layouts.reading import (
    HALF_PIXEL,
    Report,
    Seen,
    assembled,
    found,
    listed,
    opengl_viewmat,
    pixel_matrix,
    rigid,
    size_of,
    unnamed_space,
)
from headgas.errors import HeadGaSError
from headgas.pickles import as_array, read_torch

_SPLITS = {"transforms_train.json": "train", "transforms_val.json": "test"}
_TRACKED = "track_params.pt"


def detect(seen: Seen) -> bool:
    return "aud_id" in seen.first and "img_id" in seen.first


def read(folder: Path, report: Report, flame: Path | None) -> Capture:
    entries = listed(folder, _SPLITS)
    expressions = _expressions(folder / _TRACKED, len(entries))
    space = unnamed_space("custom", (f"bfm_{number:02d}" for number in range(expressions.shape[1])))
    size = size_of(entries[0].top, _image(folder, image_number(entries[0].fields)))

    def frame(row: int) -> Frame:
        top, fields = entries[row].top, entries[row].fields
        number, focal = image_number(fields), top.number("focal_len")
        return Frame(
            name=str(number),
            split=entries[row].split,
            image=_image(folder, number),
            width=size[0],
            height=size[1],
            viewmat=opengl_viewmat(rigid(fields, "transform_matrix")),
            K=pixel_matrix(top, focal, focal, top.number("cx") + HALF_PIXEL, top.number("cy") + HALF_PIXEL),
            expression=expressions[row],
            mattes=(parsed_matte(folder, number),),
        )

    return assembled(folder, space, range(len(entries)), frame, report)


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
