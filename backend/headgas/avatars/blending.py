# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Blending a feature basis by an expression, touching only the rows whose coefficient is not zero."""

import numpy as np
import torch
from torch import Tensor

from headgas.splatting.compiling import announced, compiled
from headgas.splatting.simd import fetch_add
from headgas.splatting.threads import run

_CHUNK = 4096  # columns a thread sums at once: 16 kB of output stay in the first-level cache
_COMPILE_SECONDS = 1


@compiled
def _blend(work, blocks, rows, active, coefficients, out):
    """rows [R,M]; active [A] row numbers, coefficients [A]; out [M]."""
    columns = out.shape[0]
    while True:
        block = fetch_add(work, 0)
        if block >= blocks:
            return
        start, stop = block * _CHUNK, min(columns, (block + 1) * _CHUNK)
        sums = out[start:stop]
        sums[:] = 0
        for a in range(active.shape[0]):
            values, coefficient = rows[active[a], start:stop], coefficients[a]
            for j in range(stop - start):
                sums[j] += coefficient * values[j]
        fetch_add(work, 8)


def blend(basis: Tensor, coefficients: Tensor) -> Tensor:
    """Σ coefficients[r] · basis[r], without gradients: training reads the gradient of the result (see the trainer).

    Args:
        basis: [R,N,f] float32, contiguous.
        coefficients: [R] float32.

    Returns:
        [N,f].
    """
    rows = basis.detach().flatten(1)
    coefficients = coefficients.detach()
    if basis.is_cuda:
        return (coefficients @ rows).view(basis.shape[1:])
    values = coefficients.numpy()
    active = np.flatnonzero(values)
    out = torch.empty(rows.shape[1])
    with announced("the blending of features", _COMPILE_SECONDS):
        run(_blend, -(-rows.shape[1] // _CHUNK), rows.numpy(), active, values[active], out.numpy())
    return out.view(basis.shape[1:])
