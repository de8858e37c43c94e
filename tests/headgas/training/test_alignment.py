# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The motion that takes a rendering to a photograph."""


import pytest
import torch
from torch import Tensor

from headgas.splatting import Rendering, rasterize
from headgas.splatting.example import egg
from headgas.training.alignment import aligning_motion, common_motion
from headgas.training.refinement import moved_camera

pytestmark = pytest.mark.usefixtures("one_thread")
SCENE, CAMERA = egg(900, 96, 80, yaw=0.3, seed=1)
CENTER, EXTENT = torch.tensor([0.05, -0.1, 0.1]), float(SCENE.means.norm(dim=1).median())
HEAD = slice(4, 76), slice(8, 90)
BACKGROUND = torch.tensor([0.2, 0.7, 0.4])


def drawn(pose: Tensor) -> Rendering:
    return rasterize(SCENE, moved_camera(CAMERA, pose, CENTER, EXTENT), background=BACKGROUND)


def found(rendering: Rendering, target: Tensor, pose: Tensor) -> Tensor:
    return aligning_motion(rendering, target, HEAD, moved_camera(CAMERA, pose, CENTER, EXTENT), CENTER, EXTENT)


@pytest.mark.parametrize("axis", range(6))
def test_a_small_motion_along_each_axis_is_found_in_one_step(axis: int) -> None:
    target, start = drawn(torch.zeros(6)).color, -0.008 * torch.eye(6)[axis]
    motion = found(drawn(start), target, start)
    assert motion[axis].item() == pytest.approx(0.008, rel=0.35)
    others = motion[torch.arange(6) != axis]
    assert others.abs().max() < 0.003


def test_a_pose_that_is_far_off_is_found_in_a_few_steps_despite_what_is_painted_over() -> None:
    start = torch.tensor([0.04, -0.05, 0.03, 0.02, -0.03, 0.05])
    clean = drawn(torch.zeros(6)).color
    painted = clean.clone()
    painted[40:48, 44:54] = torch.tensor([1.0, 0.0, 0.0])
    for target, most in ((clean, 0.03), (painted, 0.1)):
        pose = start
        for _ in range(6):
            pose = pose + found(drawn(pose), target, pose)
        assert pose.norm() < most * start.norm()


@pytest.mark.parametrize("rows", [slice(None), slice(30, 31)])
def test_where_there_is_no_head_nothing_moves(rows: slice) -> None:
    nothing = torch.zeros(80, 96)
    rendering = Rendering(torch.zeros(80, 96, 3), nothing, nothing + 1e10)
    motion = aligning_motion(rendering, torch.rand(80, 96, 3), (rows, slice(None)), CAMERA, CENTER, EXTENT)
    assert motion.tolist() == [0.0] * 6


def test_the_motion_of_most_is_found_whatever_a_few_do() -> None:
    pose = torch.tensor([0.02, -0.01, 0.015, 0.05, -0.02, 0.03])
    means = SCENE.means
    turned = means + torch.linalg.cross(pose[:3].expand_as(means), means - CENTER) + EXTENT * pose[3:]
    jaw = means[:, 1] > means[:, 1].quantile(0.75)
    found = common_motion(means, turned + 0.3 * EXTENT * jaw[:, None], CENTER, EXTENT)
    torch.testing.assert_close(found, pose, rtol=0, atol=5e-4)
    assert common_motion(means, means, CENTER, EXTENT).tolist() == [0.0] * 6
    assert common_motion(means[:1], turned[:1], CENTER, EXTENT).isfinite().all()
