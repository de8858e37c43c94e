# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Training as a whole: it learns the expression, repeats itself, and goes on after a kill."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from headgas import cli
from headgas.avatars import HeadGaSConfig, load_avatar
from headgas.captures import load_capture
from headgas.errors import HeadGaSError
from headgas.evaluation import evaluate
from headgas.training.config import TrainingConfig, preset
from headgas.training.run import Run
from headgas.training.trainer import Budget, Trainer
from tests.headgas.conftest import write_capture

SMALL = TrainingConfig(
    model=HeadGaSConfig(features=8, hidden=32, frequencies=3, sh_degree=1),
    initial_gaussians=500,
    max_gaussians=900,
    densify_events=5,
)
STEPS = 280


def test_psnr(capture: Path, out: Path) -> float:
    """Trains on a capture's training frames. Returns the PSNR of its test frames."""
    loaded = load_capture(capture)
    run = Run(out, loaded, "headgas", SMALL)
    run.prepare(resume=False)
    run.train(Trainer(loaded, SMALL, Budget(iterations=STEPS)), lambda line: None, lambda avatar, path: None)
    return evaluate(load_avatar(out / "avatar.safetensors"), loaded).psnr


test_psnr.__test__ = False  # type: ignore[attr-defined]  # a helper, named for what it returns


def test_training_learns_the_expression(tmp_path: Path) -> None:
    """The same frames with their expressions shuffled must do worse by 3 dB: the picture cannot be had without them."""
    right = test_psnr(write_capture(tmp_path / "right"), tmp_path / "run-right")
    wrong = test_psnr(write_capture(tmp_path / "wrong", shuffled=True), tmp_path / "run-wrong")
    assert right > 24
    assert right > wrong + 3


def steps(trainer: Trainer, count: int) -> list[float]:
    return [trainer.step().loss for _ in range(count)]


def test_the_seed_decides_everything(tmp_path: Path) -> None:
    capture = load_capture(write_capture(tmp_path / "capture"))
    first, second, other = (Trainer(capture, SMALL, Budget(iterations=100), seed=seed) for seed in (5, 5, 6))
    losses = steps(first, 60)
    assert losses == steps(second, 60)
    assert losses != steps(other, 60)
    assert torch.equal(first.avatar.means, second.avatar.means)


def test_a_restored_trainer_goes_on_as_if_nothing_had_happened(tmp_path: Path) -> None:
    capture = load_capture(write_capture(tmp_path / "capture"))
    config = dataclasses.replace(SMALL, densify_until=0.9)
    first = Trainer(capture, config, Budget(iterations=120))
    steps(first, 50)
    tensors, numbers = first.state()
    tensors = {name: value.clone() for name, value in tensors.items()}
    expected = steps(first, 40)
    second = Trainer(capture, config, Budget(iterations=120))
    second.restore(tensors, json.loads(json.dumps(numbers)))
    assert steps(second, 40) == pytest.approx(expected, rel=1e-4)
    assert second.avatar.count == first.avatar.count > 500


@pytest.mark.skipif(os.name == "nt", reason="the test kills the process as POSIX systems do")
def test_a_killed_run_resumes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Killed in the middle without warning; the resumed run ends with the steps that the whole run was to have."""
    capture, out = write_capture(tmp_path / "capture"), tmp_path / "run"
    command = ["train", str(capture), "--out", str(out), "--iterations", "200", "--gaussians", "500"]
    environment = os.environ | {"HEADGAS_SAVE_SECONDS": "0.3"}
    process = subprocess.Popen(
        [sys.executable, "-m", "headgas", *command],
        stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=environment,
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while not (out / "resume.safetensors").is_file() and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.01)
    assert process.poll() is None, "the run ended before it could be killed"
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (out / "avatar.safetensors").exists()
    caplog.set_level("INFO", "headgas")
    assert cli.main([*command, "--resume"]) == 0
    assert "trained" in caplog.text and "trained 200" not in caplog.text and "starting anew" not in caplog.text
    assert load_avatar(out / "avatar.safetensors").header["training"]["iterations"] == 200
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    assert lines[-1]["iteration"] == 200
    names = ["avatar.safetensors", "metrics.jsonl", "preview.png", "status.json", "thumbnail.png"]
    assert sorted(p.name for p in out.iterdir()) == names


def test_resuming_with_another_recipe_is_refused(tmp_path: Path) -> None:
    capture = load_capture(write_capture(tmp_path / "capture"))
    trainer = Trainer(capture, SMALL, Budget(iterations=10))
    run = Run(tmp_path / "run", capture, "headgas", SMALL)
    run.prepare(resume=False)
    run.save_state(trainer)
    other = Run(tmp_path / "run", capture, "headgas", dataclasses.replace(SMALL, max_gaussians=901))
    with pytest.raises(HeadGaSError, match="another recipe"):
        other.resume(trainer)
    (tmp_path / "run" / "resume.safetensors").write_bytes(b"broken")
    with pytest.raises(HeadGaSError, match="damaged"):
        run.resume(trainer)


def test_the_budget_counts_seconds_or_steps() -> None:
    assert Budget(iterations=100).progress(25, 999.0) == 0.25
    assert Budget(seconds=10.0).progress(25, 4.0) == 0.4
    assert Budget(seconds=10.0).progress(25, 40.0) == 1.0


def test_unknown_presets_are_refused() -> None:
    with pytest.raises(HeadGaSError, match="headgas"):
        preset("nerf")
