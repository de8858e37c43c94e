# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Avatars that are holdouts hide what is behind them, Gaussian by Gaussian, and are nothing themselves."""

from dataclasses import replace

import pytest
import torch

from headgas.avatars.passes import passes_of
from headgas.avatars.rendering import NOTHING_HIT, PlacedAvatar, Stage, linear_premultiplied
from headgas.splatting import rasterize
from tests.headgas.avatars.test_headgas import camera
from tests.headgas.conftest import small_avatar

EXPRESSION = torch.tensor([0.5, 0.0, 1.0])


def _placed(holdouts: tuple[bool, ...], scale: float = 1.0) -> list[PlacedAvatar]:
    """Avatars that interpenetrate, a bit aside of each other."""
    found = []
    for number, holdout in enumerate(holdouts):
        aside = torch.diag(torch.tensor([scale, scale, scale, 1.0]))
        aside[0, 3], aside[1, 3] = 0.06 * number, -0.02 * number
        found.append(PlacedAvatar(small_avatar(seed=number), EXPRESSION, aside, holdout))
    return found


def test_a_pixel_has_the_light_of_the_others_alone() -> None:
    """Against the float64 reference: the weights of all Gaussians, the colours and depths of those that are seen."""
    view, placed = camera(0.3), _placed((False, True))
    stage = Stage.of(placed, view)
    image, depth = stage.picture()
    everything = stage.gaussians
    exact = {name: getattr(everything, name).double() for name in ("means", "quaternions", "scales", "opacities")}
    seen = torch.cat([torch.full((len(group), 1), number == 0.0) for number, group in enumerate(stage.groups)]).double()
    z = everything.means.double() @ view.viewmat[2, :3].double() + view.viewmat[2, 3].double()
    channels = torch.cat([everything.colors.double() * seen, seen, seen * z[:, None]], 1)
    own = replace(everything, **exact, colors=channels)
    blended = rasterize(own, view, antialiased=stage.antialiased, implementation="reference").color
    expected = linear_premultiplied(blended[..., :3], blended[..., 3])
    assert (image - expected).abs().max() < 1e-3
    solid = blended[..., 3] > 0.1
    assert (depth.double() - blended[..., 4] / blended[..., 3])[solid].abs().max() < 1e-3
    alone, _ = Stage.of(placed[:1], view).picture()
    hidden = (alone[..., 3] - image[..., 3]) > 0.5
    assert hidden.any() and (image[..., 3] > 0.5).any()


@pytest.mark.parametrize("scale", [1.0, 1.5])
def test_a_holdout_alone_is_a_hole(scale: float) -> None:
    view = camera(0.3)
    stage = Stage.of(_placed((True,), scale), view)
    image, depth = stage.picture()
    assert (image == 0).all() and (depth == NOTHING_HIT).all()
    plain, _ = Stage.of(_placed((False,), scale), view).picture()
    torch.testing.assert_close(stage.coverage(image)[0], plain[..., 3], rtol=0, atol=1e-5)


def test_coverage_tells_holes_too() -> None:
    view = camera(0.3)
    cut, whole = Stage.of(_placed((False, True)), view), Stage.of(_placed((False, False)), view)
    coverage, expected = cut.coverage(cut.picture()[0]), whole.coverage(whole.picture()[0])
    torch.testing.assert_close(coverage, expected)
    torch.testing.assert_close(cut.picture()[0][..., 3], coverage[0], rtol=0, atol=1e-5)


def test_passes_know_no_holdout() -> None:
    view = camera(0.3)
    normal, median = passes_of(Stage.of(_placed((True,)), view), ["normal", "median"], view, None)
    assert (normal == 0).all() and (median == NOTHING_HIT).all()
    normal, _ = passes_of(Stage.of(_placed((False, True)), view), ["normal", "median"], view, None)
    lengths = normal.norm(dim=-1)
    assert ((lengths < 1e-4) | ((lengths - 1).abs() < 1e-4)).all() and (lengths > 0.5).any()
