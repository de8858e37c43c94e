# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fitting mappings: the truth is found where it is linear, neutral stays exact, and what is missing is said."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from blender_headgas.core.mapping import load_mapping  # what Blender reads
from headgas import cli
from headgas.errors import HeadGaSError
from headgas.evaluation.fitting import fit, fit_mapping

ARKIT = ["jawOpen", "mouthSmileLeft", "mouthSmileRight", "browInnerUp"]
FLAME = ["expr_000", "expr_001", "jaw_x"]
TRUTH = np.array([[0.5, 1.0, 1.0, 0.0], [0.0, 2.0, -2.0, 0.3], [0.35, 0.0, 0.0, 0.0]])  # [3,4]
NEUTRAL = np.array([0.2, 0.0, -0.1])  # of FLAME's; ARKit's is 0
Change = Callable[[dict[str, Any]], None]


def write_frames(
    folder: Path, noise: float = 0.0, frames: int = 60, test: int = 15, change: Change | None = None
) -> Path:
    """A capture of frames with `expression` (of FLAME) and another description, `arkit`."""
    generator = np.random.default_rng(3)
    x = np.clip(generator.random((frames + test, 4)) - 0.2, 0, 1)
    y = x @ TRUTH.T + NEUTRAL + noise * generator.normal(size=(frames + test, 3))
    entries = [
        {
            "name": f"{i:04d}",
            "split": "train" if i < frames else "test",
            "expression": y[i].tolist(),
            "other_expressions": {"arkit": x[i].tolist()},
        }
        for i in range(frames + test)
    ]
    data = {
        "format": "headgas-capture",
        "version": 1,
        "expression_space": {"kind": "FLAME", "names": FLAME, "neutral": NEUTRAL.tolist()},
        "other_expressions": {"arkit": {"kind": "ARKit", "names": ARKIT}},
        "frames": entries,
    }
    if change:
        change(data)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "capture.json").write_text(json.dumps(data), encoding="utf-8")
    return folder


def test_a_linear_truth_is_found(tmp_path: Path) -> None:
    fitted = fit_mapping(write_frames(tmp_path), "arkit", "expression")
    np.testing.assert_allclose(fitted.fit.matrix, TRUTH, atol=1e-4)
    np.testing.assert_allclose(fitted.fit.bias, NEUTRAL, atol=1e-12)
    assert (fitted.train, fitted.test) == (60, 15)
    assert fitted.fit.r2.min() > 0.99999 and fitted.fit.held_out_r2.min() > 0.99999
    assert fitted.fit.held_out_error.max() < 1e-3


def test_neutral_is_exact_whatever_the_frames_say(tmp_path: Path) -> None:
    def shift(data: dict[str, Any]) -> None:
        for frame in data["frames"]:
            frame["expression"] = [value + 5.0 for value in frame["expression"]]
        data["other_expressions"]["arkit"]["neutral"] = [0.1, 0.0, 0.0, -0.2]

    found = fit_mapping(write_frames(tmp_path, noise=0.1, change=shift), "arkit", "expression").fit
    np.testing.assert_allclose(found.matrix @ [0.1, 0.0, 0.0, -0.2] + found.bias, NEUTRAL, atol=1e-12)


def test_noise_costs_what_it_must(tmp_path: Path) -> None:
    clean = fit_mapping(write_frames(tmp_path / "a", noise=0.02, frames=200), "arkit", "expression").fit
    noisy = fit_mapping(write_frames(tmp_path / "b", noise=0.5, frames=200), "arkit", "expression").fit
    assert np.abs(clean.matrix - TRUTH).max() < 0.05
    assert 0.01 < clean.held_out_error.mean() < 0.03 and clean.held_out_r2.min() > 0.9
    assert 0.4 < noisy.held_out_error.mean() < 0.7 and noisy.held_out_r2.max() < 0.7
    assert (noisy.penalties > clean.penalties).all()  # cross-validation shrinks more


def test_what_cannot_be_predicted_is_hardly_moved() -> None:
    generator = np.random.default_rng(0)
    x, y = generator.random((80, 30)), generator.normal(size=(80, 2))
    found = fit(x, y, np.zeros(30), np.zeros(2), x[:0], y[:0])
    free = np.linalg.lstsq(x, y, rcond=None)[0]
    assert np.abs(found.matrix).sum() < 0.2 * np.abs(free).sum()
    assert np.isnan(found.held_out_error).all() and np.isnan(found.held_out_r2).all()


def test_an_input_that_hardly_moved_gets_no_gain() -> None:
    generator = np.random.default_rng(0)
    x = generator.random((300, 3))
    y = x[:, :1] + 0.05 * generator.normal(size=(300, 1))
    x[:, 2] *= 1e-5  # MediaPipe's cheekPuff
    found = fit(x, y, np.zeros(3), np.zeros(1), x, y)
    assert abs(found.matrix[0, 0] - 1) < 0.05 and found.matrix[0, 2] == 0.0


def test_parameters_that_do_not_move(tmp_path: Path) -> None:
    def hold(data: dict[str, Any]) -> None:
        for frame in data["frames"]:
            frame["expression"][1] = NEUTRAL[1]
            frame["other_expressions"]["arkit"][3] = 0.0

    fitted = fit_mapping(write_frames(tmp_path, change=hold), "arkit", "expression")
    assert not fitted.fit.matrix[1].any() and not fitted.fit.matrix[:, 3].any()
    assert np.isfinite(fitted.fit.matrix).all() and np.isnan(fitted.fit.r2[1])
    assert (fitted.fit.low[1], fitted.fit.high[1]) == (NEUTRAL[1], NEUTRAL[1])
    assert fitted.report()["parameters"][1] == {
        "name": "expr_001", "r2": None, "held_out_r2": None, "held_out_error": 0.0,
    }  # fmt: skip
    np.testing.assert_allclose(fitted.fit.matrix[[0, 2], :3], TRUTH[[0, 2], :3], atol=1e-4)


def test_frames_without_a_description_are_left_out(tmp_path: Path) -> None:
    def lose(data: dict[str, Any]) -> None:
        data["frames"][0].pop("other_expressions")
        data["frames"][1]["other_expressions"] = {}
        data["frames"][2]["other_expressions"]["arkit"] = None
        data["frames"][70].pop("expression")

    fitted = fit_mapping(write_frames(tmp_path, change=lose), "arkit", "expression")
    assert (fitted.train, fitted.test) == (57, 14)
    np.testing.assert_allclose(fitted.fit.matrix, TRUTH, atol=1e-4)


def _arkit(data: dict[str, Any], frame: int, value: Any) -> None:
    data["frames"][frame]["other_expressions"]["arkit"] = value


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d.update(frames=d["frames"][:9]), ["only 9 training frames of 9", "At least 10"]),
        (lambda d: d.pop("other_expressions"), ["no 'arkit'", "expression", "CSV"]),
        (lambda d: d.update(other_expressions=[]), ["other_expressions", "object"]),
        (lambda d: d["other_expressions"]["arkit"].update(names=["a", "a"]), ["arkit", "more than once"]),
        (lambda d: _arkit(d, 3, [0.0]), ["frame 3", "'arkit'", "4 finite"]),
        (lambda d: _arkit(d, 3, [0.0, 0.0, 0.0, float("nan")]), ["frame 3", "'arkit'", "4 finite"]),
        (lambda d: _arkit(d, 3, "x"), ["frame 3", "'arkit'"]),
        (lambda d: d["frames"][4].update(other_expressions=[1]), ["frame 4", "object"]),
        (lambda d: d["frames"][5].update(expression=[1.0]), ["frame 5", "'expression'", "3 finite"]),
        (lambda d: d["frames"][6].pop("name"), ["frame 6", "'name'"]),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, change: Change, words: list[str]) -> None:
    with pytest.raises(HeadGaSError) as caught:
        fit_mapping(write_frames(tmp_path, change=change), "arkit", "expression")
    for word in words:
        assert word in str(caught.value)


def write_gaussian_avatars(folder: Path, frames: int = 24) -> np.ndarray:
    """Frames of two cameras with FLAME's parameters beside, in the layout of GaussianAvatars; x [frames,4]."""
    generator = np.random.default_rng(1)
    x = generator.random((frames, 4))
    y = x @ TRUTH.T
    (folder / "flame_param").mkdir(parents=True)
    entries = []
    for i in range(frames):
        path = f"flame_param/{i:05d}.npz"
        np.savez(
            folder / path,
            expr=y[None, i, :2].astype(np.float32), jaw_pose=np.array([[y[i, 2], 0, 0]], np.float32),
            eyes_pose=np.zeros((1, 6), np.float32), rotation=np.zeros((1, 3)), shape=np.zeros(300),
        )  # fmt: skip
        entries += [{"file_path": f"images/{i:05d}_{c:02d}.png", "flame_param_path": path} for c in (0, 8)]
    for name, part in (("train", entries[:-8]), ("test", entries[-8:])):
        (folder / f"transforms_{name}.json").write_text(json.dumps({"frames": part}), encoding="utf-8")
    return x


def write_table(path: Path, x: np.ndarray, blank: bool = False) -> Path:
    lines = [",".join(["frame", "_neutral", *ARKIT])]
    for i, row in enumerate(x):
        cells = ["", *(f"{value:.6f}" for value in row)]
        if blank and i == 2:
            cells[2] = ""
        lines += [",".join([f"{i:05d}_{camera:02d}", *cells]) for camera in (0, 8)]
    path.write_text("\ufeff" + "\n".join(lines) + "\n\n", encoding="utf-8")
    return path


def test_a_table_beside_frames_of_gaussian_avatars(tmp_path: Path) -> None:
    x = write_gaussian_avatars(tmp_path / "id")
    table = write_table(tmp_path / "mediapipe.csv", x, blank=True)
    fitted = fit_mapping(tmp_path / "id", str(table), "flame")
    names = ["expr_000", "expr_001", "jaw_x", "jaw_y", "jaw_z"]
    assert list(fitted.source.space.names) == ARKIT
    assert list(fitted.target.space.names) == [*names, *(f"{s}_eye_{a}" for s in ("left", "right") for a in "xyz")]
    assert (fitted.train, fitted.test) == (38, 8)
    np.testing.assert_allclose(fitted.fit.matrix[:3], TRUTH, atol=1e-3)
    assert not fitted.fit.matrix[3:].any()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["line 1"]),
        ("name,jawOpen\n", ["line 1", "frame"]),
        ("frame,a,a\n", ["more than once"]),
        ("frame,a,b\n0,1\n", ["line 2", "2 columns"]),
        ("frame,a\n0,1\n1,x\n", ["line 3", "'a'", "'x'"]),
        ("frame,a\n0,nan\n", ["line 2", "'a'"]),
        ("frame,a\n0,1\n0,1\n", ["line 3", "'0'", "again"]),
        ("frame,a\n00000_00,1\n", ["only 1 training frames"]),
    ],
)
def test_a_wrong_table_is_named_by_line_and_column(tmp_path: Path, text: str, words: list[str]) -> None:
    write_gaussian_avatars(tmp_path / "id", frames=8)
    (tmp_path / "t.csv").write_text(text, encoding="utf-8")
    with pytest.raises(HeadGaSError) as caught:
        fit_mapping(tmp_path / "id", str(tmp_path / "t.csv"), "flame")
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("content", "word"),
    [(b"", "is damaged"), (b"PK\x03\x04broken", "is damaged"), (None, "cannot be read"),
     ({"a": 1.0}, "no 'expr'"), ({"expr": np.array([np.nan])}, "not finite"),
     ({"expr": np.zeros(2), "jaw_pose": np.zeros(2)}, "'jaw_pose' has 2"),
     ({"expr": np.zeros(9)}, "has 18 parameters")],
)  # fmt: skip
def test_wrong_flame_parameters_are_named(tmp_path: Path, content: Any, word: str) -> None:
    table = write_table(tmp_path / "t.csv", write_gaussian_avatars(tmp_path / "id", frames=12))
    path = tmp_path / "id/flame_param/00003.npz"
    path.unlink()
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        extra = {} if "a" in content or "jaw_pose" in content else {"jaw_pose": np.zeros(3), "eyes_pose": np.zeros(6)}
        np.savez(path, **content, **extra)
    with pytest.raises(HeadGaSError) as caught:
        fit_mapping(tmp_path / "id", str(table), "flame")
    assert word in str(caught.value) and "00003" in str(caught.value)


def test_the_command_writes_what_blender_loads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, out = write_frames(tmp_path / "anna", noise=0.01), tmp_path / "new" / "mapping.json"
    command = ["fit-mapping", str(folder), "--from", "arkit", "--to", "expression", "--out", str(out)]
    assert cli.main([*command, "--licence", "CC0-1.0"]) == 0
    text = capsys.readouterr().out
    assert re.search(r"expr_000\s+0\.99\d\s+0\.99\d", text) and "60 training and 15 test frames" in text
    mapping = load_mapping(out)
    assert mapping.names_in == tuple(ARKIT) and mapping.names_out == tuple(FLAME)
    np.testing.assert_allclose(mapping.matrix, TRUTH, atol=0.05)
    np.testing.assert_allclose(mapping(np.zeros(4)), NEUTRAL, atol=1e-6)
    assert mapping.licence == "CC0-1.0" and "anna" in mapping.source and "60 frames" in mapping.source
    assert np.isfinite(mapping.low).all() and (mapping.high > mapping.low).all()
    assert cli.main([*command, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["train"] == 60 and report["held_out_error"] < 0.02
    assert [row["name"] for row in report["parameters"]] == FLAME
    assert cli.main([*command[:-1], str(tmp_path / "anna" / "capture.json" / "x.json")]) == 2
    assert cli.main(["fit-mapping", str(tmp_path), *command[2:]]) == 2
    assert "is not a capture" in capsys.readouterr().err
