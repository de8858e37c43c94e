# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Training shared by several processes: the same result as one with their frames, and an end together."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import torch

from headgas import cli
from headgas.avatars import Avatar, load_avatar
from headgas.errors import HeadGaSError
from headgas.splatting import get_threads, set_threads
from headgas.training import initialization, processes
from headgas.training.processes import Processes
from headgas.training.run import AVATAR, METRICS, RESUME, THUMBNAIL
from headgas.training.telling import STATUS
from tests.headgas.conftest import HULL_GRID, write_capture

TOGETHER = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "headgas"]
PATIENCE = 240


def train(capture: Path, out: Path, *options: str) -> list[str]:
    return ["train", str(capture), "--out", str(out), "--device", "cpu", "--gaussians", "2800", *options]


@pytest.fixture
def together(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[list[str]], None]]:
    """Runs a command in two processes as torchrun would; this one is the first, and spares starting two."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"TORCHELASTIC_RUN_ID": "test", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    shared |= {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}

    def run(command: list[str]) -> None:
        second = os.environ | shared | {"RANK": "1", "LOCAL_RANK": "1"}
        child = subprocess.Popen([sys.executable, "-m", "headgas", *command], env=second, stdout=subprocess.PIPE)
        for name, value in (shared | {"RANK": "0", "LOCAL_RANK": "0"}).items():
            monkeypatch.setenv(name, value)
        assert cli.main(command) == 0
        said, _ = child.communicate(timeout=PATIENCE)
        assert child.returncode == 0 and not said

    threads = get_threads()
    monkeypatch.setattr(initialization, "_GRID", HULL_GRID)  # the other process has no other
    monkeypatch.setattr(processes, "_PATIENCE", timedelta(seconds=PATIENCE))
    yield run
    set_threads(threads)


@pytest.fixture
def both_ways(
    tmp_path: Path, together: Callable[[list[str]], None], capsys: pytest.CaptureFixture[str]
) -> Callable[..., list[Avatar]]:
    """What one process makes of two frames per step, and what two make of one each."""

    def run(*options: str) -> list[Avatar]:
        capture = write_capture(tmp_path / "capture")
        options = ("--basis", "float32", *options)
        assert cli.main(train(capture, tmp_path / "alone", "--batch", "2", *options)) == 0
        together(train(capture, tmp_path / "together", *options))
        assert capsys.readouterr().out.count("avatar.safetensors") == 2
        files = [sorted(p.name for p in (tmp_path / out).iterdir()) for out in ("alone", "together")]
        assert files[0] == files[1] == sorted([AVATAR, METRICS, "preview.png", STATUS, THUMBNAIL])
        return [load_avatar(tmp_path / out / AVATAR).avatar for out in ("alone", "together")]

    return run


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
def test_one_process_dying_ends_all_and_the_run_resumes(
    tmp_path: Path, together: Callable, caplog: pytest.LogCaptureFixture
) -> None:
    capture, out = write_capture(tmp_path / "capture"), tmp_path / "run"
    command = train(capture, out, "--iterations", "200", "--gaussians", "300")
    environment = os.environ | {"HEADGAS_SAVE_SECONDS": "0.3"}
    with (tmp_path / "errors").open("w") as errors:
        process = subprocess.Popen([*TOGETHER, *command], stdout=subprocess.DEVNULL, stderr=errors, env=environment)
        deadline = time.monotonic() + PATIENCE
        while not (out / RESUME).is_file() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        assert process.poll() is None, "the run ended before one of its processes could be killed"
        os.kill(_children(process)[-1], signal.SIGKILL)
        assert process.wait(timeout=60) != 0
    said = (tmp_path / "errors").read_text()
    assert "Another process of this training has ended" in said or "SIGKILL" in said, said
    assert not (out / AVATAR).exists()
    caplog.set_level("INFO", "headgas")
    together([*command, "--resume"])
    assert "trained" in caplog.text and "starting anew" not in caplog.text
    lines = [json.loads(line) for line in (out / METRICS).read_text(encoding="utf-8").splitlines()]
    assert lines[-1]["iteration"] == load_avatar(out / AVATAR).header["training"]["iterations"] == 200


def test_frames_that_cannot_be_dealt_equally_are_refused() -> None:
    assert [list(Processes(rank, 2).share(4)) for rank in (0, 1)] == [[0, 1], [2, 3]]
    with pytest.raises(HeadGaSError, match="3 frames per step.*2 processes"):
        Processes(1, 2).share(3)
