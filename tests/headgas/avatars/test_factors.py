# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What GaussianHead reads from its planes and hashes, against a plain twin and torch's own sampling."""

import pytest
import torch
from torch.nn.functional import grid_sample

from headgas.avatars.factors import Factors, sample_plainly

LEVELS = [((16,), 0, False), ((4, 8, 16), 0, False), ((8, 32), 128, False), ((8, 16), 0, True), ((2,), 0, False)]


@pytest.mark.parametrize(("resolutions", "rows", "shared"), LEVELS)
def test_the_kernels_of_factors_equal_their_plain_twin(
    resolutions: tuple[int, ...], rows: int, shared: bool
) -> None:
    """Values and both gradients, inside, at and beyond the border; the twin in float64."""
    torch.manual_seed(4)
    factors = Factors(resolutions, 3, 4, rows, shared)
    positions = (torch.rand(700, 3, 3) * 2.6 - 1.3).requires_grad_()
    with torch.no_grad():
        positions[0] = 1.0
        positions[1] = -1.0
    towards = torch.randn(700, 12)
    got = factors(positions)
    found = torch.autograd.grad((got * towards).sum(), (positions, factors.tables))
    there, tables = positions.detach().double().requires_grad_(), factors.tables.detach().double().requires_grad_()
    plain = sample_plainly(there, tables, factors.levels, 4, shared)
    torch.testing.assert_close(got.double(), plain, atol=1e-6, rtol=1e-5)
    wanted = torch.autograd.grad((plain * towards).sum(), (there, tables))
    torch.testing.assert_close(found[0][2:].double(), wanted[0][2:], atol=1e-4, rtol=1e-4)  # a border has two slopes
    torch.testing.assert_close(found[1].double(), wanted[1], atol=1e-4, rtol=1e-4)


def test_factors_are_products_of_bilinear_planes_summed_over_resolutions() -> None:
    """Against torch's own grid_sample, on whole planes; each derivation has its own channels."""
    torch.manual_seed(5)
    factors, positions = Factors((8, 16), 2, 3, 0, False), torch.rand(50, 2, 3) * 2.4 - 1.2
    wanted, start = torch.zeros(50, 2, 3), 0
    for size in (8, 16):
        planes = factors.tables[start : start + 3 * size**2].view(3, size, size, 2, 3)
        start += 3 * size**2
        product = torch.ones(50, 2, 3)
        for plane, axes in zip(planes, ([0, 1], [0, 2], [1, 2]), strict=True):
            for k in range(2):
                image, grid = plane[:, :, k].permute(2, 0, 1)[None], positions[None, None, :, k, axes]
                product[:, k] *= grid_sample(image, grid, padding_mode="border", align_corners=True)[0, :, 0].T
        wanted += product
    torch.testing.assert_close(factors(positions).view(50, 2, 3), wanted)


def test_a_hash_keeps_no_more_rows_than_allowed() -> None:
    factors = Factors((4, 64), 2, 3, 512, False)
    assert factors.tables.shape == (3 * 16 + 3 * 512, 6)
    corners = torch.tensor([0, 63])
    wanted = (corners[1] ^ (corners[1] * 2_654_435_761)) % 512  # (63, 63), as Instant NGP hashes it
    place = torch.ones(1, 2, 3)
    row = factors.tables[48 + torch.arange(3) * 512 + wanted].prod(0) + factors.tables[[15, 31, 47]].prod(0)
    torch.testing.assert_close(factors(place)[0], row)
