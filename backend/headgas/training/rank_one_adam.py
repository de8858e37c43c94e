# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Adam for a basis whose gradient is a sum of a few outer products, which is never built."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from headgas.splatting.compiling import announced, compiled
from headgas.splatting.gpu_kernels import kernels_work
from headgas.splatting.simd import fetch_add
from headgas.splatting.threads import run

_CHUNK = 128  # Gaussians taken by a thread at a time
_COMPILE_SECONDS = 3

f32 = np.float32


@compiled
def _mean_square(vector):
    total = f32(0)
    for value in vector:
        total += value * value
    return total / f32(len(vector))


@compiled
def _step(work, blocks, basis, first, second, coefficients, gradients, decays, rates, roots, keeps, epsilon):
    """basis, first [R,N,f]; second [R,N]; coefficients [K,R]; gradients [K,N,f]; rates, roots, keeps [R]. See
    RankOneAdam.step."""
    rows, count, features = basis.shape
    frames = len(coefficients)
    rest1, rest2 = f32(1) - decays[0], f32(1) - decays[1]
    slope = np.empty(features, f32)
    squares = np.empty(_CHUNK, f32)
    while True:
        block = fetch_add(work, 0)
        if block >= blocks:
            return
        start, stop = block * _CHUNK, min(count, (block + 1) * _CHUNK)
        for n in range(start, stop):
            squares[n - start] = _mean_square(gradients[0, n])
        for row in range(rows):
            hit = False
            for k in range(frames):
                hit |= coefficients[k, row] != f32(0)
            if not hit:
                continue
            rate, root, keep = rates[row], roots[row], keeps[row]
            for n in range(start, stop):
                coefficient = coefficients[0, row]
                for j in range(features):
                    slope[j] = coefficient * gradients[0, n, j]
                for k in range(1, frames):
                    coefficient = coefficients[k, row]
                    for j in range(features):
                        slope[j] += coefficient * gradients[k, n, j]
                # of a single frame the square is known for all rows at once
                square = coefficient * coefficient * squares[n - start] if frames == 1 else _mean_square(slope)
                spread = decays[1] * second[row, n] + rest2 * square
                second[row, n] = spread
                length = rate / (math.sqrt(spread) * root + epsilon)
                values, mean = basis[row, n], first[row, n]
                for j in range(features):
                    m = decays[0] * mean[j] + rest1 * slope[j]
                    mean[j] = m
                    values[j] = keep * values[j] - length * m
        fetch_add(work, 8)


class _Room:
    """A tensor [R,N,...] that grows and shrinks along N in place; contiguous at any size."""

    def __init__(self, values: Tensor, capacity: int) -> None:
        rows, count, *rest = values.shape
        self._room = values.new_zeros(rows * max(count, capacity) * math.prod(rest))
        self.values = self._shaped(values.shape)
        self.values.copy_(values)

    def _shaped(self, shape: Sequence[int]) -> Tensor:
        return self._room[: math.prod(shape)].view(*shape)

    def select(self, index: Tensor, fresh: Tensor | None = None) -> None:
        """Makes entry i of each row what entry index[i] was, or zero where fresh[i]."""
        old, shape = self.values, (len(self.values), len(index), *self.values.shape[2:])
        if math.prod(shape) > len(self._room):
            self._room = old.new_zeros(math.prod(shape))
        self.values = self._shaped(shape)
        rows, entries = range(len(old)), old.new_empty(shape[1:])
        # rows that move up move from the last on, so that none is overwritten before its turn
        for row in reversed(rows) if len(index) > old.shape[1] else rows:
            torch.index_select(old[row], 0, index, out=entries)
            if fresh is not None:
                entries[fresh] = 0
            self.values[row] = entries


class RankOneAdam:
    """Adam for basis [R,N,f] where frame k's output [N,f] is the sum over r of coefficients[k,r] * basis[r].

    The gradient of row r is Σ_k coefficients[k,r] * gradients[k]. A row that no frame touches is left alone, moments
    included, and each row counts its own steps for the correction of its moments' bias: with one count for all, the
    first step of a rare row would be (1 - b1) / sqrt(1 - b2) = 3 times too long.

    The second moment is one number for the f features of a Gaussian in a row, the mean of their squares (Adam-mini,
    Zhang et al. 2024): a third less memory than Adam, and no square root for each number.
    """

    def __init__(
        self, basis: Tensor, capacity: int = 0, betas: tuple[float, float] = (0.9, 0.999), epsilon: float = 1e-8
    ) -> None:
        """capacity: the most Gaussians that `select` will ask for: up to them it needs no more memory."""
        if basis.dtype != torch.float32:
            raise ValueError(f"the basis must be float32, got {basis.dtype}")
        self.betas, self.epsilon = betas, epsilon
        self._basis, self._first = (_Room(values, capacity) for values in (basis, torch.zeros_like(basis)))
        self._second = _Room(torch.zeros_like(basis[..., 0]), capacity)
        self._steps = torch.zeros(len(basis), dtype=torch.int64, device=basis.device)

    @property
    def basis(self) -> Tensor:
        """[R,N,f], contiguous, until the next `select`."""
        return self._basis.values

    @torch.no_grad()
    def step(
        self, coefficients: Tensor, gradients: Tensor, learning_rate: float, weight_decay: Tensor | None = None
    ) -> None:
        """Update the basis in place; coefficients [K,R] and gradients [K,N,f] of K frames.

        g = Σ_k coefficients[k,r] gradients[k],  m = b1 m + (1 - b1) g,  v = b2 v + (1 - b2) mean_f(g²),
        row = (1 - rate decay) row - rate (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + epsilon)

        weight_decay [R]: none when left out; decoupled from the gradient (Loshchilov and Hutter 2019).
        """
        frames, (rows, count, features) = len(coefficients), self.basis.shape
        if coefficients.shape != (frames, rows) or gradients.shape != (frames, count, features):
            got = f"{tuple(coefficients.shape)} and {tuple(gradients.shape)}"
            raise ValueError(f"{(rows, count, features)} needs as many coefficients and gradients, got {got}")
        # On a GPU all of this stays there: the host waits for nothing.
        active = (coefficients.detach() != 0).any(0)
        self._steps += active
        steps = self._steps.clamp_min(1).double()
        rates = (learning_rate / (1 - self.betas[0] ** steps)).float()
        roots = (1 - self.betas[1] ** steps).rsqrt().float()
        keeps = torch.ones_like(rates)
        if weight_decay is not None:
            keeps -= learning_rate * weight_decay.float().to(rates.device, non_blocking=True)
        values = self._basis.values, self._first.values, self._second.values
        if kernels_work(self.basis):
            from headgas.training.rank_one_adam_cuda import step_fused

            factors = rates, roots, keeps, active
            step_fused(*values, coefficients, gradients, self.betas, *factors, self.epsilon)
            return
        if self.basis.device.type != "cpu":
            self._step_torch(coefficients, gradients, active, rates, roots, keeps)
            return
        arrays = [t.detach().contiguous().numpy() for t in (*values, coefficients, gradients)]
        with announced("the optimizer of the basis", _COMPILE_SECONDS):
            decays = f32(self.betas[0]), f32(self.betas[1])
            scalars = rates.numpy(), roots.numpy(), keeps.numpy(), f32(self.epsilon)
            run(_step, -(-count // _CHUNK), *arrays, decays, *scalars)

    def _step_torch(self, coefficients, gradients, active, rates, roots, keeps) -> None:
        """The same on any device, row by row: memory for one more row."""
        for row in active.nonzero()[:, 0].tolist():
            slope = torch.einsum("k,knf->nf", coefficients[:, row], gradients)
            first, second = self._first.values[row], self._second.values[row]
            first.lerp_(slope, 1 - self.betas[0])
            second.mul_(self.betas[1]).add_(slope.square().mean(1), alpha=1 - self.betas[1])
            spread = second.sqrt().mul_(roots[row].item()).add_(self.epsilon)
            self.basis[row].mul_(keeps[row].item()).addcdiv_(first, spread[:, None], value=-rates[row].item())

    @torch.no_grad()
    def select(self, index: Tensor, fresh: Tensor) -> Tensor:
        """Make the basis [R,N,f] that of other Gaussians, and return it.

        index [N']: which old Gaussian each new one copies; fresh [N'] bool: those start with moments of zero.
        """
        self._basis.select(index)
        self._first.select(index, fresh)
        self._second.select(index, fresh)
        return self.basis

    def state(self) -> dict[str, Tensor]:
        """What `restore` needs, beside the basis: moments [R,N,f] and [R,N], and steps [R]."""
        return {"first": self._first.values, "second": self._second.values, "steps": self._steps}

    @torch.no_grad()
    def restore(self, state: dict[str, Tensor]) -> None:
        """Go on from what `state` returned."""
        for name, own in self.state().items():
            if state[name].shape != own.shape:
                raise ValueError(f"{name} has the shape {tuple(state[name].shape)}, not {tuple(own.shape)}")
            own.copy_(state[name])
