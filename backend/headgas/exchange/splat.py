# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""`.splat` files: 32 bytes a Gaussian without any header, of the web viewer antimatter15/splat."""

from pathlib import Path

import numpy as np

from headgas.avatars.spherical_harmonics import C0
from headgas.errors import HeadGaSError
from headgas.exchange.imported import Imported, ReadingOptions, assembled, check_count, static

AXES = "opencv"  # as the PLY files that these are made of
_RECORD = np.dtype([("mean", "<f4", 3), ("scale", "<f4", 3), ("color", "u1", 4), ("rotation", "u1", 4)])


def read_splat(path: Path, options: ReadingOptions) -> Imported:
    """The static avatar in a `.splat` file.

    Raises:
        HeadGaSError: the file is damaged.
    """
    size = path.stat().st_size
    if size % _RECORD.itemsize:
        raise HeadGaSError(f"{path}: has {size:,} bytes, no multiple of the {_RECORD.itemsize} that a Gaussian takes.")
    check_count(path, size // _RECORD.itemsize)
    records = np.fromfile(path, _RECORD)
    color = records["color"] / 255.0
    with np.errstate(divide="ignore", invalid="ignore"):
        log_scales, logits = np.log(records["scale"]), np.log(color[:, 3]) - np.log1p(-color[:, 3])
    quaternions = (records["rotation"] - 128.0) / 128  # wxyz; not to 255, whose middle is no byte
    harmonics = ((color[:, :3] - 0.5) / C0)[:, None]
    splats = assembled(path, records["mean"], quaternions, log_scales, logits, harmonics)
    return static(splats, ".splat", AXES, options)
