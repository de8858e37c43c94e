# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writing pictures."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

from headgas.files import write


def save_image(path: Path, image: np.ndarray) -> None:
    """Writes [H,W,3 or 4] uint8 as PNG.

    Raises:
        HeadGaSError: the file cannot be written.
    """
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, format="PNG")
    write(path, stream.getvalue())
