# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Choosing where to compute."""

import torch

from headgas.errors import HeadGaSError


def choose_device(name: str) -> torch.device:
    """The device of `--device auto|cpu|cuda`.

    Raises:
        HeadGaSError: CUDA is asked for and not there.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise HeadGaSError("There is no CUDA device that this torch can use.", "`headgas doctor` says what is missing.")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def rasterizer_name(device: torch.device) -> str:
    """What rasterizes on that device."""
    return "gsplat" if device.type == "cuda" else "numba"
