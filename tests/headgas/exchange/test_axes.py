# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Other programs' axes: heads stand upright, and nothing that a camera sees changes on the way."""

import pytest
import torch

from headgas.avatars import SplatAvatar
from headgas.avatars.spherical_harmonics import sh_to_color, turned_harmonics
from headgas.exchange.axes import AXES, into_head_space, out_of_head_space
from headgas.splatting import Camera
from headgas.splatting.rotations import matrices_of
from tests.headgas.avatars.test_headgas import camera
from tests.headgas.avatars.test_splats import NOTHING, some_splats

# Where the subject's left, the nose and the crown point in each
DIRECTIONS = {
    "opencv": ((1, 0, 0), (0, 0, -1), (0, -1, 0)),
    "opengl": ((1, 0, 0), (0, 0, 1), (0, 1, 0)),
    "blender": ((1, 0, 0), (0, -1, 0), (0, 0, 1)),
}


@pytest.mark.parametrize("axes", AXES)
def test_left_nose_and_crown_come_to_lie_as_head_space_has_them(axes: str) -> None:
    splats = some_splats(3)
    splats.means[:] = torch.tensor(DIRECTIONS[axes]).float()
    placed = into_head_space(splats, axes, scale=0.1)
    torch.testing.assert_close(placed.means, 0.1 * torch.tensor([[1.0, 0, 0], [0, -1, 0], [0, 0, 1]]))


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_colours_turn_with_the_splats(degree: int) -> None:
    """The colour in the direction R d is what it was in the direction d, for any rotation R."""
    harmonics = some_splats(20, degree).harmonics
    rotation = matrices_of(torch.nn.functional.normalize(torch.tensor([[0.3, -0.5, 0.7, 0.2]]).double(), dim=1))[0]
    directions = torch.nn.functional.normalize(torch.randn(20, 3, generator=torch.Generator().manual_seed(3)), dim=1)
    before = sh_to_color(harmonics, directions)
    after = sh_to_color(turned_harmonics(harmonics, rotation), directions @ rotation.T.float())
    torch.testing.assert_close(after, before, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("axes", AXES)
def test_a_camera_that_moves_along_sees_the_same_picture(axes: str) -> None:
    """A file's splats, seen by a camera in the file's axes, look as in head space by the camera in head space."""
    scale, splats = 0.5, some_splats(200)
    inside = camera(0.5)
    turn, viewmat = torch.tensor(AXES[axes]), inside.viewmat.clone()
    viewmat[:3, :3] = inside.viewmat[:3, :3] @ turn
    viewmat[:3, 3] = inside.viewmat[:3, 3] / scale
    outside = Camera(viewmat, inside.K, inside.width, inside.height)
    expected = SplatAvatar(out_of_head_space(splats, axes, scale)).render(NOTHING, outside)
    got = SplatAvatar(splats).render(NOTHING, inside)
    assert got.alpha.max() > 0.5
    torch.testing.assert_close(got.color, expected.color, rtol=0, atol=2e-4)


@pytest.mark.parametrize("axes", AXES)
def test_there_and_back_is_where_it_was(axes: str) -> None:
    splats = some_splats()
    again = into_head_space(out_of_head_space(splats, axes, 0.01), axes, 0.01)
    for name in ("means", "quaternions", "log_scales", "logits", "harmonics"):
        torch.testing.assert_close(getattr(again, name), getattr(splats, name), rtol=1e-5, atol=1e-5)
