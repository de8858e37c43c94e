# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Training frames as tensors, shuffled epoch by epoch."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from headgas.captures import Frame
from headgas.splatting import Camera

_BOX_MARGIN = 8  # pixels around the matte: the perceptual loss sees the silhouette too


@dataclass(frozen=True)
class TrainingFrame:
    """One frame on the training device."""

    color: Tensor  # [H,W,3] sRGB, straight
    matte: Tensor  # [H,W]
    head: tuple[slice, slice]  # rows and columns around the matte, for the perceptual loss
    camera: Camera
    expression: Tensor  # [B]

    def over(self, background: Tensor) -> Tensor:
        """The photograph over a background [3]: [H,W,3]."""
        matte = self.matte[..., None]
        return self.color * matte + background * (1 - matte)


def load_frame(frame: Frame, device: torch.device) -> TrainingFrame:
    pixels = frame.load_rgba()
    rgba = torch.from_numpy(pixels).to(device)
    return TrainingFrame(
        color=rgba[..., :3].contiguous(),
        matte=rgba[..., 3].contiguous(),
        head=_head_box(pixels[..., 3]),
        camera=frame.camera.to(device),
        expression=torch.from_numpy(frame.expression).to(device),
    )


def _head_box(matte: np.ndarray) -> tuple[slice, slice]:
    rows, columns = (np.flatnonzero((matte > 0.5).any(axis)) for axis in (1, 0))
    if not len(rows):
        return slice(None), slice(None)
    first, last = ([line[i] for line in (rows, columns)] for i in (0, -1))
    top, left = (max(0, int(line) - _BOX_MARGIN) for line in first)
    bottom, right = (int(line) + 1 + _BOX_MARGIN for line in last)
    return slice(top, bottom), slice(left, right)


class FrameOrder:
    """Which frame comes next: every frame once per epoch, in an order that only the seed and the step decide."""

    def __init__(self, count: int, seed: int) -> None:
        self._count = count
        self._seed = seed
        self._epoch = -1
        self._order = np.empty(0, np.int64)

    def __getitem__(self, step: int) -> int:
        epoch, place = divmod(step, self._count)
        if epoch != self._epoch:
            self._order = np.random.default_rng((self._seed, epoch)).permutation(self._count)
            self._epoch = epoch
        return int(self._order[place])
