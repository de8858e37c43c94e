# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line: exit codes, what goes to which stream, and what it writes."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import headgas
from headgas import cli, doctor
from headgas.avatars import HeadGaSConfig, load_avatar, save_avatar
from headgas.avatars.framing import parallel, visible_bounds
from headgas.avatars.rendering import PlacedAvatar, Stage, linear_to_srgb, render_frame
from headgas.captures import load_capture
from headgas.errors import HeadGaSError
from headgas.evaluation.inspection import Inspection, Inspector
from headgas.training.config import PRESETS, TrainingConfig
from tests.headgas.conftest import NAMES, SIZE, small_avatar, write_capture

Edit = Callable[[Callable[[dict], None]], Path]
Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`capture`, a folder, and `avatar.safetensors`, which fits it; no test changes them."""
    folder = tmp_path_factory.mktemp("cli")
    write_capture(folder / "capture", frames=4, test=2)
    save_avatar(folder / "avatar.safetensors", small_avatar(), "headgas", {"iterations": 1})
    return folder


def _fails(capsys: Capture, arguments: list[object], message: str) -> None:
    """The command ends with 2 and says `message` on standard error, without a traceback."""
    try:
        code = cli.main([str(argument) for argument in arguments])
    except SystemExit as end:  # argparse
        code = end.code
    captured = capsys.readouterr()
    assert code == 2
    assert message in captured.err and "headgas" in captured.err and "Traceback" not in captured.err


def test_a_bug_ends_with_1_and_its_traceback() -> None:
    code = (
        "import sys; from headgas import cli, commands; commands.info = lambda options: 1 / 0; "
        "sys.exit(cli.main(['info', 'x']))"
    )
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert finished.returncode == 1
    assert "Traceback" in finished.stderr and "ZeroDivisionError" in finished.stderr and not finished.stdout


def test_the_program_ends_with_its_exit_code(folder: Path) -> None:
    command = [sys.executable, "-m", "headgas", "info", str(folder / "none.safetensors")]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert finished.returncode == 2 and "there is no such file" in finished.stderr
    assert not finished.stdout and "Traceback" not in finished.stderr


def test_version(capsys: Capture) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main(["--version"])
    assert end.value.code == 0 and capsys.readouterr().out == f"headgas {headgas.__version__}\n"


def test_evaluate(folder: Path, capsys: Capture, tmp_path: Path) -> None:
    sheet = tmp_path / "new" / "sheet.png"
    arguments = ["evaluate", str(folder / "avatar.safetensors"), str(folder / "capture")]
    assert cli.main([*arguments, "--json", "--sheet", str(sheet)]) == 0
    result = json.loads(capsys.readouterr().out)
    assert set(result) == {
        "psnr", "ssim", "lpips", "regions", "frames", "frames_per_second", "bytes", "gaussians", "preset",
        "refined",
    }  # fmt: skip
    assert result["refined"] is None
    assert result["frames"] == 2 and result["gaussians"] == 60 and result["preset"] == "headgas"
    assert result["bytes"] == (folder / "avatar.safetensors").stat().st_size
    assert 0 < result["psnr"] < 60 and 0 < result["ssim"] < 1 and result["frames_per_second"] > 0
    assert result["regions"]["mouth"] > 0
    assert Image.open(sheet).width >= 3 * SIZE
    assert cli.main([*arguments, "--split", "all"]) == 0
    text = capsys.readouterr().out
    assert "mean of 6 frames (all)" in text and text.count("\n") >= 6
    assert "times as fast" not in text


def test_evaluate_tells_the_speed_beside_the_renderer_s(folder: Path, capsys: Capture, tmp_path: Path) -> None:
    capture = shutil.copytree(folder / "capture", tmp_path / "capture")
    data = json.loads((capture / "capture.json").read_text("utf-8"))
    data["rendered"] = {"engine": "CYCLES", "samples": 12, "seconds_per_frame": 2.5}
    (capture / "capture.json").write_text(json.dumps(data), "utf-8")
    assert cli.main(["evaluate", str(folder / "avatar.safetensors"), str(capture)]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("a frame takes CYCLES 2.50 s and the avatar 0.") and last.endswith(" dB")
    data["rendered"]["seconds_per_frame"] = "long"
    (capture / "capture.json").write_text(json.dumps(data), "utf-8")
    with pytest.raises(HeadGaSError, match="rendered: the field 'seconds_per_frame'"):
        load_capture(capture)


def test_render_writes_straight_alpha(folder: Path, capsys: Capture, tmp_path: Path) -> None:
    out = tmp_path / "still.png"
    avatar, capture = folder / "avatar.safetensors", folder / "capture"
    assert cli.main(["render", str(avatar), "--capture", str(capture), "--frame", "4", "--out", str(out)]) == 0
    assert capsys.readouterr().out.strip() == str(out)
    assert [path.name for path in tmp_path.iterdir()] == ["still.png"]
    image = Image.open(out)
    assert image.mode == "RGBA" and image.size == (SIZE, SIZE)
    frame = load_capture(capture).frames[4]
    placed = PlacedAvatar(load_avatar(avatar).avatar, torch.from_numpy(frame.expression), torch.eye(4))
    rgba = render_frame([placed], frame.camera)[0]
    alpha = rgba[..., 3].numpy()
    half = (alpha > 0.2) & (alpha < 0.8)
    assert half.any()
    straight = linear_to_srgb(rgba[..., :3] / rgba[..., 3:]).clamp(0, 1).numpy()
    pixels = np.asarray(image, np.float32) / 255
    assert np.abs(pixels[..., :3] - straight)[half].max() <= 0.51 / 255
    assert np.abs(pixels[..., 3] - alpha).max() <= 0.51 / 255


def test_render_looks_inside(folder: Path, capsys: Capture, tmp_path: Path) -> None:
    out = tmp_path / "inside.png"
    avatar, capture = folder / "avatar.safetensors", folder / "capture"
    command = ["render", str(avatar), "--capture", str(capture), "--frame", "4", "--out", str(out)]
    options = ["--inspect", "influence", "--parameter", "jawOpen", "--fraction", "0.5", "--scale", "0.6"]
    assert cli.main([*command, *options, "--orthographic"]) == 0
    said = capsys.readouterr()
    assert said.out.strip() == str(out) and "jawOpen at" in said.err
    checkpoint, frame = load_avatar(avatar), load_capture(capture).frames[4]
    camera = parallel(frame.camera, visible_bounds(checkpoint.avatar))
    placed = PlacedAvatar(checkpoint.avatar, torch.from_numpy(frame.expression), torch.eye(4))
    wanted = Inspection("influence", "jawOpen", 0.5, 0.6)
    view = Inspector().view(Stage.of([placed], camera), [checkpoint.avatar], wanted)
    pixels = np.asarray(Image.open(out), np.float32) / 255
    assert view.image[..., 3].max() > 0.5
    assert np.abs(pixels[..., 3] - view.image[..., 3].numpy()).max() <= 0.51 / 255
    assert cli.main([*command, "--inspect", "xray"]) == 2
    assert "depth, normal" in capsys.readouterr().err


@pytest.mark.parametrize(("name", "word"), [("run", "is a folder"), ("scan.ply", "is not an avatar")])
def test_info_of_other_programs_avatars_says_how_to_open_them(
    tmp_path: Path, name: str, word: str, capsys: Capture
) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "scan.ply").write_text("ply")
    assert cli.main(["info", str(tmp_path / name)]) == 2
    said = capsys.readouterr().err
    assert word in said and "headgas convert IN OUT.safetensors" in said


def test_info(folder: Path, capsys: Capture) -> None:
    avatar = str(folder / "avatar.safetensors")
    assert cli.main(["info", avatar, "--json"]) == 0
    header = json.loads(capsys.readouterr().out)
    assert {"format", "version", "model", "preset", "config", "expression_space", "training", "bytes"} <= set(header)
    assert header["expression_space"]["names"] == list(NAMES)
    assert cli.main(["info", avatar]) == 0
    text = capsys.readouterr().out
    assert all(name in text for name in NAMES) and "preset headgas" in text


def test_check(folder: Path, capsys: Capture) -> None:
    assert cli.main(["check", str(folder / "capture")]) == 0
    captured = capsys.readouterr()
    assert "4 training and 2 test frames" in captured.out and not captured.err


def test_check_lists_every_problem(edit_capture: Edit, capsys: Capture) -> None:
    def damage(data: dict) -> None:
        data["frames"][1]["expression"] = [0.5]
        data["frames"][2]["image"] = "images/none.png"
        data["frames"][3]["viewmat"][0][0] = 7.0

    capture = edit_capture(damage)
    assert cli.main(["check", str(capture)]) == 2
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert len(lines) == 3 and "3 problems found" in captured.err and "Traceback" not in captured.err
    for field in ("'0001'", "'0003'", "none.png"):
        assert sum(field in line for line in lines) == 1


def test_doctor(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_TEST_SECONDS", 0.05)
    assert cli.main(["doctor", "--json"]) == 0
    findings = json.loads(capsys.readouterr().out)
    assert set(findings) == {
        "headgas", "python", "platform", "executable", "packages", "device", "rasterizer", "threads", "self_test",
        "missing",
    }  # fmt: skip
    assert findings["self_test"]["result"] == "passed" and findings["self_test"]["frames_per_second"] > 0
    assert findings["packages"]["torch"] and all({"what", "fix"} == set(entry) for entry in findings["missing"])
    assert cli.main(["doctor"]) == 0
    assert "Self-test: passed" in capsys.readouterr().out


def test_train(folder: Path, capsys: Capture, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert cli.main(["train", str(folder / "capture"), "--out", str(out), "--budget", "2s", "--gaussians", "300"]) == 0
    captured = capsys.readouterr()
    assert captured.out.strip() == str(out / "avatar.safetensors") and "PSNR" in captured.err
    assert {"avatar.safetensors", "metrics.jsonl", "preview.png"} <= {path.name for path in out.iterdir()}
    assert not list(out.glob("*.part"))
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text("utf-8").splitlines()]
    assert lines[-1]["progress"] == pytest.approx(1.0, abs=0.01) and lines[-1]["gaussians"] <= 300
    assert Image.open(out / "preview.png").width >= 3 * SIZE
    assert cli.main(["evaluate", str(out / "avatar.safetensors"), str(folder / "capture"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["gaussians"] == lines[-1]["gaussians"]


def test_compare(folder: Path, capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = HeadGaSConfig(features=4, hidden=16, frequencies=2, sh_degree=1)
    monkeypatch.setitem(PRESETS, "tiny", TrainingConfig(model=model, initial_gaussians=200, max_gaussians=200))
    out = tmp_path / "out"
    arguments = ["compare", str(folder / "capture"), "--presets", "tiny", "--iterations", "5", "--out", str(out)]
    assert cli.main(arguments) == 0
    captured = capsys.readouterr()
    titles, row = captured.out.splitlines()
    assert titles.split()[:3] == ["preset", "PSNR", "dB"] and row.split()[0] == "tiny"
    assert "tiny  100%  step 5" in captured.err
    assert {"comparison.json", "comparison.html", "comparison.png", "tiny"} == {path.name for path in out.iterdir()}
    assert cli.main([*arguments, "--json"]) == 0
    captured = capsys.readouterr()
    rows = json.loads(captured.out)
    assert rows[0]["preset"] == "tiny" and rows[0]["iterations"] == 5 and "step" not in captured.err


@pytest.mark.parametrize(
    ("presets", "message"),
    [("", "no preset to compare"), ("headgas,none", "no preset 'none'"), ("headgas,headgas", "more than once")],
)
def test_presets_that_cannot_be_compared(
    folder: Path, capsys: Capture, tmp_path: Path, presets: str, message: str
) -> None:
    _fails(capsys, ["compare", folder / "capture", "--presets", presets, "--out", tmp_path / "out"], message)
    assert not (tmp_path / "out").exists()


def test_explain(folder: Path, capsys: Capture, tmp_path: Path) -> None:
    out = tmp_path / "new" / "out"
    arguments = ["explain", str(folder / "avatar.safetensors"), "--out", str(out)]
    assert cli.main([*arguments, "--capture", str(folder / "capture"), "--json"]) == 0
    numbers = json.loads(capsys.readouterr().out)
    assert numbers["removal"]["importance_views"] == 4 and numbers["removal"]["views"] == 2
    assert numbers["removal"]["series"][0]["psnr"] > 0 and {row["name"] for row in numbers["parameters"]} == set(NAMES)
    assert cli.main(arguments) == 0
    assert capsys.readouterr().out.strip() == str(out / "explain.html")
    avatar = shutil.copy(folder / "avatar.safetensors", tmp_path)
    assert cli.main(["explain", str(avatar)]) == 0
    assert (tmp_path / "explain" / "explain.html").is_file()


@pytest.mark.parametrize("budget", ["soon", "0", "-5s", "5 m", "1d", ""])
def test_a_budget_that_is_no_time(folder: Path, capsys: Capture, tmp_path: Path, budget: str) -> None:
    arguments = ["train", folder / "capture", "--out", tmp_path / "run", f"--budget={budget}"]
    _fails(capsys, arguments, "is no time: expected for example 90s, 5m or 1h")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("option", ["--iterations=0", "--iterations=x", "--gaussians=-3", "--threads=1.5"])
def test_numbers_that_are_none(folder: Path, capsys: Capture, tmp_path: Path, option: str) -> None:
    _fails(capsys, ["train", folder / "capture", "--out", tmp_path / "run", option], "whole number of at least 1")


@pytest.mark.parametrize("command", ["check", "train", "compare", "evaluate", "explain", "render"])
def test_a_missing_capture(folder: Path, capsys: Capture, tmp_path: Path, command: str) -> None:
    missing, avatar, out = tmp_path / "none", folder / "avatar.safetensors", tmp_path / "out"
    arguments: dict[str, list[object]] = {
        "check": [missing],
        "train": [missing, "--out", out],
        "compare": [missing, "--presets", "headgas", "--out", out],
        "evaluate": [avatar, missing],
        "explain": [avatar, "--capture", missing, "--out", out],
        "render": [avatar, "--capture", missing, "--frame", 0, "--out", out],
    }
    _fails(capsys, [command, *arguments[command]], str(missing))
    assert not out.exists()


@pytest.mark.parametrize("frame", [-1, 6, 1000])
def test_a_frame_out_of_range(folder: Path, capsys: Capture, tmp_path: Path, frame: int) -> None:
    arguments = ["render", folder / "avatar.safetensors", "--capture", folder / "capture", "--frame", frame]
    _fails(capsys, [*arguments, "--out", tmp_path / "x.png"], f"--frame {frame}: the capture has the frames 0 to 5")
    assert not (tmp_path / "x.png").exists()


@pytest.mark.parametrize("command", ["info", "evaluate", "render"])
def test_an_avatar_that_is_a_folder(folder: Path, capsys: Capture, tmp_path: Path, command: str) -> None:
    rest: dict[str, list[object]] = {
        "info": [],
        "evaluate": [folder / "capture"],
        "render": ["--capture", folder / "capture", "--frame", 0, "--out", tmp_path / "x.png"],
    }
    _fails(capsys, [command, tmp_path, *rest[command]], str(tmp_path))


def test_an_avatar_of_other_parameters(folder: Path, capsys: Capture, tmp_path: Path) -> None:
    other = tmp_path / "other.safetensors"
    save_avatar(other, small_avatar(names=("jawOpen", "tongueOut")), "headgas", {})
    _fails(capsys, ["evaluate", other, folder / "capture"], "headgas: ")


def test_an_unwritable_out(folder: Path, capsys: Capture, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("in the way")
    avatar, capture = folder / "avatar.safetensors", folder / "capture"
    render = ["render", avatar, "--capture", capture, "--frame", 0, "--out"]
    _fails(capsys, [*render, file / "x.png"], "x.png: cannot be written")
    _fails(capsys, ["evaluate", avatar, capture, "--sheet", file / "x.png"], "x.png: cannot be written")
    for run in (file, file / "run"):
        _fails(capsys, ["train", capture, "--out", run, "--iterations", 1], str(run))
        _fails(capsys, ["compare", capture, "--presets", "headgas", "--out", run, "--iterations", 1], str(run))
        _fails(capsys, ["explain", avatar, "--out", run], str(run))
    assert file.read_text() == "in the way"


def test_unknown_presets_and_commands(folder: Path, capsys: Capture, tmp_path: Path) -> None:
    _fails(capsys, ["train", folder / "capture", "--out", tmp_path / "x", "--preset", "none"], "no preset 'none'")
    _fails(capsys, ["improve"], "invalid choice: 'improve'")
    _fails(capsys, [], "COMMAND")
