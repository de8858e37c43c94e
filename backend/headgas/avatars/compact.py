# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""A feature basis in a quarter of the bytes: what avatar files hold, and what rendering reads."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from headgas.splatting.compiling import announced, compiled
from headgas.splatting.simd import fetch_add
from headgas.splatting.threads import run

_LARGEST = 127  # so that a value and its negative are both held
_BLOCK = 256  # Gaussians a thread blends at once
_COMPILE_SECONDS = 1


@dataclass(frozen=True)
class CompactBasis:
    """f_0 as it was trained; the rows that the expression multiplies as bytes, with a scale per row and feature.

    The error of a byte is multiplied by a coefficient below one, that of f_0 never is: f_0 as bytes loses eight times
    as much as all other rows together.
    """

    neutral: Tensor  # [N,f] float32: f_0
    values: Tensor  # [B,N,f] int8
    scales: Tensor  # [B,f] float32: values · scales are the rows

    @classmethod
    def compressed(cls, basis: Tensor) -> "CompactBasis":
        """The nearest compact basis to a basis [1+B,N,f] float32."""
        rows = basis[1:]
        scales = rows.new_empty(len(rows), rows.shape[2])
        values = torch.empty(rows.shape, dtype=torch.int8, device=rows.device)
        for row, scale, value in zip(rows, scales, values, strict=True):  # one at a time: half the basis is memory
            largest = row.abs().amax(0) if len(row) else row.new_zeros(row.shape[1])
            scale.copy_(torch.where(largest > 0, largest / _LARGEST, 1.0))
            value.copy_((row / scale).round().clamp(-_LARGEST, _LARGEST))
        return cls(basis[0].clone(), values, scales)

    @property
    def shape(self) -> torch.Size:
        """[1+B,N,f], of the basis it stands for."""
        return torch.Size([1 + len(self.values), *self.neutral.shape])

    def expanded(self) -> Tensor:
        """[1+B,N,f] float32."""
        return torch.cat([self.neutral[None], self.values * self.scales[:, None]])

    def blend(self, coefficients: Tensor) -> Tensor:
        """Σ coefficients[r] · row r [N,f], on the CPU; coefficients [1+B], without gradients."""
        factors = coefficients.detach().numpy()
        active = np.flatnonzero(factors[1:])
        weights = factors[1:][active, None] * self.scales.numpy()[active]
        out = self.neutral * coefficients.detach()[0]
        with announced("the blending of compact features", _COMPILE_SECONDS):
            run(_blend, -(-len(out) // _BLOCK), self.values.numpy(), active, weights, out.numpy())
        return out

    def mapped(self, function: Callable[[Tensor], Tensor]) -> "CompactBasis":
        """The same with every tensor replaced, by its copy on another device for example."""
        return CompactBasis(function(self.neutral), function(self.values), function(self.scales))

    def tensors(self) -> dict[str, Tensor]:
        """What an avatar file holds of it."""
        return {f"basis.{name}": value for name, value in vars(self).items()}

    @classmethod
    def from_tensors(cls, tensors: dict[str, Tensor]) -> "CompactBasis":
        """The inverse of `tensors`; KeyError or TypeError when they do not fit."""
        basis = cls(*(tensors[f"basis.{name}"] for name in ("neutral", "values", "scales")))
        count, features = basis.neutral.shape
        rows = len(basis.scales)
        if basis.values.shape != (rows, count, features) or basis.scales.shape != (rows, features):
            raise TypeError(f"basis.values has the shape {list(basis.values.shape)}, not {[rows, count, features]}")
        wanted = (torch.float32, torch.int8, torch.float32)
        for (name, value), dtype in zip(basis.tensors().items(), wanted, strict=True):
            if value.dtype != dtype:
                raise TypeError(f"{name} is {value.dtype}, not {dtype}")
        return basis


@compiled
def _blend(work, blocks, values, active, weights, out):
    """values [B,N,f] int8; active [A] row numbers, weights [A,f]; added to out [N,f]."""
    count, features = out.shape
    while True:
        block = fetch_add(work, 0)
        if block >= blocks:
            return
        for a in range(active.shape[0]):
            row = values[active[a]]
            for i in range(block * _BLOCK, min(count, (block + 1) * _BLOCK)):
                for j in range(features):
                    out[i, j] += weights[a, j] * np.float32(row[i, j])
        fetch_add(work, 8)
