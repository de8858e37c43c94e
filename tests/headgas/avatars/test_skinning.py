# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The skinning kernels against their twins in plain torch."""

import torch

from headgas.avatars.skinning import skin, skin_plainly, turned_plainly, turned_quaternions
from headgas.splatting.rotations import rotation_matrices

COUNT = 1500  # more than two blocks


def test_points_are_skinned_as_the_twin_does_it() -> None:
    """With joints that turn against each other by up to a right angle, and some weights of zero."""
    generator = torch.Generator().manual_seed(0)
    weights = torch.rand(COUNT, 4, generator=generator) * (torch.rand(COUNT, 4, generator=generator) > 0.4)
    weights = (weights + 1e-6) / (weights + 1e-6).sum(1, keepdim=True)
    weights[::3] = torch.eye(4)[torch.arange(len(weights[::3])) % 4]
    vectors = torch.nn.functional.normalize(torch.randn(4, 3, generator=generator), dim=1) * 0.8
    shifts = torch.randn(4, 3, generator=generator)
    transforms = torch.cat([rotation_matrices(vectors).flatten(1), shifts], 1)
    points = torch.randn(COUNT, 3, generator=generator)
    for found, wanted in zip(skin(weights, transforms, points), skin_plainly(weights, transforms, points), strict=True):
        assert torch.allclose(found, wanted, atol=1e-5)
    turns = skin(weights, transforms, points)[1]
    assert torch.allclose(turns @ turns.transpose(1, 2), torch.eye(3).expand_as(turns), atol=1e-3)


def test_quaternions_are_turned_as_the_twin_does_it() -> None:
    """By turns of all sizes, half turns about each axis among them: there, another of four numbers is the largest."""
    generator = torch.Generator().manual_seed(1)
    vectors = torch.randn(COUNT, 3, generator=generator) * 2
    vectors[:3] = torch.pi * torch.eye(3)
    turns, quaternions = rotation_matrices(vectors), torch.randn(COUNT, 4, generator=generator)
    found, wanted = turned_quaternions(turns, quaternions), turned_plainly(turns, quaternions)
    assert torch.allclose((found * wanted).sum(1).abs(), torch.ones(COUNT), atol=1e-5)
