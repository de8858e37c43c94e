# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The feature basis of an avatar as colours: Gaussians of one colour follow the expression alike."""

import dataclasses

import numpy as np
import torch
from torch import Tensor

from headgas.avatars import Avatar
from headgas.avatars.framing import face_camera
from headgas.evaluation.sheet import to_bytes
from headgas.splatting import rasterize

_SIZE = 512  # pixels
_TRIMMED = 0.02  # of the Gaussians at each end of a component: outliers must not take the colours
_ITERATIONS = 8  # of the subspace iteration


@torch.inference_mode()
def basis_picture(avatar: Avatar, basis: Tensor) -> tuple[np.ndarray, list[float]]:
    """The resting avatar, each Gaussian in the colour of its basis [1+B,N,f].

    Returns:
        The picture [H,W,3] uint8, and the shares of the basis' variance that red, green and blue show.
    """
    colors, shares = basis_colors(basis)
    camera = face_camera(avatar, _SIZE)
    gaussians = dataclasses.replace(avatar.gaussians(avatar.neutral(), camera), colors=colors)
    white = torch.ones(3, device=avatar.device)
    image = rasterize(gaussians, camera, background=white, antialiased=avatar.antialiased).color
    return to_bytes(image), shares


def basis_colors(basis: Tensor) -> tuple[Tensor, list[float]]:
    """The first three principal components of the Gaussians' bases, as colours.

    What answers the expression is shown, the rows beyond f_0; where there are none, f_0 itself.

    Args:
        basis: [1+B,N,f].

    Returns:
        Colours [N,3] in 0..1, and the three components' shares of the variance.
    """
    rows = basis[1:] if len(basis) > 1 else basis
    features = rows.permute(1, 0, 2).flatten(1)  # [N,B·f]
    centered = features - features.mean(0)
    total = centered.norm().square().clamp_min(1e-30)
    kept = min(3, *centered.shape)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # the subspace iteration starts at random
        scores, sizes, axes = torch.pca_lowrank(centered, min(6, *centered.shape), center=False, niter=_ITERATIONS)
    largest = axes.abs().argmax(0)
    signs = axes[largest, torch.arange(axes.shape[1], device=axes.device)].sign()  # a component's sign is arbitrary
    components = (scores * sizes * signs)[:, :kept]
    limits = torch.quantile(components, torch.tensor([_TRIMMED, 1 - _TRIMMED], device=basis.device), dim=0)
    colors = torch.full((len(components), 3), 0.5, device=basis.device)
    colors[:, :kept] = ((components - limits[0]) / (limits[1] - limits[0]).clamp_min(1e-12)).clamp(0, 1)
    return colors, (sizes[:kept].square() / total).tolist()
