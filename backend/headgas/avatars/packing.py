# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows of numbers as bytes: what a compact avatar file holds of its Gaussians."""

import torch
from torch import Tensor

_STEPS = 255


def packed(name: str, values: Tensor) -> dict[str, Tensor]:
    """Values [N,C] float32 as `NAME.bytes` [N,C] uint8, and `NAME.low` and `NAME.step` [C] float32: low + step · byte.

    Packing what `unpacked` returned changes nothing.
    """
    low, high = (values.amin(0), values.amax(0)) if len(values) else (values.new_zeros(values.shape[1]),) * 2
    step = torch.where(high > low, (high - low) / _STEPS, 1.0)
    codes = ((values - low) / step).round().clamp(0, _STEPS).to(torch.uint8)
    return {f"{name}.bytes": codes, f"{name}.low": low, f"{name}.step": step}


def unpacked(name: str, tensors: dict[str, Tensor]) -> Tensor:
    """Values [N,C] float32: of `NAME` itself where it is there, else the inverse of `packed`.

    Raises:
        KeyError, TypeError: the tensors are missing or do not fit together.
    """
    if name in tensors:
        return tensors[name]
    codes, low, step = (tensors[f"{name}.{part}"] for part in ("bytes", "low", "step"))
    if codes.dtype != torch.uint8 or codes.ndim != 2 or low.shape != step.shape or low.shape != codes.shape[1:]:
        raise TypeError(f"{name}.bytes is {codes.dtype} {list(codes.shape)}, with {list(low.shape)} columns' ranges")
    return low + step * codes
