# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Planes beside a picture: median depths against a plain loop, normals and motion of Gaussians that are known."""

from dataclasses import replace

import pytest
import torch

from headgas.avatars.passes import PASSES, Around, passes_of
from headgas.avatars.rendering import NOTHING_HIT, PlacedAvatar, Stage
from headgas.splatting import Camera, Gaussians
from headgas.splatting.example import egg
from headgas.splatting.pixels import median_depths
from headgas.splatting.reference import project
from tests.headgas.avatars.test_rendering import EXPRESSION, camera, placement
from tests.headgas.conftest import small_avatar


@pytest.mark.parametrize("antialiased", [False, True])
def test_median_depths_equal_a_plain_loop(antialiased: bool) -> None:
    gaussians, view = egg(150, 24, 40, sigma=(0.8, 3.0), yaw=0.2)
    double = Gaussians(*(value.double() for value in vars(gaussians).values()))
    means, inverse, factors, depths = project(double, view, 0.3)
    opacities = double.opacities * factors if antialiased else double.opacities
    order = torch.argsort(depths)
    got = median_depths(gaussians, view, antialiased=antialiased)
    wrong = 0
    for row in range(40):
        for column in range(24):
            x, y = column + 0.5 - means[:, 0], row + 0.5 - means[:, 1]
            power = -(inverse[:, 0] * x * x + inverse[:, 2] * y * y) / 2 - inverse[:, 1] * x * y
            alphas = (opacities * power.exp()).clamp_max(0.999)
            left, blended = 1.0, []
            for i in order[alphas[order] >= 1 / 255].tolist():
                if left * (1 - alphas[i]) <= 1e-4:
                    break
                left *= 1 - float(alphas[i])
                blended.append((left, float(depths[i])))
            half = (1 + left) / 2
            expected = next((z for through, z in blended if through <= half), 1e10)
            wrong += abs(expected - float(got[row, column])) > 1e-4 * expected
    assert wrong <= 2  # where float32's rounding decides
    assert got.unique().numel() > 50


def _stage(linear: torch.Tensor, offset: tuple[float, float, float], view: Camera) -> Stage:
    return Stage.of([PlacedAvatar(small_avatar(), EXPRESSION, placement(linear, offset))], view)


def test_median_depths_are_in_metres_of_the_world() -> None:
    near, far = _stage(torch.eye(3), (0, 0, 0), camera()), _stage(2 * torch.eye(3), (0, 0, 0), camera())
    for stage in (near, far):
        (median,) = passes_of(stage, ["median"], camera(), None)
        image, depth = stage.picture()
        solid = image[..., 3] > 0.9
        assert (median[solid] - depth[solid]).abs().max() < 0.2 * stage.unit
        assert ((median < NOTHING_HIT) == (image[..., 3] > 1e-6)).float().mean() > 0.99


def test_normals_are_those_of_flat_gaussians_in_the_world() -> None:
    """Leaves whose thin axis is the world's z face a camera that looks along z, wherever it stands."""
    gaussians, view = egg(200, 40, 40, yaw=0.4)
    count = len(gaussians)
    flat = torch.tensor([[0.05, 0.05, 0.001]]).repeat(count, 1)
    identity = torch.tensor([[1.0, 0, 0, 0]]).repeat(count, 1)
    leaves = replace(gaussians, quaternions=identity, scales=flat)
    stage = Stage((leaves,), (torch.eye(4),), view, 0.01, 1.0, 0.0, False, None)
    (normals,) = passes_of(stage, ["normal"], view, None)
    seen = stage.rasterized().alpha > 1e-3
    assert seen.any() and (normals[~(stage.rasterized().alpha > 1e-6)] == 0).all()
    lengths = normals.norm(dim=-1)[seen]
    torch.testing.assert_close(lengths, torch.ones_like(lengths), rtol=0, atol=1e-4)
    toward = (view.position[2] - leaves.means[:, 2].mean()).sign()
    assert (toward * normals[seen][:, 2]).mean() > 0.99


@pytest.mark.parametrize("orthographic", [False, True])
def test_motion_is_what_moving_the_head_does_to_its_pixels(orthographic: bool) -> None:
    """A head that moves across the view by a known way, at about one depth: Cycles' signs, x right and y up."""
    view = camera(0.0)
    view = replace(view, orthographic=orthographic)
    if orthographic:
        K = view.K.clone()
        K[0, 0] = K[1, 1] = 100.0
        view = replace(view, K=K)
    right, down = view.viewmat[0, :3], view.viewmat[1, :3]
    moved = 0.002 * right - 0.003 * down  # to the right and upward, metres
    now = _stage(torch.eye(3), (0, 0, 0), view)
    before, after = (_stage(torch.eye(3), tuple((sign * moved).tolist()), view) for sign in (-1, 2))
    (motion,) = passes_of(now, ["motion"], view, Around(before, after))
    image, depth = now.picture()
    seen = image[..., 3] > 0.5
    focal = view.K[0, 0] / (1.0 if orthographic else depth[seen])
    for channel, expected in enumerate((-0.002, -0.003, -0.004, -0.006)):
        ratio = motion[seen][:, channel] / (expected * focal)
        assert (ratio - 1).abs().mean() < (1e-3 if orthographic else 0.05), channel
    assert (motion[image[..., 3] == 0] == 0).all()


def test_without_avatars_passes_are_empty() -> None:
    view = camera()
    planes = dict(zip(PASSES, passes_of(Stage.of([], view), list(PASSES), view, None), strict=True))
    assert (planes.pop("median") == NOTHING_HIT).all()
    assert all((plane == 0).all() for plane in planes.values())
    assert [plane.shape[2:] for plane in planes.values()] == [(3,), (), (4,)]
