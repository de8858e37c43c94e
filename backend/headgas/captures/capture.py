# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""A capture: images of one head with a camera, a matte and an expression per frame."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from PIL import Image

from headgas.avatars.expression_space import ExpressionSpace
from headgas.captures.mattes import Matte
from headgas.captures.opening import opened_picture
from headgas.captures.png import read_png
from headgas.errors import HeadGaSError
from headgas.splatting import Camera

T = TypeVar("T")
Box = tuple[int, int, int, int]  # x0, y0, x1, y1 in pixels, the last two exclusive


@dataclass(frozen=True)
class Frame:
    """One photograph and what is known about it."""

    name: str
    split: str  # "train" or "test"
    image: Path
    width: int  # pixels
    height: int  # pixels
    viewmat: np.ndarray  # [4,4] float32, head space to OpenCV camera space
    K: np.ndarray  # [3,3] float32, pixels
    expression: np.ndarray  # [B] float32
    boxes: Mapping[str, Box] = field(default_factory=dict)  # "eyes", "mouth"
    depth: Path | None = None  # 16-bit PNG of camera-space z, 0 = nothing there
    depth_unit: float = 1.0  # metres per unit of the depth image
    mattes: tuple[Matte, ...] = ()  # beside the image, where its own alpha does not say what the head is

    @property
    def camera(self) -> Camera:
        return Camera(torch.from_numpy(self.viewmat), torch.from_numpy(self.K), self.width, self.height)

    def load_rgba(self) -> np.ndarray:
        """The image [H,W,4], float32 in 0..1: sRGB with straight alpha.

        Raises:
            HeadGaSError: the file is missing, damaged, without alpha, or of another size.
        """
        pixels = self._load_pixels().astype(np.float32)
        pixels /= 255
        for matte in self.mattes:
            matte.apply(pixels, self.name)
        return pixels

    def load_head(self) -> np.ndarray:
        """The same image [H,W,4] as bytes.

        Raises:
            HeadGaSError: as `load_rgba`, and where the matte says that there is no head.
        """
        if self.mattes:
            values = self.load_rgba()
            values *= 255
            pixels = np.round(values, out=values).astype(np.uint8)
        else:
            pixels = self._load_pixels()
        if not pixels[..., 3].any():
            raise HeadGaSError(f"{self.image}: the matte of frame {self.name} is empty.")
        return pixels

    def check_image(self) -> None:
        """Looks at the image file's head alone: `load_head` finds whatever else may be wrong.

        Raises:
            HeadGaSError: the file is missing, is no image, without alpha, or of another size, or its matte is missing.
        """
        with self._opened() as opened:
            self._check_size(*opened.size)
        for matte in self.mattes:
            if not matte.path.is_file():
                raise HeadGaSError(f"{matte.path}: the matte of frame {self.name} is missing.")

    def _load_pixels(self) -> np.ndarray:
        """[H,W,4] uint8 as the file has them."""
        if (pixels := read_png(self.image, self.width, self.height)) is not None:
            return pixels
        with self._opened() as opened:
            pixels = np.asarray(opened if opened.mode == "RGBA" else opened.convert("RGBA"))
        self._check_size(pixels.shape[1], pixels.shape[0])
        return pixels

    @contextmanager
    def _opened(self) -> Iterator[Image.Image]:
        with opened_picture(self.image, f"the image of frame {self.name}") as picture:
            if not picture.has_transparency_data and not self.mattes:
                raise HeadGaSError(
                    f"{self.image}: the image of frame {self.name} has no alpha channel (mode {picture.mode}).",
                    "A capture needs the head's matte: `headgas import-capture --mattes` takes it from a folder.",
                )
            yield picture

    def _check_size(self, width: int, height: int) -> None:
        if (width, height) != (self.width, self.height):
            raise HeadGaSError(
                f"{self.image}: frame {self.name} is {width}×{height} pixels; "
                f"its camera says {self.width}×{self.height}."
            )

    def load_depth(self) -> np.ndarray | None:
        """Camera-space z [H,W] in metres, 0 where nothing was hit; None when the frame has none.

        Raises:
            HeadGaSError: the file is missing, damaged, or of another size.
        """
        if self.depth is None:
            return None
        with opened_picture(self.depth, f"the depth of frame {self.name}") as picture:
            depth = np.asarray(picture, np.float32) * self.depth_unit
        if depth.shape != (self.height, self.width):
            raise HeadGaSError(
                f"{self.depth}: the depth of frame {self.name} has the shape {depth.shape}; "
                f"its camera says {self.width}×{self.height} pixels, one value each."
            )
        return depth


@dataclass(frozen=True)
class Rendered:
    """How Blender rendered a capture of a character."""

    engine: str
    seconds: float  # per frame


@dataclass(frozen=True)
class Capture:
    """The frames of one head; `expression_space` holds the range that the training frames show."""

    path: Path
    expression_space: ExpressionSpace
    frames: tuple[Frame, ...]
    points: Path | None = None  # float32 .npy [n,3], surface points in head space
    poses_estimated: bool = False  # by a tracker: cameras and expressions are a little wrong, and training refines them
    rendered: Rendered | None = None  # where it is a character's, and how long a frame took was written down

    def split(self, name: str) -> tuple[Frame, ...]:
        """The frames of one split; "all" gives every frame.

        Raises:
            HeadGaSError: the capture has no frame of that split.
        """
        frames = tuple(frame for frame in self.frames if name in ("all", frame.split))
        if not frames:
            raise HeadGaSError(f"{self.path}: the capture has no frame in the split {name!r}.")
        return frames

    def load_points(self) -> np.ndarray | None:
        """Surface points [n,3] float32 in head space, metres; None when the capture has none.

        Raises:
            HeadGaSError: the file is missing, damaged, or holds something else.
        """
        if self.points is None:
            return None
        try:
            points = np.load(self.points, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise HeadGaSError(f"{self.points}: the capture's points cannot be read ({error}).") from None
        if points.ndim != 2 or points.shape[1] != 3 or not np.isfinite(points).all():
            raise HeadGaSError(f"{self.points}: the capture's points must be finite, of the shape [n,3].")
        return points.astype(np.float32)


def spread(items: Sequence[T], most: int) -> list[T]:
    """At most so many items, spread evenly from the first to the last."""
    return [items[i] for i in np.linspace(0, len(items) - 1, min(most, len(items))).round().astype(int)]


def seen_range(space: ExpressionSpace, frames: tuple[Frame, ...]) -> ExpressionSpace:
    """The same space with `low` and `high` as the training frames show them (all frames when there are none)."""
    train = [frame.expression for frame in frames if frame.split == "train"] or [f.expression for f in frames]
    values = np.stack(train)
    return ExpressionSpace(
        space.kind, space.names, space.neutral, tuple(values.min(0).tolist()), tuple(values.max(0).tolist())
    )
