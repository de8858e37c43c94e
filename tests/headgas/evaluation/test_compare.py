# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Comparing presets: the table, the page, and going on where a killed comparison was."""

import dataclasses
import json
import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from headgas import cli
from headgas.avatars import HeadGaSConfig, load_avatar
from headgas.captures import load_capture
from headgas.errors import HeadGaSError
from headgas.evaluation import evaluate
from headgas.evaluation.compare import check_presets, compare
from headgas.evaluation.metrics import evaluation_row
from headgas.evaluation.report import _best, table_text
from headgas.training import config as configs
from headgas.training.config import TrainingConfig
from headgas.training.job import Job
from headgas.training.run import RESUME, Run
from headgas.training.trainer import Budget, Trainer
from tests.headgas.conftest import SIZE, write_capture

MODEL = HeadGaSConfig(features=4, hidden=16, frequencies=2, sh_degree=1)
TINY = TrainingConfig(model=MODEL, initial_gaussians=200, max_gaussians=300, densify_events=2)
JOB = Job(Budget(iterations=30), seed=0, device=torch.device("cpu"))


@pytest.fixture(autouse=True)
def presets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two small presets; avatars come without their surface, which nothing here looks at and which takes seconds."""
    monkeypatch.setattr("headgas.training.run.extract_surface", lambda avatar: {})
    monkeypatch.setitem(configs.PRESETS, "tiny", TINY)
    monkeypatch.setitem(configs.PRESETS, "bare", dataclasses.replace(TINY, max_gaussians=200))


def _compared(capture: Path, names: list[str], out: Path, job: Job = JOB) -> tuple[list[dict], set[str]]:
    """The rows, and the presets that were trained for them."""
    trained = set()
    rows = compare(load_capture(capture), names, job, out, lambda name, line: trained.add(name))
    return rows, trained


def test_rows_table_sheet_and_page(tmp_path: Path) -> None:
    capture, out = write_capture(tmp_path / "capture", frames=6, test=3), tmp_path / "out"
    rows, trained = _compared(capture, ["tiny", "bare"], out)
    assert [row["preset"] for row in rows] == ["tiny", "bare"] and trained == {"tiny", "bare"}
    checkpoint = load_avatar(out / "tiny" / "avatar.safetensors")
    expected = evaluation_row(checkpoint, evaluate(checkpoint, load_capture(capture)))
    assert set(rows[0]) == set(expected) | {"training_seconds", "iterations"}
    assert rows[0] | expected | {"frames_per_second": 0} == rows[0] | {"frames_per_second": 0}
    assert rows[0]["iterations"] == 30 and rows[0]["training_seconds"] > 0 and rows[1]["gaussians"] <= 200
    assert json.loads((out / "comparison.json").read_text("utf-8")) == rows
    sheet = np.asarray(Image.open(out / "comparison.png"))
    assert sheet.shape == (3 * SIZE + 18, 3 * SIZE, 3)
    first = np.asarray(Image.open(load_capture(capture).split("test")[0].image), float) / 255
    white = first[..., :3] * first[..., 3:] + 1 - first[..., 3:]
    np.testing.assert_allclose(sheet[18 : 18 + SIZE, :SIZE] / 255, white, atol=0.51 / 255)
    page = (out / "comparison.html").read_text("utf-8")
    assert f"{rows[0]['psnr']:.2f}</td>" in page and "data:image/png;base64," in page
    assert f"headgas compare {capture} --presets tiny,bare --iterations 30" in page and f"--out {out}" in page
    assert not list(out.rglob("*.part"))


def test_avatars_that_are_trained_already_are_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capture, out = write_capture(tmp_path / "capture", frames=4, test=2), tmp_path / "out"
    trained = [_compared(capture, [name], tmp_path / name)[0][0] for name in ("tiny", "bare")]
    first, second = (tmp_path / name / name / "avatar.safetensors" for name in ("tiny", "bare"))
    other = second.with_name("other.safetensors")
    other.write_bytes(second.read_bytes())
    paths = [str(path) for path in (first, second, first, other)]
    assert cli.main(["compare", str(capture), "--avatars", *paths, "--out", str(out), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["preset"] for row in rows] == ["tiny (tiny)", "bare (bare)", "tiny 2 (tiny)", "other (bare)"]
    assert [row["psnr"] for row in rows[:2]] == pytest.approx([row["psnr"] for row in trained])
    assert json.loads((out / "comparison.json").read_text("utf-8")) == rows
    assert Image.open(out / "comparison.png").size == (5 * SIZE, 2 * SIZE + 18)
    assert cli.main(["compare", str(capture), "--avatars", str(tmp_path / "none"), "--out", str(out)]) == 2


def test_the_best_of_each_column_is_marked() -> None:
    row = {
        "psnr": 30.0, "ssim": 0.9, "lpips": None, "regions": {"eyes": 25.0, "mouth": None}, "bytes": 2_000_000,
        "frames_per_second": 100.0, "training_seconds": 60.0, "iterations": 100, "gaussians": 500,
    }  # fmt: skip
    better = {"psnr": 31.0, "bytes": 1_000_000, "frames_per_second": 90.0, "iterations": 200}
    rows = [row | {"preset": "first"}, row | better | {"preset": "second"}]
    titles, *lines = [line.split() for line in table_text(rows).splitlines()]
    assert titles[:2] == ["preset", "PSNR"] and lines[0][:2] == ["first", "30.00"] and lines[1][1] == "31.00"
    assert _best(rows) == {(1, 1), (1, 6), (0, 7)}
    assert "weights not found" in table_text(rows)


def test_finished_presets_are_not_trained_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    capture, out = write_capture(tmp_path / "capture", frames=6, test=2), tmp_path / "out"
    rows, _ = _compared(capture, ["tiny"], out)
    again, trained = _compared(capture, ["tiny", "bare"], out)
    assert trained == {"bare"}
    assert again[0] | {"frames_per_second": 0} == rows[0] | {"frames_per_second": 0}
    with caplog.at_level(logging.INFO, logger="headgas"):
        other = write_capture(tmp_path / "other", frames=6, test=2, seed=1)
        assert _compared(other, ["tiny"], out, dataclasses.replace(JOB, seed=1))[1] == {"tiny"}
        assert "holds a run with another capture and seed; training anew" in caplog.text


def test_a_killed_preset_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed after twenty of thirty steps, it ends as if nothing had happened."""
    capture = write_capture(tmp_path / "capture", frames=6, test=2)
    whole, _ = _compared(capture, ["tiny"], tmp_path / "whole")
    with monkeypatch.context() as patch:

        def killed(self: Run, trainer: Trainer, *arguments: object) -> None:
            for _ in range(20):
                trainer.step()
            self.save_state(trainer)
            raise KeyboardInterrupt

        patch.setattr(Run, "train", killed)
        with pytest.raises(KeyboardInterrupt):
            _compared(capture, ["tiny"], tmp_path / "killed")
    assert (tmp_path / "killed" / "tiny" / RESUME).is_file()
    steps = []
    plain = Trainer.step
    monkeypatch.setattr(Trainer, "step", lambda self: steps.append(1) or plain(self))
    resumed, _ = _compared(capture, ["tiny"], tmp_path / "killed")
    assert len(steps) == 10 and not (tmp_path / "killed" / "tiny" / RESUME).exists()
    assert resumed[0]["psnr"] == whole[0]["psnr"] and resumed[0]["iterations"] == 30


@pytest.mark.parametrize(
    ("names", "message"), [([], "no preset to compare"), (["tiny", "none"], "'none'"), (["tiny", "tiny"], "once")]
)
def test_presets_that_cannot_be_compared(tmp_path: Path, names: list[str], message: str) -> None:
    with pytest.raises(HeadGaSError, match=message) as error:
        check_presets(names)
    assert "headgas" in str(error.value) and "tiny" in str(error.value)
    capture = load_capture(write_capture(tmp_path / "capture", frames=2, test=1))
    with pytest.raises(HeadGaSError, match=message):
        compare(capture, names, JOB, tmp_path / "out", lambda name, line: None)
    assert not (tmp_path / "out").exists()


def test_a_capture_without_test_frames_is_refused_before_training(tmp_path: Path) -> None:
    capture = write_capture(tmp_path / "capture", frames=3, test=0)
    with pytest.raises(HeadGaSError, match="'test'"):
        _compared(capture, ["tiny"], tmp_path / "out")
    assert not (tmp_path / "out").exists()
