# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Blending a feature basis by an expression, touching only the rows whose coefficient is not zero."""

import numba as nb
import numpy as np
import torch
from numba import njit, prange
from torch import Tensor

_CHUNK = 4096  # columns a thread sums at once: 16 kB of output stay in the first-level cache


@njit(parallel=True, fastmath=True, cache=True, error_model="numpy")
def _blend(rows, active, coefficients, out):  # rows [R,M], active [A] row numbers, coefficients [A], out [M]
    columns = out.shape[0]
    for chunk in prange((columns + _CHUNK - 1) // _CHUNK):
        low = chunk * _CHUNK
        high = min(columns, low + _CHUNK)
        for i in range(low, high):
            out[nb.uint64(i)] = np.float32(0)
        for a in range(active.shape[0]):
            row, coefficient = active[a], coefficients[a]
            for i in range(low, high):
                j = nb.uint64(i)
                out[j] += coefficient * rows[row, j]


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
    _blend(rows.numpy(), active, values[active], out.numpy())
    return out.view(basis.shape[1:])
