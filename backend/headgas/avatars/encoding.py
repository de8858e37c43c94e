# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The positional encoding of NeRF (Mildenhall et al. 2020, equation 4), as it is written and as it is published."""

import math

import torch
from torch import Tensor


def positional_encoding(positions: Tensor, octaves: int) -> Tensor:
    """[N,3+6L]: positions [N,3] in -1..1, and the sine and cosine of each at L octaves from π on."""
    frequencies = math.pi * 2.0 ** torch.arange(octaves, device=positions.device)
    angles = (positions[:, :, None] * frequencies).flatten(1)
    return torch.cat([positions, angles.sin(), angles.cos()], 1)


def plain_encoding(positions: Tensor, octaves: int) -> Tensor:
    """[N,3+6L]: positions [N,3], then the sine and the cosine of each octave in turn, without the factor π: what much
    published code computes."""
    waves = [wave(positions * 2.0**octave) for octave in range(octaves) for wave in (torch.sin, torch.cos)]
    return torch.cat([positions, *waves], 1)
