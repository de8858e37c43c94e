# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Removing the least important Gaussians of an avatar, and what is left of its pictures."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from headgas.avatars import Avatar
from headgas.captures.capture import spread
from headgas.evaluation.metrics import photograph_over_white, psnr_of
from headgas.evaluation.sheet import titled_sheet, to_bytes
from headgas.evaluation.views import View
from headgas.splatting import Gaussians, rasterize

SHARES = (1.0, 0.8, 0.6, 0.4, 0.3, 0.2, 0.1, 0.05)  # of the Gaussians that stay
_SHOWN = 3  # views in the picture


@dataclass(frozen=True)
class Remainder:
    """The avatar with the most important Gaussians only."""

    share: float  # of all Gaussians
    gaussians: int
    psnr: float | None  # dB, mean over views; None where the avatar is compared with itself


def importance(avatar: Avatar, views: Sequence[View]) -> Tensor:
    """How much of the pictures each Gaussian makes [N]: Σ α·T, its blending weight summed over all pixels of all views.

    Mini-Splatting's measure (Fang and Wang, ECCV 2024). A pixel's colour is Σ α·T·c, so the weights are the gradient
    of the sum of all pixels of one channel with respect to the Gaussians' colours c: exact, and one backward pass a
    view.
    """
    total = torch.zeros(avatar.count, device=avatar.device)
    for view in views:
        with torch.no_grad():
            gaussians = avatar.gaussians(view.expression, view.camera)
        ones = torch.ones(avatar.count, 3, device=avatar.device, requires_grad=True)
        with torch.enable_grad():
            painted = dataclasses.replace(_detached(gaussians), colors=ones)
            rendering = rasterize(painted, view.camera, with_depth=False, antialiased=avatar.antialiased)
            rendering.color[..., 0].sum().backward()
        assert ones.grad is not None
        total += ones.grad[:, 0]
    return total


@torch.inference_mode()
def removal_series(avatar: Avatar, weights: Tensor, views: Sequence[View]) -> tuple[list[Remainder], np.ndarray]:
    """Keeps ever fewer Gaussians, the most important ones [N], and compares with the photographs of the views.

    Views without a photograph are compared with the whole avatar's own pictures.

    Returns:
        The series, and a sheet [H,W,3] uint8 of a few views: captured, where there is something captured, then each
        remainder.
    """
    order = weights.argsort(descending=True, stable=True)
    counts = [max(1, round(share * avatar.count)) for share in SHARES]
    white = torch.ones(3, device=avatar.device)
    shown, rows, qualities = spread(range(len(views)), _SHOWN), [], []
    for number, view in enumerate(views):
        gaussians = avatar.gaussians(view.expression, view.camera)
        images = [
            rasterize(
                _selected(gaussians, order[:count]), view.camera, background=white, antialiased=avatar.antialiased
            ).color.clamp(0, 1)
            for count in counts
        ]
        target = photograph_over_white(view.frame).to(avatar.device) if view.frame else images[0]
        qualities.append([psnr_of(image, target) for image in images])
        if number in shown:
            rows.append([to_bytes(image) for image in ([target, *images] if view.frame else images)])
    means = np.mean(qualities, 0)
    series = [
        Remainder(count / avatar.count, count, float(psnr) if np.isfinite(psnr) else None)
        for count, psnr in zip(counts, means, strict=True)
    ]
    titles = [f"{count:,} ({share:.0%})" for count, share in zip(counts, SHARES, strict=True)]
    return series, titled_sheet(rows, (["captured"] if views[0].frame else []) + titles)


def _selected(gaussians: Gaussians, chosen: Tensor) -> Gaussians:
    return Gaussians(**{name: value[chosen] for name, value in vars(gaussians).items()})


def _detached(gaussians: Gaussians) -> Gaussians:
    """Copies: what an avatar keeps from a frame that it showed cannot be differentiated through."""
    return Gaussians(**{name: value.detach().clone() for name, value in vars(gaussians).items()})
