# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shading kernels against their twin in plain torch."""

import pytest
import torch

from headgas.avatars.shading import BLOCK, shade, shade_plainly


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
@pytest.mark.parametrize(("count", "width"), [(0, 49), (1, 49), (3 * BLOCK + 7, 49), (300, 59)])
def test_values_and_gradients_are_those_of_torch(degree: int, count: int, width: int) -> None:
    generator = torch.Generator().manual_seed(degree)
    outputs = torch.randn(count, width, generator=generator, requires_grad=True)
    means, position = torch.randn(count, 3, generator=generator), torch.tensor([0.1, -2.0, 0.3])
    towards = torch.randn(count, 4, generator=generator)
    found = []
    for function in (shade, shade_plainly):
        opacities, colors = function(outputs, means, position, (degree + 1) ** 2, 48)
        total = (opacities * towards[:, 0]).sum() + (colors * towards[:, 1:]).sum()
        found.append((opacities, colors, *torch.autograd.grad(total, outputs)))
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, atol=2e-6, rtol=1e-5)
    if count > 1:
        assert (found[0][1] == 0).any() and (found[0][1] > 0).any()  # darker than black is black, without gradient
