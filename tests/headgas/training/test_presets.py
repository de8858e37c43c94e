# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every named recipe: from a capture to a file that opens, renders the same, and can be exported."""

import dataclasses
from pathlib import Path

import pytest
import torch

from headgas.avatars import Modes, load_avatar, save_avatar
from headgas.captures import load_capture
from headgas.training.config import PRESETS, preset
from headgas.training.trainer import Budget, Trainer
from tests.headgas.conftest import write_capture


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_trains_into_a_file_that_shows_the_same(name: str, tmp_path: Path) -> None:
    capture = load_capture(write_capture(tmp_path / "capture"))
    config = dataclasses.replace(preset(name), initial_gaussians=100, max_gaussians=150)
    trainer = Trainer(capture, config, Budget(iterations=12))
    before = trainer.step().loss
    trainer.train()
    assert trainer.step().loss != before
    avatar, frame = trainer.finish(), capture.split("test")[0]
    save_avatar(tmp_path / "avatar.safetensors", avatar, name, {})
    opened = load_avatar(tmp_path / "avatar.safetensors").avatar
    expression = torch.from_numpy(frame.expression)
    with torch.inference_mode():
        own, theirs = (one.render(expression, frame.camera).color for one in (avatar, opened))
        splats = opened.splats(expression)
    assert own.max() > 0.01
    assert (own - theirs).abs().max() < 0.03
    assert len(splats) == avatar.count




def test_the_penalty_keeps_gaussians_where_they_are(tmp_path: Path) -> None:
    capture = load_capture(write_capture(tmp_path / "capture"))

    def moved(weight: float) -> float:
        config = dataclasses.replace(
            preset("modes"), penalty_weight=weight, initial_gaussians=100, max_gaussians=100
        )
        trainer = Trainer(capture, config, Budget(iterations=60))
        trainer.train()
        avatar = trainer.finish()
        assert isinstance(avatar, Modes)
        frame = capture.split("train")[0]
        means = avatar.gaussians(torch.ones(len(avatar.expression_space)), frame.camera).means
        return (means - avatar.means).abs().mean().item()

    assert moved(10.0) < 0.3 * moved(0.0)
