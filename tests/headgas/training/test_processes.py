# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Training shared by several processes: the same result as one with their frames, and an end together."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from headgas import cli
from headgas.avatars import Avatar, load_avatar
from headgas.errors import HeadGaSError
from headgas.training import initialization
from headgas.training.processes import Processes
from headgas.training.run import AVATAR, METRICS, RESUME, THUMBNAIL
from headgas.training.telling import STATUS
from tests.headgas.conftest import HULL_GRID, write_capture

TOGETHER = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "headgas"]
PATIENCE = 240


def train(capture: Path, out: Path, *options: str) -> list[str]:
    return ["train", str(capture), "--out", str(out), "--device", "cpu", "--gaussians", "2800", *options]


@pytest.fixture
def both_ways(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., list[Avatar]]:
    """What one process, this one, makes of two frames per step, and what two make of one each."""
    monkeypatch.setattr(initialization, "_GRID", HULL_GRID)
    return lambda *options: _both_ways(tmp_path, capsys, *options)


def _both_ways(tmp_path: Path, capsys: pytest.CaptureFixture[str], *options: str) -> list[Avatar]:
    capture = write_capture(tmp_path / "capture")
    options = ("--basis", "float32", *options)
    assert cli.main(train(capture, tmp_path / "alone", "--batch", "2", *options)) == 0
    assert capsys.readouterr().out.count("avatar.safetensors") == 1
    command = [*TOGETHER, *train(capture, tmp_path / "together", *options)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("avatar.safetensors") == 1
    files = [sorted(p.name for p in (tmp_path / out).iterdir()) for out in ("alone", "together")]
    assert files[0] == files[1] == sorted([AVATAR, METRICS, "preview.png", STATUS, THUMBNAIL])
    return [load_avatar(tmp_path / out / AVATAR).avatar for out in ("alone", "together")]


def test_two_processes_train_what_one_does_with_two_frames_per_step(both_ways: Callable) -> None:
    alone, together = both_ways("--preset", "headgas", "--iterations", "60")
    assert together.count == alone.count > 2500
    for name, values in alone.tensors().items():
        torch.testing.assert_close(together.tensors()[name], values, rtol=1e-3, atol=1e-5, msg=name)


def test_two_processes_pay_for_motion_once(both_ways: Callable) -> None:
    """Seven steps: Gaussians as round as at first turn by rounding alone, and soon all differ by that."""
    alone, together = both_ways("--preset", "modes", "--iterations", "7")
    for name, values in alone.tensors().items():
        assert (together.tensors()[name] - values).abs().mean() < 1e-5, name
    mixed, likewise = (avatar.get_parameter("mixer.weight") for avatar in (alone, together))
    assert mixed.abs().mean() > 5e-4
    assert (mixed - likewise).abs().mean() < 1e-7


def _children(process: subprocess.Popen) -> list[int]:
    """The training processes that torchrun started, youngest last."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            number, parent = int(status.parent.name), int(status.read_text().rpartition(")")[2].split()[1])
        except (OSError, IndexError):
            continue
        if parent == process.pid:
            found.append(number)
    return sorted(found)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds the processes through /proc")
def test_one_process_dying_ends_all_and_the_run_resumes(tmp_path: Path) -> None:
    capture, out = write_capture(tmp_path / "capture"), tmp_path / "run"
    command = [*TOGETHER, *train(capture, out, "--iterations", "200")]
    environment = os.environ | {"HEADGAS_SAVE_SECONDS": "0.1"}
    with (tmp_path / "errors").open("w") as errors:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors, env=environment)
        deadline = time.monotonic() + PATIENCE
        while not (out / RESUME).is_file() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        assert process.poll() is None, "the run ended before one of its processes could be killed"
        os.kill(_children(process)[-1], signal.SIGKILL)
        assert process.wait(timeout=60) != 0
    said = (tmp_path / "errors").read_text()
    assert "Another process of this training has ended" in said or "SIGKILL" in said, said
    assert not (out / AVATAR).exists()
    done = subprocess.run([*command, "--resume"], capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
    assert "starting anew" not in done.stderr
    lines = [json.loads(line) for line in (out / METRICS).read_text(encoding="utf-8").splitlines()]
    assert lines[-1]["iteration"] == load_avatar(out / AVATAR).header["training"]["iterations"] == 200


def test_frames_that_cannot_be_dealt_equally_are_refused() -> None:
    assert [list(Processes(rank, 2).share(4)) for rank in (0, 1)] == [[0, 1], [2, 3]]
    with pytest.raises(HeadGaSError, match="3 frames per step.*2 processes"):
        Processes(1, 2).share(3)
