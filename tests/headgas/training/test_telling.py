# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run tells while it trains, and what it does when it is told to pause or to stop."""

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from headgas.avatars import load_avatar
from headgas.captures import load_capture
from headgas.errors import HeadGaSError
from headgas.training import run as run_module
from headgas.training import telling
from headgas.training.run import Run
from headgas.training.telling import Control, State, Status, Wish
from headgas.training.trainer import Budget, Trainer
from tests.headgas.conftest import write_capture
from tests.headgas.training.test_training import SMALL

_WAIT = 60.0  # seconds


class Training:
    """A run in a thread of its own."""

    def __init__(self, folder: Path, steps: int = 100_000, **options: Any) -> None:
        capture = load_capture(write_capture(folder / "capture", frames=4, test=1))
        self.folder = folder / "run"
        self.run = Run(self.folder, capture, "headgas", SMALL, **options)
        self.run.prepare(resume=False)
        self.trainer = Trainer(capture, SMALL, Budget(iterations=steps))
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._train, daemon=True)
        self._thread.start()

    def _train(self) -> None:
        try:
            with self.run.failures_told():
                self.run.train(self.trainer, lambda line: None, lambda avatar, path: None)
        except BaseException as error:
            self.error = error

    def status(self) -> dict[str, Any]:
        return json.loads((self.folder / "status.json").read_text(encoding="utf-8"))

    def tell(self, wish: str) -> None:
        (self.folder / "control.json").write_text(json.dumps({"wish": wish}), encoding="utf-8")

    def ended(self) -> bool:
        return not self._thread.is_alive()


@pytest.fixture(autouse=True)
def without_surface(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here looks at it, and it takes a second."""
    monkeypatch.setattr(run_module, "extract_surface", lambda avatar: {})


@pytest.fixture
def looking_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_module, "_LOG_EVERY", 0.05)
    monkeypatch.setattr(telling, "_LOOK_EVERY", 0.05)


def until(condition: Callable[[], bool]) -> bool:
    end = time.monotonic() + _WAIT
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def test_a_run_pauses_goes_on_and_stops_with_its_avatar(tmp_path: Path, looking_often: None) -> None:
    training = Training(tmp_path)
    assert until(lambda: training.status()["state"] == "training")
    told = training.status()
    assert told["preset"] == "headgas" and told["capture"] == str(tmp_path / "capture") and told["psnr"] > 0
    training.tell("pause")
    assert until(lambda: training.status()["state"] == "paused")
    step = training.trainer.iteration
    assert (training.folder / "resume.safetensors").is_file(), "a pause may outlast the machine"
    time.sleep(0.3)
    assert training.trainer.iteration == step
    training.tell("train")
    assert until(lambda: training.trainer.iteration > step)
    training.tell("stop")
    assert until(training.ended) and training.error is None
    assert training.status()["state"] == "stopped"
    header = load_avatar(training.folder / "avatar.safetensors").header
    assert header["training"]["iterations"] == training.trainer.iteration < 100_000
    assert not (training.folder / "resume.safetensors").exists()


def test_the_avatar_is_there_while_it_trains(
    tmp_path: Path, looking_often: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_module, "_LATEST_SHOWN", 1.0)
    training = Training(tmp_path, live=0.2)
    avatar = training.folder / "avatar.safetensors"
    assert until(avatar.is_file)
    first = load_avatar(avatar)
    assert first.header["training"]["unfinished"] and first.avatar.training is False
    written = avatar.stat().st_mtime_ns
    assert until(lambda: avatar.stat().st_mtime_ns > written), "again and again"
    assert until((training.folder / "thumbnail.png").is_file)
    assert Image.open(training.folder / "thumbnail.png").mode == "RGBA"
    training.tell("stop")
    assert until(training.ended)
    assert "unfinished" not in load_avatar(avatar).header["training"]


def test_showing_the_avatar_changes_nothing_that_it_learns(tmp_path: Path) -> None:
    capture = load_capture(write_capture(tmp_path / "capture", frames=6, test=1))
    silent, shown = (Trainer(capture, SMALL, Budget(iterations=60), seed=3) for _ in range(2))
    for number in range(24):
        silent.step()
        shown.step()
        if number % 7 == 0:  # not when everything is computed anew anyway
            assert torch.equal(shown.snapshot().means, shown.avatar.means)
    assert all(torch.equal(a, b) for a, b in zip(silent.avatar.parameters(), shown.avatar.parameters(), strict=True))


def test_live_avatars_that_cost_much_come_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    capture = load_capture(write_capture(tmp_path / "capture", frames=2, test=1))
    run = Run(tmp_path / "run", capture, "headgas", SMALL, live=1.0)
    trainer = Trainer(capture, SMALL, Budget(iterations=5))
    for cost, least, most in ((0.0, 1.0, 3.0), (0.1, 4.0, 6.0), (0.5, 6.0, 6.0)):
        monkeypatch.setattr(Run, "_save", lambda *_args, cost=cost, **_options: time.sleep(cost))
        again = run._show(trainer) - time.monotonic()
        assert least - 0.1 <= again <= most, "a fortieth of the time, and six times the usual pause at most"


def test_a_full_disk_ends_the_run_with_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADGAS_SAVE_SECONDS", "0.1")

    def full(*_args: Any, **_options: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(run_module, "save_file", full)
    training = Training(tmp_path)
    assert until(training.ended)
    assert isinstance(training.error, HeadGaSError) and "space" in training.error.hint
    assert training.status()["state"] == "failed" and "No space left" in training.status()["message"]


def test_a_bug_is_told_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Trainer, "step", lambda self: 1 / 0)
    training = Training(tmp_path)
    assert until(training.ended)
    assert training.status()["state"] == "failed" and "division by zero" in training.status()["message"]
    assert isinstance(training.error, ZeroDivisionError)


def test_a_status_that_cannot_be_written_ends_nothing(tmp_path: Path) -> None:
    (tmp_path / "status.json").mkdir()  # nothing replaces a folder by a file
    status = Status(tmp_path, capture="c")
    status.tell(State.TRAINING, iteration=1)
    (tmp_path / "status.json").rmdir()
    status.tell(State.TRAINING, iteration=2)
    told = json.loads((tmp_path / "status.json").read_text(encoding="utf-8"))
    assert told["iteration"] == 2 and told["capture"] == "c" and told["pid"] > 0


@pytest.mark.parametrize("content", ["{", "[]", '{"wish": "dance"}', "{}", "7"])
def test_what_is_no_wish_changes_nothing(tmp_path: Path, content: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telling, "_LOOK_EVERY", 0.0)
    control = Control(tmp_path)
    assert control.wish() == Wish.TRAIN, "without a file"
    (tmp_path / "control.json").write_text('{"wish": "pause"}')
    assert control.wish() == Wish.PAUSE
    (tmp_path / "control.json").write_text(content)
    assert control.wish() == Wish.PAUSE
    control.forget()
    assert not (tmp_path / "control.json").exists()
