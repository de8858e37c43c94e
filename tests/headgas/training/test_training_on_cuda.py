# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""A short training run on CUDA ends where one on the CPU does."""

import dataclasses
from pathlib import Path

import pytest
import torch

from headgas.avatars import load_avatar
from headgas.captures import load_capture
from headgas.evaluation import evaluate
from headgas.training.run import Run
from headgas.training.trainer import Budget, Trainer
from tests.headgas.conftest import write_capture
from tests.headgas.training.test_training import SMALL, STEPS

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


@pytest.mark.parametrize("batch", [1, 4])
def test_it_learns_as_on_the_cpu(batch: int, tmp_path: Path) -> None:
    capture = load_capture(write_capture(tmp_path / "capture"))
    config = dataclasses.replace(SMALL, batch=batch)
    quality = {}
    for device in ("cpu", "cuda"):
        run = Run(tmp_path / device, capture, "headgas", config)
        run.prepare(resume=False)
        trainer = Trainer(capture, config, Budget(iterations=STEPS // batch), device=device)
        run.train(trainer, lambda line: None, lambda avatar, path: None)
        quality[device] = evaluate(load_avatar(run.avatar_path), capture).psnr
        assert trainer.avatar.count > SMALL.initial_gaussians, "nothing was densified"
    assert abs(quality["cuda"] - quality["cpu"]) < 1, quality


def test_it_goes_on_from_its_state(tmp_path: Path) -> None:
    capture = load_capture(write_capture(tmp_path / "capture"))
    trainer = Trainer(capture, SMALL, Budget(iterations=60), device="cuda")
    for _ in range(30):
        trainer.step()
    tensors, numbers = trainer.state()
    other = Trainer(capture, SMALL, Budget(iterations=60), device="cuda")
    other.restore({name: value.cpu().clone() for name, value in tensors.items()}, numbers)
    ours, theirs = (runner.step().loss for runner in (trainer, other))
    assert ours == pytest.approx(theirs, rel=1e-3)
