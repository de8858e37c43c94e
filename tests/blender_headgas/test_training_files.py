# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the extension reads of trainings: statuses, curves, lists and checks, whole and damaged."""

import json

import numpy as np
import pytest

from blender_headgas.core.capture_check import read_check
from blender_headgas.core.curve_picture import SIZE, curve_picture
from blender_headgas.core.errors import HeadGaSError
from blender_headgas.core.runs import (
    Curve,
    RunRecord,
    RunStatus,
    describe,
    duration,
    read_records,
    read_status,
    write_records,
)


def test_records_survive_their_file(tmp_path):
    record = RunRecord(3, "/tmp/run", "/tmp/capture", "modes", ("a", "--out", "ö"), 77, "born", True, False)
    assert read_records(tmp_path / "runs.json") == []
    write_records(tmp_path / "runs.json", [record])
    assert read_records(tmp_path / "runs.json") == [record]


@pytest.mark.parametrize("content", ["{", "[1]", '[{"number": 1}]', '{"number": 1}', "[[]]", '[{"arguments": 5}]'])
def test_damaged_lists_are_refused(tmp_path, content):
    (tmp_path / "runs.json").write_text(content)
    with pytest.raises(HeadGaSError, match="no list of training runs"):
        read_records(tmp_path / "runs.json")


def test_a_status_may_lack_everything(tmp_path):
    assert read_status(tmp_path) is None
    path = tmp_path / "status.json"
    for content in ("{", "[]", ""):
        path.write_text(content)
        assert read_status(tmp_path) is None
    path.write_text("{}")
    assert read_status(tmp_path) == RunStatus()
    path.write_text('{"state": 5, "psnr": NaN, "iteration": "7", "progress": true, "gaussians": 12.0, "unknown": 1}')
    assert read_status(tmp_path) == RunStatus(gaussians=12)


def test_a_curve_is_read_as_it_grows(tmp_path):
    path, curve = tmp_path / "metrics.jsonl", Curve(tmp_path)
    assert not curve.read_on()
    path.write_text('{"elapsed": 1, "psnr": 20}\n{"elapsed": 2, "ps')
    assert curve.read_on() and curve.psnr == [20.0]
    assert not curve.read_on(), "half a line is none yet"
    with path.open("a") as file:
        file.write('nr": 21}\nrubbish\n{"elapsed": 3, "psnr": 22}\n')
    assert curve.read_on() and curve.seconds == [1.0, 2.0, 3.0] and curve.psnr == [20.0, 21.0, 22.0]
    path.write_text('{"elapsed": 1, "psnr": 5}\n')
    assert curve.read_on() and curve.psnr == [5.0], "another run began"


def test_a_long_curve_is_read_in_parts(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"elapsed": 1.0, "psnr": 20.0}\n' * 10_000)
    curve, looks = Curve(tmp_path), 0
    while curve.read_on():
        looks += 1
    assert len(curve.psnr) == 10_000 and looks > 3


def test_the_curve_s_line_follows_the_values():
    seconds = np.linspace(0, 60, 300)
    picture = curve_picture(seconds, 20 + seconds / 6)
    assert picture.shape == (SIZE, SIZE, 4) and picture.dtype == np.float32
    assert (picture[..., :3] <= picture[..., 3:] + 1e-6).all(), "premultiplied"
    rows = [np.flatnonzero(picture[:, column, 3] > 0.9).mean() for column in (30, 64, 100)]
    assert rows[0] < rows[1] < rows[2]
    assert rows[2] - rows[1] == pytest.approx(rows[1] - rows[0], rel=0.15), "a straight line"
    assert not picture[: SIZE // 40].any() and picture[-20:, 10, 3].max() < 0.5 < picture[-20:, -10, 3].max()


def test_a_curve_of_nothing_is_empty():
    for values in ([], [3.0]):
        assert not curve_picture(values, values).any()
    assert curve_picture([1, 2], [5.0, 5.0]).any() and np.isfinite(curve_picture([1, 1], [5.0, 7.0])).all()


def test_texts():
    assert [duration(s) for s in (0, 59.9, 61, 3661)] == ["0:00", "0:59", "1:01", "1:01:01"]
    status = RunStatus(iteration=1234, psnr=27.25, iterations_per_second=9.5)
    assert describe("training", status) == "step 1,234, 27.2 dB, 9.5 it/s"
    assert describe("stopped", status) == "Stopped: step 1,234, 27.2 dB"
    assert describe("starting", RunStatus()).startswith("Starting") and describe("failed", RunStatus()) == "Failed"


def test_many_problems_are_shortened():
    found = {"problems": [f"frame {n}" for n in range(20)], "warnings": [], "frames": {"train": 0, "test": 0}}
    found |= {"sizes": [], "matte": None, "parameters": [], "kind": None, "views": None, "pictures": []}
    checked = read_check(json.dumps(found))
    assert not checked.trainable and len(checked.lines) == 9 and "12 more" in checked.lines[-1][1]
    assert read_check(json.dumps(found | {"problems": []})).trainable


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"problems": 3}'])
def test_a_check_that_is_none_is_refused(text):
    with pytest.raises(HeadGaSError, match="cannot be understood"):
        read_check(text)
