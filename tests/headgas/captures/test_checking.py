# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `headgas check` finds: broken frames, and what a capture does not show."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headgas import cli
from headgas.captures import check_capture
from tests.headgas.captures.layouts.datasets import write_insta
from tests.headgas.captures.layouts.head import shots
from tests.headgas.conftest import NAMES, SIZE, look_at

Edit = Callable[[Callable[[dict], None]], Path]


def test_a_good_capture_has_no_problems(capture_folder: Path) -> None:
    found = check_capture(capture_folder).to_json()
    assert found["problems"] == []
    assert found["frames"] == {"train": 24, "test": 6}
    assert found["sizes"] == [{"width": SIZE, "height": SIZE, "frames": 30}]
    assert 0.2 < found["matte"][0] <= found["matte"][1] < 0.8
    assert [parameter["name"] for parameter in found["parameters"]] == list(NAMES)
    assert not any(parameter["seldom"] for parameter in found["parameters"])
    assert [Path(picture).name for picture in found["pictures"]][0] == "0000.png" and len(found["pictures"]) == 6
    assert found["warnings"] == ["There are only 24 training frames: some thirty channels need about a hundred."]


def test_all_frames_are_looked_at_and_one_may_have_several_problems(edit_capture: Edit, capture_folder: Path) -> None:
    def change(data: dict) -> None:
        data["frames"][2]["viewmat"][0][3] = float("nan")
        data["frames"][4]["name"] = "0003"
        data["frames"][5]["depth"] = "nowhere.png"

    edit_capture(change)
    (capture_folder / "images/0005.png").unlink()
    Image.new("RGBA", (SIZE, SIZE)).save(capture_folder / "images/0006.png")
    problems = check_capture(capture_folder).problems
    assert len(problems) == 5
    expected = (("frame 2", "viewmat"), ("'0003'", "twice"), ("frame 0005", "nowhere.png"), ("frame 0005", "0005.png"))
    for words in expected:
        assert any(all(word in problem for word in words) for problem in problems), words
    assert any("matte of frame 0006 is empty" in problem for problem in problems)


def test_a_frame_with_a_wrong_field_is_looked_at_all_the_same(edit_capture: Edit, capture_folder: Path) -> None:
    def change(data: dict) -> None:
        data["frames"][2]["viewmat"][0] = [0.0] * 4
        data["frames"][3]["expression"] = [0.5]
        data["frames"][4].update(name="0003", width=2 * SIZE)
        del data["frames"][5]["width"]

    edit_capture(change)
    (capture_folder / "images/0002.png").unlink()
    Image.new("RGBA", (SIZE, SIZE)).save(capture_folder / "images/0003.png")
    Image.new("RGBA", (SIZE, SIZE)).save(capture_folder / "images/0005.png")
    problems = check_capture(capture_folder).problems
    expected = [("frame 2", "viewmat"), ("0002.png", "cannot be read"), ("frame 3", "expression")]
    expected += [("matte of frame 0003 is empty",), ("frame 5", "width"), ("matte of frame 0005 is empty",)]
    expected += [("0004.png", f"its camera says {2 * SIZE}")]
    for words in expected:
        assert sum(all(word in problem for word in words) for problem in problems) == 1, (words, problems)


def test_in_a_transforms_folder_too(tmp_path: Path) -> None:
    frames = [{"file_path": f"{number}.png", "expression": [0.1]} for number in range(3)]
    top = {"w": SIZE, "h": SIZE, "camera_angle_x": 0.5, "frames": frames}
    frames[0]["transform_matrix"] = np.full((4, 4), np.nan).tolist()
    frames[1].update(transform_matrix=np.eye(4).tolist(), w=0)
    frames[2]["transform_matrix"] = np.diag([1.0, 1.0, 0.0, 1.0]).tolist()
    (tmp_path / "transforms.json").write_text(json.dumps(top), encoding="utf-8")
    Image.new("RGB", (SIZE, SIZE)).save(tmp_path / "1.png")
    Image.new("RGBA", (9, SIZE), "white").save(tmp_path / "2.png")
    problems = " ".join(check_capture(tmp_path).problems)
    for words in ("frame 0: the field 'transform_matrix'", "0.png: the image of frame 0 cannot be read", "no alpha"):
        assert words in problems, problems
    for words in ("frame 1: the field 'w'", "frame 2: the field 'transform_matrix'", f"2 is 9×{SIZE}"):
        assert words in problems, problems


def test_a_published_layout_s_problems_are_told_once(tmp_path: Path) -> None:
    write_insta(tmp_path, shots(6))
    data = json.loads((tmp_path / "transforms_train.json").read_text("utf-8"))
    data["frames"][1]["transform_matrix"] = np.zeros((4, 4)).tolist()
    (tmp_path / "transforms_train.json").write_text(json.dumps(data), "utf-8")
    (problem,) = check_capture(tmp_path).problems
    assert "transforms_train.json, frame 1" in problem and "transform_matrix" in problem


def test_the_cameras_angles_are_the_head_s(edit_capture: Edit) -> None:
    """Yaw to the subject's left, pitch upward: cameras at known places."""

    def change(data: dict) -> None:
        for number, frame in enumerate(data["frames"]):
            frame["viewmat"] = look_at(np.radians(-15 if number % 2 else 35)).tolist()
        above = np.array([[1, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0.6], [0, 0, 0, 1.0]])
        s, c = np.sin(np.radians(20)), np.cos(np.radians(20))
        turn = np.array([[1, 0, 0, 0], [0, c, -s, 0], [0, s, c, 0], [0, 0, 0, 1]])  # the head nods: as if from above
        data["frames"][0]["viewmat"] = (above @ turn).tolist()

    views = check_capture(edit_capture(change)).views
    assert views is not None
    assert views.yaw == pytest.approx((-15, 35), abs=1e-2) and views.distance == pytest.approx((0.6, 0.6), abs=1e-3)
    assert views.pitch == pytest.approx((0, 20), abs=1e-2)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: [f["expression"].__setitem__(0, 0.0) for f in d["frames"]], "Never moves in training.*: jawOpen"),
        (
            lambda d: [f["expression"].__setitem__(2, float(n == 3)) for n, f in enumerate(d["frames"])],
            "seldom or little.*: browInnerUp",
        ),
        (lambda d: [f.update(viewmat=look_at(0.1).tolist()) for f in d["frames"]], "within 0° of yaw"),
        (lambda d: [f.update(split="train") for f in d["frames"]], "no test frames"),
        (lambda d: d["frames"][1].update(image="images/0000.png"), "the same picture: 0000.png"),
    ],
)
def test_what_is_not_shown_is_a_warning(edit_capture: Edit, change: Callable[[dict], None], words: str) -> None:
    checked = check_capture(edit_capture(change))
    assert not checked.problems
    assert any(re.search(words, warning) for warning in checked.warnings), checked.warnings


def test_arkit_s_parameters_have_a_range_to_be_held_to(edit_capture: Edit) -> None:
    def change(data: dict) -> None:
        data["expression_space"]["kind"] = "ARKit"
        for frame in data["frames"]:
            frame["expression"][1] *= 0.2

    assert [p.name for p in check_capture(edit_capture(change)).parameters if p.seldom] == ["eyeBlinkLeft"]


def test_mattes_that_fill_the_picture_are_a_warning(capture_folder: Path) -> None:
    Image.new("RGBA", (SIZE, SIZE), "white").save(capture_folder / "images/0001.png")
    assert any("fill the whole picture" in warning for warning in check_capture(capture_folder).warnings)


def test_a_folder_without_capture_is_a_problem_and_no_crash(tmp_path: Path) -> None:
    checked = check_capture(tmp_path)
    assert checked.capture is None and "neither" in checked.problems[0]
    assert json.loads(json.dumps(checked.to_json()))["frames"] == {"train": 0, "test": 0}


def test_the_command_says_all_of_it(capture_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check", str(capture_folder)]) == 0
    text = capsys.readouterr().out
    assert "24 training and 6 test frames" in text and "of yaw" in text and "- There are only 24" in text
    (capture_folder / "images/0001.png").unlink()
    assert cli.main(["check", str(capture_folder), "--json"]) == 2
    captured = capsys.readouterr()
    assert "0001.png" in json.loads(captured.out)["problems"][0] and "1 problem found" in captured.err
    assert cli.main(["check", str(capture_folder)]) == 2 and "0001.png" in capsys.readouterr().out
