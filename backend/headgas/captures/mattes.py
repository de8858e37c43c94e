# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mattes that lie beside their photographs, as other programs' datasets have them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from headgas.captures.opening import opened_picture
from headgas.errors import HeadGaSError

HEAD = (0, 0, 255)  # of a parsed picture, since AD-NeRF; green is the neck, red the torso, white the background
_SOFTEST = 1 / 255  # cover: below, a blended colour says nothing of the head's


@dataclass(frozen=True)
class Matte:
    """A picture that says what of a photograph is the head."""

    path: Path
    color: tuple[int, int, int] | None = None  # the head's, in a picture of classes; None: alpha, or white is the head
    blended: bool = False  # the photograph is mixed with white already, as much as this matte says

    def apply(self, pixels: np.ndarray, name: str) -> None:
        """Take away from the photograph [H,W,4] of the frame `name`, straight alpha in 0..1, what is not the head.

        Raises:
            HeadGaSError: the file is missing, damaged, or of another size.
        """
        with opened_picture(self.path, f"the matte of frame {name}") as picture:
            cover = self._cover(picture)
        if cover.shape != pixels.shape[:2]:
            sizes = [f"{shape[1]}×{shape[0]}" for shape in (cover.shape, pixels.shape)]
            raise HeadGaSError(f"{self.path}: the matte of frame {name} is {sizes[0]} pixels, its image {sizes[1]}.")
        pixels[..., 3] *= cover
        if self.blended:
            white, part = 1 - cover, np.maximum(cover, _SOFTEST)
            for channel in range(3):  # one by one: numpy is slow where the last axis is short
                np.clip((pixels[..., channel] - white) / part, 0, 1, out=pixels[..., channel])

    def _cover(self, opened: Image.Image) -> np.ndarray:
        """How much of each pixel is the head [H,W] float32."""
        if self.color is not None:
            classes = zip(opened.convert("RGB").split(), self.color, strict=True)
            inside = [(np.asarray(channel) >= 128) == (value >= 128) for channel, value in classes]
            return np.logical_and.reduce(inside).astype(np.float32)
        if opened.mode.startswith("I"):
            return np.asarray(opened, np.float32) / 65535
        channel = opened.convert("RGBA").getchannel("A") if opened.has_transparency_data else opened.convert("L")
        if opened.has_transparency_data and channel.getextrema()[0] == 255:  # an alpha that says nothing
            channel = opened.convert("L")
        return np.asarray(channel, np.float32) / 255
