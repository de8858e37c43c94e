# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Adam for a basis whose gradient is an outer product, which is never built."""

import math

import numpy as np
import torch
from torch import Tensor

from headgas.splatting.compiling import announced, compiled
from headgas.splatting.simd import fetch_add
from headgas.splatting.threads import run

_CHUNK = 4096  # columns taken by a thread at a time
_COMPILE_SECONDS = 2

f32 = np.float32


@compiled
def _step(work, blocks, basis, first, second, coefficients, gradient, decay1, decay2, rates, roots, keeps, epsilon):
    """basis, first, second [R,M]; coefficients, rates, roots, keeps [R]; gradient [M]. See RankOneAdam.step."""
    rows, columns = basis.shape
    rest1, rest2 = f32(1) - decay1, f32(1) - decay2
    while True:
        block = fetch_add(work, 0)
        if block >= blocks:
            return
        start, stop = block * _CHUNK, min(columns, (block + 1) * _CHUNK)
        slopes = gradient[start:stop]
        for row in range(rows):
            coefficient = coefficients[row]
            if coefficient != f32(0):
                values, mean, square = basis[row, start:stop], first[row, start:stop], second[row, start:stop]
                rate, root, keep = rates[row], roots[row], keeps[row]
                for j in range(stop - start):
                    slope = coefficient * slopes[j]
                    m = decay1 * mean[j] + rest1 * slope
                    v = decay2 * square[j] + rest2 * slope * slope
                    mean[j] = m
                    square[j] = v
                    values[j] = keep * values[j] - rate * m / (math.sqrt(v) * root + epsilon)
        fetch_add(work, 8)


class RankOneAdam:
    """Adam (Kingma and Ba 2015) for basis [R,...] where the output is the sum over r of coefficients[r] * basis[r].

    The gradient of row r is coefficients[r] * output_gradient. A row whose coefficient is zero is left alone, moments
    included, and each row counts its own steps for the correction of its moments' bias: with one count for all, the
    first step of a rare row would be (1 - b1) / sqrt(1 - b2) = 3 times too long.
    """

    def __init__(self, basis: Tensor, betas: tuple[float, float] = (0.9, 0.999), epsilon: float = 1e-8) -> None:
        if basis.dtype != torch.float32 or not basis.is_contiguous():
            raise ValueError(f"the basis must be contiguous float32, got {basis.dtype}")
        self.basis = basis
        self.betas, self.epsilon = betas, epsilon
        self._first, self._second = torch.zeros_like(basis), torch.zeros_like(basis)
        self._steps = torch.zeros(len(basis), dtype=torch.int64)

    @torch.no_grad()
    def step(
        self, coefficients: Tensor, output_gradient: Tensor, learning_rate: float, weight_decay: Tensor | None = None
    ) -> None:
        """Update the basis in place; coefficients [R], output_gradient with as many values as a row.

        m = b1 m + (1 - b1) g,  v = b2 v + (1 - b2) g^2,
        row = (1 - rate decay) row - rate (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + epsilon)

        weight_decay [R]: none when left out; decoupled from the gradient (Loshchilov and Hutter 2019).
        """
        rows = self.basis.flatten(1)
        gradient = output_gradient.detach().flatten()
        if coefficients.shape != rows.shape[:1] or gradient.shape != rows.shape[1:]:
            got = f"{tuple(coefficients.shape)} and {tuple(gradient.shape)}"
            raise ValueError(f"{tuple(rows.shape)} needs as many coefficients and gradients, got {got}")
        active = coefficients.detach().cpu() != 0
        self._steps += active
        steps = self._steps.clamp_min(1).double()
        rates = (learning_rate / (1 - self.betas[0] ** steps)).float()
        roots = (1 - self.betas[1] ** steps).rsqrt().float()
        keeps = torch.ones(len(rows)) if weight_decay is None else 1 - learning_rate * weight_decay.float()
        moments = self._first.flatten(1), self._second.flatten(1)
        if rows.device.type != "cpu":
            self._step_torch(rows, *moments, coefficients, gradient, active, rates, roots, keeps)
            return
        arrays = [tensor.detach().contiguous().numpy() for tensor in (rows, *moments, coefficients, gradient)]
        blocks = -(-rows.shape[1] // _CHUNK)
        with announced("the optimizer of the basis", _COMPILE_SECONDS):
            decays = f32(self.betas[0]), f32(self.betas[1])
            run(_step, blocks, *arrays, *decays, rates.numpy(), roots.numpy(), keeps.numpy(), f32(self.epsilon))

    def _step_torch(self, rows, first, second, coefficients, gradient, active, rates, roots, keeps) -> None:
        """The same on any device, row by row: memory for one more row."""
        for row in active.nonzero()[:, 0].tolist():
            slope = coefficients[row] * gradient
            first[row].lerp_(slope, 1 - self.betas[0])
            second[row].mul_(self.betas[1]).addcmul_(slope, slope, value=1 - self.betas[1])
            spread = second[row].sqrt().mul_(roots[row].item()).add_(self.epsilon)
            rows[row].mul_(keeps[row].item()).addcdiv_(first[row], spread, value=-rates[row].item())

    @torch.no_grad()
    def select(self, index: Tensor, fresh: Tensor) -> Tensor:
        """Make the basis [R,N,f] that of other Gaussians, and return it.

        index [N']: which old Gaussian each new one copies; fresh [N'] bool: those start with moments of zero.
        """
        self.basis, self._first, self._second = (tensor[:, index] for tensor in (self.basis, self._first, self._second))
        self._first[:, fresh] = 0
        self._second[:, fresh] = 0
        return self.basis

    def state(self) -> dict[str, Tensor]:
        """What `restore` needs, beside the basis: first and second moments [R,...] and steps [R]."""
        return {"first": self._first, "second": self._second, "steps": self._steps}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Go on from what `state` returned."""
        for name, own in self.state().items():
            if state[name].shape != own.shape:
                raise ValueError(f"{name} has the shape {tuple(state[name].shape)}, not {tuple(own.shape)}")
        self._first, self._second = (state[name].to(self.basis).contiguous() for name in ("first", "second"))
        self._steps = state["steps"].to("cpu", torch.int64)
