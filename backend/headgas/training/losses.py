# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What training minimises."""

from collections.abc import Callable

import torch
from torch import Tensor

from headgas.splatting import Rendering
from headgas.training.config import TrainingConfig
from headgas.training.frames import TrainingFrame
from headgas.training.ssim import ssim

Perceptual = Callable[[Tensor, Tensor], Tensor]  # images [H,W,3] -> scalar


def photometric_loss(
    rendering: Rendering,
    target: Tensor,
    frame: TrainingFrame,
    config: TrainingConfig,
    perceptual: Perceptual | None,
) -> Tensor:
    """0.8 L1 + 0.2 (1 - SSIM) [+ perceptual in the head's box] as in HeadGaS, and an L1 matte loss.

    Args:
        target: [H,W,3], the photograph over the background that the rendering lies over.
        perceptual: None as long as it does not count.
    """
    loss = config.l1_weight * (rendering.color - target).abs().mean()
    loss = loss + config.ssim_weight * (1 - ssim(rendering.color, target))
    loss = loss + config.matte_weight * (rendering.alpha - frame.matte).abs().mean()
    if perceptual is not None:
        rows, columns = frame.head
        loss = loss + config.perceptual_weight * perceptual(rendering.color[rows, columns], target[rows, columns])
    return loss


def psnr(image: Tensor, target: Tensor) -> Tensor:
    """Peak signal-to-noise ratio [] in dB of images in 0..1, values clipped."""
    return -10 * torch.log10((image.clamp(0, 1) - target).square().mean().clamp_min(1e-12))
