# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every reader of this room is asked and answers, and the checks that all of them share."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from headgas.avatars import Avatar, SplatAvatar
from headgas.avatars.spherical_harmonics import MAX_DEGREE, coefficient_count
from headgas.errors import HeadGaSError
from headgas.exchange.axes import AXES, into_head_space
from headgas.splatting.splats import Splats

MAX_SPLATS = 10_000_000  # a header that says more is taken for damaged
_FARTHEST = 1e6  # units: what lies beyond is no head
_LOG_SCALES = (-23.0, 20.0)  # a flat Gaussian has the logarithm of nothing; above is no size
_MAX_LOGIT = 20.0  # stands for the infinite logits of opacities that are exactly 0 or 1


@dataclass(frozen=True)
class ReadingOptions:
    """What a file does not say about itself."""

    axes: str | None = None  # one of `axes.AXES`; else those that the format is known for
    scale: float = 1.0  # metres per unit
    flame: Path | None = None  # the user's FLAME model, for avatars that are bound to it
    shape: Path | None = None  # who it is: a file of metrical-tracker, or an array of FLAME's shape parameters

    def check(self) -> None:
        """Refuses what no file can have.

        Raises:
            HeadGaSError: there is such.
        """
        if self.axes is not None and self.axes not in AXES:
            raise HeadGaSError(f"The axes {self.axes!r} are not known; expected one of {', '.join(AXES)}.")
        if not 0 < self.scale < math.inf:
            raise HeadGaSError(f"The scale {self.scale:g} cannot be used; expected metres per unit, above 0.")


@dataclass(frozen=True)
class Imported:
    """An avatar out of a file of any format."""

    avatar: Avatar
    format: str  # in the user's words
    warnings: Sequence[str] = ()  # what the avatar lacks that the file may have, and why
    preset: str = "imported"  # of its training, where that is known
    training: dict[str, Any] = field(default_factory=dict)
    surface: dict[str, Tensor] | None = None  # where the file holds one


def static(splats: Splats, form: str, axes: str, options: ReadingOptions, warnings: Sequence[str] = ()) -> Imported:
    """An avatar that nothing drives; axes: those that the format is known for."""
    placed = into_head_space(splats, options.axes or axes, options.scale)
    return Imported(SplatAvatar(placed), form, warnings)


def assembled(
    path: Path,
    means: np.ndarray,
    quaternions: np.ndarray,
    log_scales: np.ndarray,
    logits: np.ndarray,
    harmonics: np.ndarray,
    antialiased: bool = False,
) -> Splats:
    """Splats out of arrays [N,3], [N,4] wxyz, [N,3], [N] and [N,K,3], K up to 16, of any floating type.

    Opacities of exactly 0 and 1, scales of 0 and quaternions of length 0 become what a rasterizer can use.

    Raises:
        HeadGaSError: a number cannot be used; the message names the first one.
    """
    if not len(means):
        raise HeadGaSError(f"{path}: holds no Gaussians.")
    if harmonics.shape[1] not in (1, 4, 9, 16):
        raise HeadGaSError(f"{path}: has {harmonics.shape[1]} harmonics; expected 1, 4, 9 or 16.")
    lowest, highest = _LOG_SCALES
    with np.errstate(over="ignore"):
        limits = {
            "position": (means, -_FARTHEST, _FARTHEST),
            "rotation": (quaternions, -math.inf, math.inf),
            "scale": (np.maximum(log_scales, lowest), lowest, highest),
            "opacity": (np.clip(logits, -_MAX_LOGIT, _MAX_LOGIT), -_MAX_LOGIT, _MAX_LOGIT),
            "color": (harmonics, -_FARTHEST, _FARTHEST),
        }
    tensors = []
    for name, (values, low, high) in limits.items():
        good = np.isfinite(values) & (values >= low) & (values <= high)
        if not good.all():
            row = int(np.argmin(good.reshape(len(good), -1).all(1)))
            said = ", ".join(f"{value:g}" for value in np.ravel(values[row])[~np.ravel(good[row])][:3])
            raise HeadGaSError(f"{path}: Gaussian {row} has the {name} {said}, which no Gaussian can have.")
        tensors.append(torch.from_numpy(np.ascontiguousarray(values, np.float32)))
    nowhere = tensors[1].norm(dim=1) < 1e-12
    tensors[1][nowhere] = torch.tensor([1.0, 0.0, 0.0, 0.0])
    return Splats(*tensors, antialiased=antialiased)


def check_writable(splats: Splats) -> None:
    """Refuses what no file of splats should hold, and no reader of this room would take.

    Raises:
        HeadGaSError: it is so.
    """
    numbers = (splats.means, splats.quaternions, splats.log_scales, splats.logits, splats.harmonics)
    finite = all(bool(torch.isfinite(values).all()) for values in numbers)
    if not finite or splats.means.abs().max() > _FARTHEST or splats.log_scales.max() > _LOG_SCALES[1]:
        raise HeadGaSError(
            "With this expression the avatar's Gaussians lie or reach too far away for a file.",
            "Choose values near the range that training saw, which `headgas info` shows.",
        )


def usable_degree(degree: int, form: str) -> tuple[int, list[str]]:
    """The degree of harmonics to keep of those in a file, and the warning where some are left out."""
    if degree <= MAX_DEGREE:
        return degree, []
    lost = coefficient_count(degree) - coefficient_count(MAX_DEGREE)
    return MAX_DEGREE, [f"{form}: the harmonics of degree {degree} are left out ({lost} per colour): 3 is the largest."]


def check_count(path: Path, count: int) -> None:
    """Refuses a number of Gaussians that no head has.

    Raises:
        HeadGaSError: it is so.
    """
    if not 0 < count <= MAX_SPLATS:
        raise HeadGaSError(
            f"{path}: its header speaks of {count:,} Gaussians; expected 1 to {MAX_SPLATS:,}.",
            "The file is damaged, or holds something larger than a head.",
        )
