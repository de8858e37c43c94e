# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pose in which an avatar fits a photograph best."""

import dataclasses
from pathlib import Path

import numpy as np
import torch

from headgas.captures import load_capture
from headgas.evaluation.metrics import render_over_white
from headgas.evaluation.refining import refined, refined_camera
from headgas.training.refinement import moved_camera
from tests.headgas.conftest import small_avatar


@torch.inference_mode()
def test_the_pose_that_a_picture_was_made_from_is_found(capture_folder: Path) -> None:
    avatar = small_avatar(400)
    with torch.no_grad():
        avatar.log_scales.fill_(np.log(0.012))
    frame = load_capture(capture_folder).frames[0]
    picture = render_over_white(avatar, frame)
    pose = torch.tensor([0.03, -0.05, 0.04, 0.02, 0.03, -0.05])
    wrong = moved_camera(frame.camera, pose, torch.zeros(3), 0.1)
    tracked = dataclasses.replace(frame, viewmat=wrong.viewmat.numpy())
    found = refined_camera(avatar, tracked, picture)
    left = (torch.linalg.inv(frame.camera.viewmat) @ found.viewmat).numpy()
    before = (torch.linalg.inv(frame.camera.viewmat) @ wrong.viewmat).numpy()
    for motion, least, most in ((before, 0.05, 1.0), (left, 0.0, 0.005)):
        assert least <= np.linalg.norm(motion[:3, :3] - np.eye(3)) / np.sqrt(2) <= most
        assert np.linalg.norm(motion[:3, 3]) <= most
    error = (refined(avatar, tracked, picture) - picture).square().mean().item()
    assert error < 1e-4 < (render_over_white(avatar, tracked) - picture).square().mean().item()


@torch.inference_mode()
def test_a_picture_without_the_head_moves_nothing_far(capture_folder: Path) -> None:
    avatar, frame = small_avatar(), load_capture(capture_folder).frames[0]
    found = refined_camera(avatar, frame, torch.ones(48, 48, 3))
    assert torch.isfinite(found.viewmat).all()
