# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The focal length: as the user says, as the photographs say, or a guess that fits most phones."""

import math
import re
from pathlib import Path

import numpy as np
from PIL import Image

from headgas.errors import HeadGaSError

_PRIOR = 1.25  # times the long side of the picture
_FEWEST = 100  # pixels that may be given without their unit: a phone's lens has thousands, and 26 are millimetres
_DIAGONAL = 43.27  # millimetres of a 35 mm negative
_EXIF, _IN_35MM = 0x8769, 0xA405  # the tag FocalLengthIn35mmFilm, in the part for cameras


def intrinsics(said: str | None, source: Path, width: int, height: int) -> tuple[np.ndarray, str]:
    """K [3,3] of the whole picture, and where its focal length comes from: "given", "exif" or "prior".

    Args:
        said: pixels, such as 1400, or millimetres of a 35 mm camera, such as 26mm.

    Raises:
        HeadGaSError: it is neither, or may be either.
    """
    diagonal = math.hypot(width, height)
    if said is not None:
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(mm|px)?\s*", said)
        focal = float(match[1]) if match else 0.0
        if match and not match[2] and 0 < focal < _FEWEST:
            raise HeadGaSError(
                f"The focal length {said} could be millimetres or pixels.", f"Say which: {said}mm, or {said}px."
            )
        if not match or focal <= 0:
            raise HeadGaSError(
                f"The focal length {said!r} cannot be read.",
                "Give pixels, such as 1400, or what the lens would be on a 35 mm camera, such as 26mm.",
            )
        pixels, origin = focal * diagonal / _DIAGONAL if match[2] == "mm" else focal, "given"
    elif (millimetres := _photographed(source)) is not None:
        pixels, origin = millimetres * diagonal / _DIAGONAL, "exif"
    else:
        pixels, origin = _PRIOR * max(width, height), "prior"
    return np.array([[pixels, 0, width / 2], [0, pixels, height / 2], [0, 0, 1]]), origin


def _photographed(source: Path) -> float | None:
    """What the first photograph of a folder says of its lens, in millimetres of a 35 mm camera."""
    if not source.is_dir():
        return None
    for path in sorted(source.iterdir()):
        try:
            with Image.open(path) as picture:
                value = picture.getexif().get_ifd(_EXIF).get(_IN_35MM)
        except OSError:  # not a picture
            continue
        return float(value) if value else None
    return None
