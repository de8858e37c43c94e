# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every model exports as splats looks like the model itself."""

from typing import Any

import pytest
import torch
from torch import Tensor

from headgas.avatars import Avatar, GaussianHead, SplatAvatar
from headgas.avatars.fitted_harmonics import fitted_harmonics
from headgas.avatars.spherical_harmonics import coefficient_count, sh_basis, spread_directions
from headgas.exchange.axes import AXES
from headgas.splatting import Camera
from headgas.splatting.rotations import quaternion_of
from headgas.training.losses import psnr
from tests.headgas.avatars.test_gaussian_head import small_gaussian_head
from tests.headgas.avatars.test_modes import avatar as small_modes
from tests.headgas.conftest import intrinsics, look_at, small_avatar

CPU = torch.device("cpu")
EXPRESSION = torch.tensor([0.9, 0.4, 0.7])


def camera(yaw: float, distance: float = 0.6) -> Camera:
    K = torch.tensor(intrinsics()).float()
    K[:2, :2] *= distance / 0.6
    return Camera(torch.tensor(look_at(yaw, distance)).float(), K, 48, 48)


def shown(avatar: Avatar, view: Camera) -> tuple[Tensor, Tensor]:
    """The avatar's own picture and that of its splats."""
    exported = SplatAvatar(avatar.splats(EXPRESSION))
    with torch.no_grad():
        own = avatar.render(EXPRESSION, view)
    assert own.alpha.max() > 0.5
    return own.color.clamp(0, 1), exported.render(torch.zeros(0), view).color.clamp(0, 1)


def test_colours_that_are_harmonics_are_found_again() -> None:
    wanted = torch.randn(20, 16, 3, generator=torch.Generator().manual_seed(0))

    def color(direction: Tensor) -> Tensor:
        return 0.5 + torch.einsum("k,nkc->nc", sh_basis(direction, 3), wanted)

    torch.testing.assert_close(fitted_harmonics(color, CPU), wanted, atol=1e-4, rtol=1e-4)


def test_the_fit_is_best_where_captures_look_and_bounded_elsewhere() -> None:
    axis = torch.tensor([0.6, 0.64, 0.48])

    def color(direction: Tensor) -> Tensor:
        return 0.5 + (4 * (direction @ axis)).sin().expand(1, 3)  # more than degree 3 can say

    harmonics = fitted_harmonics(color, CPU)
    directions = spread_directions(1000).float()
    got = 0.5 + torch.einsum("dk,kc->dc", sh_basis(directions, 3), harmonics[0])
    error = (got - torch.cat([color(direction) for direction in directions])).abs().amax(1)
    front = directions[:, 1] > 0.8
    assert error[front].max() < 0.5 * error[~front].max() and error.max() < 1


def as_trained(**options: Any) -> GaussianHead:
    """Random, but moved by millimetres, and as loosely bound to the view as training leaves it."""
    avatar = small_gaussian_head(**options)
    with torch.no_grad():
        for name in ("move", "turn", "stretch"):
            for parameter in avatar.deformation.get_submodule(name).parameters():
                parameter.mul_(0.05)
        avatar.color_network[0].get_parameter("weight")[:, -3:] *= 0.3
        avatar.orientation.copy_(quaternion_of(torch.tensor(AXES["opengl"], dtype=torch.float64)).float())
    return avatar


@pytest.mark.parametrize("released", [False, True])
@pytest.mark.parametrize("yaw", [-0.7, 0.0, 0.5])
def test_a_network_s_colours_look_the_same_as_harmonics(released: bool, yaw: float) -> None:
    avatar = as_trained(released=released)
    own, exported = shown(avatar, camera(yaw))
    assert psnr(exported, own) > 34
    avatar.color_network[0].get_parameter("weight").data[:, -3:] = 0
    blind, _ = shown(avatar, camera(yaw))
    assert psnr(blind, own) < psnr(exported, own) - 3  # the view did matter


def test_a_network_s_gaussians_are_where_the_avatar_has_them() -> None:
    avatar = small_gaussian_head().eval()
    splats, gaussians = avatar.splats(EXPRESSION), avatar.gaussians(EXPRESSION, camera(0.3))
    torch.testing.assert_close(splats.means, gaussians.means)
    torch.testing.assert_close(splats.quaternions, gaussians.quaternions)
    torch.testing.assert_close(splats.log_scales.exp(), gaussians.scales)
    torch.testing.assert_close(splats.logits.sigmoid(), gaussians.opacities)
    assert splats.harmonics.shape == (avatar.count, coefficient_count(3), 3) and splats.antialiased


def test_fewer_bands_in_training_are_fewer_in_the_colours() -> None:
    avatar = as_trained()
    before = avatar.splats(EXPRESSION).harmonics
    avatar.sh_degree = 0
    own, exported = shown(avatar, camera(0.0))
    assert psnr(exported, own) > 33
    assert not torch.allclose(avatar.splats(EXPRESSION).harmonics, before, atol=0.01)


@pytest.mark.parametrize(
    "avatar", [small_avatar(predicted=("harmonics", "opacity", "means", "quaternions", "scales")), small_modes()]
)
def test_gaussians_that_move_look_the_same_from_afar(avatar: Avatar) -> None:
    """Their colours are those of where they rest: harmonics know no distance, so that from near they are close."""
    avatar.eval()
    far, near = shown(avatar, camera(0.4, 600.0)), shown(avatar, camera(0.4))
    assert (far[0] - far[1]).abs().max() < 2e-3
    assert psnr(*near) > 20  # these random Gaussians move by centimetres, and harmonics are strong
