# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a frame travels over the connection: as it is, or smaller where a network is slower than the packing."""

import zlib
from collections.abc import Sequence

import numpy as np

from headgas.errors import HeadGaSError

_LEVEL = 1  # zlib's fastest: higher levels save a few per cent and take several times as long
_HALF_LARGEST = 65504.0


def encoded(planes: Sequence[np.ndarray], encoding: str) -> bytes:
    """The bytes of one frame: its planes, all float32, colours [H,W,4] first.

    Args:
        encoding: "raw"; "lossless", the same numbers packed; or "half", packed with colours rounded to float16 (by at
            most 2^-11 of a value) and the other planes as they are.

    Raises:
        HeadGaSError: there is no such encoding.
    """
    if encoding == "raw":
        return b"".join(plane.tobytes() for plane in planes)
    colours = planes[0]
    if encoding == "half":
        colours = np.clip(colours, -_HALF_LARGEST, _HALF_LARGEST).astype(np.float16)
    if encoding in ("lossless", "half"):
        others = np.concatenate([plane.ravel() for plane in planes[1:]])
        return zlib.compress(_sorted(colours) + _sorted(others), _LEVEL)
    raise HeadGaSError(f"The request's encoding is {encoding!r}; expected raw, lossless or half.")


def _sorted(values: np.ndarray) -> bytes:
    """The first bytes of all values, then the second, …: neighbours' exponents are alike, and pack well together."""
    return values.reshape(-1, 1).view(np.uint8).T.tobytes()
