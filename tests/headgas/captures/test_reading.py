# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Opening captures, and what is said about broken ones."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headgas.captures import check_capture, load_capture, load_for_training
from headgas.errors import HeadGaSError
from headgas.training.initialization import starting_points
from tests.headgas.conftest import NAMES, SIZE

SHARED = Path(__file__).resolve().parents[4] / "shared" / "captures"
Edit = Callable[[Callable[[dict], None]], Path]


def test_capture_opens_with_its_seen_range(capture_folder: Path) -> None:
    capture = load_capture(capture_folder)
    train = np.stack([frame.expression for frame in capture.split("train")])
    assert capture.expression_space.names == NAMES
    np.testing.assert_allclose(capture.expression_space.high, train.max(0))
    assert len(capture.split("train")) == 24
    assert len(capture.split("test")) == 6
    assert capture.frames[0].load_rgba().shape == (SIZE, SIZE, 4)
    assert capture.frames[0].boxes["mouth"] == (16, 24, 32, 36)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d.update(format="other"), ["capture.json", "'format'", "headgas-capture"]),
        (lambda d: d.update(version=2), ["newer", "version 2"]),
        (lambda d: d.update(version="one"), ["'version'", "number"]),
        (lambda d: d.update(frames=[]), ["'frames'", "at least one"]),
        (lambda d: d["expression_space"].update(names=["a", "a", "b"]), ["more than once", "a"]),
        (lambda d: d["expression_space"].update(kind="Klingon"), ["kind", "Klingon", "ARKit"]),
        (lambda d: d["frames"][3].update(expression=[0.0]), ["frame 3", "'0003'", "'expression'", "3 finite"]),
        (lambda d: d["frames"][3]["expression"].__setitem__(0, float("nan")), ["frame 3", "'expression'", "finite"]),
        (lambda d: d["frames"][2].pop("K"), ["frame 2", "'K'", "missing"]),
        (lambda d: d["frames"][2]["viewmat"][0].__setitem__(0, 5.0), ["frame 2", "'viewmat'", "rotation"]),
        (lambda d: d["frames"][2].update(viewmat=[[1, 0], [0, 1]]), ["frame 2", "'viewmat'", "4×4"]),
        (lambda d: d["frames"][1].update(split="both"), ["frame 1", "'split'", "train"]),
        (lambda d: d["frames"][1].update(name="0000"), ["'0000'", "twice"]),
        (lambda d: d["frames"][1].update(image="../../secret.png"), ["frame 1", "'image'", "inside"]),
        (lambda d: d["frames"][1].update(width=0), ["frame 1", "'width'", "pixels"]),
        (lambda d: d["frames"][1].update(boxes={"eyes": [5, 5, 5, 9]}), ["frame 1", "'eyes'", "x0 < x1"]),
        (lambda d: d["frames"].__setitem__(4, "x"), ["frame 4", "object"]),
        (lambda d: d["frames"][2]["K"].__setitem__(2, [0, 0, 0]), ["frame 2", "'K'", "0 0 1"]),
        (lambda d: d["frames"][2].update(viewmat=np.zeros((4, 4)).tolist()), ["frame 2", "'viewmat'", "rotation"]),
        (lambda d: d.update(poses="guessed"), ["'poses'", "'estimated'"]),
    ],
)
def test_wrong_fields_are_named(edit_capture: Edit, change: Callable[[dict], None], words: list[str]) -> None:
    folder = edit_capture(change)
    with pytest.raises(HeadGaSError) as caught:
        load_capture(folder)
    for word in words:
        assert word in str(caught.value)


def test_other_descriptions_are_checked(edit_capture: Edit) -> None:
    def describe(data: dict) -> None:
        data["other_expressions"] = {"arkit": {"names": ["jawOpen"]}}
        data["frames"][0]["other_expressions"] = {"arkit": [0.5]}

    assert check_capture(edit_capture(describe)).problems == []
    folder = edit_capture(lambda d: d["frames"][4].update(other_expressions={"arkit": [1, 2]}))
    (problem,) = check_capture(folder).problems
    assert "frame 4" in problem and "'arkit'" in problem
    load_capture(folder)  # an avatar is trained on what it is trained on


def test_all_problems_are_listed_at_once(edit_capture: Edit, capture_folder: Path) -> None:
    (capture_folder / "images/0005.png").unlink()
    Image.new("RGBA", (8, 8)).save(capture_folder / "images/0006.png")
    Image.new("RGB", (SIZE, SIZE)).save(capture_folder / "images/0007.png")
    Image.new("RGBA", (SIZE, SIZE)).save(capture_folder / "images/0008.png")
    (capture_folder / "images/0009.png").write_bytes(b"\x89PNG broken")
    edit_capture(lambda d: d["frames"][3].update(expression=[0.0]))
    problems = check_capture(capture_folder).problems
    text = "\n".join(problems)
    for word in ("frame 3", "0005.png", "8×8", "no alpha", "matte of frame 0008 is empty", "0009.png"):
        assert word in text
    assert len(problems) == 6


def test_all_wrong_fields_of_a_frame_are_listed(edit_capture: Edit) -> None:
    def change(data: dict) -> None:
        data["frames"][3].update(expression=[0.0], width=0, split="both")
        data["frames"][3]["viewmat"][1][1] = float("nan")

    problems = check_capture(edit_capture(change)).problems
    assert len(problems) == 4 and all("frame 3" in problem for problem in problems)
    for field in ("expression", "width", "split", "viewmat"):
        assert any(f"'{field}'" in problem for problem in problems)


def test_a_capture_says_whether_its_poses_are_exact(edit_capture: Edit, tmp_path: Path) -> None:
    assert not load_capture(edit_capture(lambda d: None)).poses_estimated
    assert load_capture(edit_capture(lambda d: d.update(poses="estimated"))).poses_estimated
    frame = {"file_path": "a.png", "transform_matrix": np.eye(4).tolist(), "expression": [0.0]}
    top = {"w": 8, "h": 8, "fl_x": 9, "poses": "estimated", "frames": [frame]}
    (tmp_path / "transforms_train.json").write_text(json.dumps(top))
    assert load_capture(tmp_path).poses_estimated


def test_training_refuses_damaged_frames_or_skips_them(
    edit_capture: Edit, capture_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    edit_capture(lambda d: d["frames"][2]["viewmat"][0].__setitem__(3, float("nan")))
    (capture_folder / "images/0005.png").unlink()
    Image.new("RGBA", (8, 8)).save(capture_folder / "images/0006.png")
    with pytest.raises(HeadGaSError, match="--skip-damaged") as caught:
        load_for_training(capture_folder)
    for word in ("frame 2", "'viewmat'", "0005.png", "8×8"):
        assert word in caught.value.message
    Image.new("RGBA", (SIZE, SIZE)).save(capture_folder / "images/0007.png")
    whole = (capture_folder / "images/0008.png").read_bytes()
    (capture_folder / "images/0008.png").write_bytes(whole[: len(whole) // 2])
    capture = load_for_training(capture_folder, skip_damaged=True)
    names = [frame.name for frame in capture.frames]
    assert names == [f"{n:04d}" for n in range(30) if n not in (2, 5, 6, 7, 8)]
    for word in ("'viewmat'", "0005.png", "8×8", "0007 is empty", "0008.png", "5 damaged frames are left out"):
        assert word in caplog.text
    shutil.rmtree(capture_folder / "images")
    with pytest.raises(HeadGaSError, match="no frame in the split 'train'"):
        load_for_training(capture_folder, skip_damaged=True)


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege on Windows")
def test_images_may_lie_behind_a_link(capture_folder: Path, tmp_path: Path) -> None:
    (capture_folder / "images").rename(tmp_path / "elsewhere")
    (capture_folder / "images").symlink_to(tmp_path / "elsewhere")
    problems = check_capture(capture_folder).problems
    assert not problems


def test_damaged_depth_is_reported(edit_capture: Edit, capture_folder: Path) -> None:
    def change(data: dict) -> None:
        data["points"] = "nowhere.npy"
        for number in (0, 1, 2):
            data["frames"][number]["depth"] = f"depth{number}.png"

    edit_capture(change)
    (capture_folder / "depth0.png").write_bytes(b"no picture")
    Image.new("I;16", (3, 3)).save(capture_folder / "depth1.png")
    problems = check_capture(capture_folder).problems
    for name, problem in zip(("nowhere.npy", "depth0.png", "depth1.png", "depth2.png"), problems, strict=True):
        assert name in problem
    edit_capture(lambda d: d.pop("points"))
    with pytest.raises(HeadGaSError, match=r"depth0\.png"):
        starting_points(load_capture(capture_folder), 10, np.random.default_rng(0))
    (capture_folder / "depth0.png").unlink()
    assert len(starting_points(load_capture(capture_folder), 10, np.random.default_rng(0))) == 10


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe\x00"])
def test_a_file_that_is_no_json_object_is_refused(capture_folder: Path, content: bytes) -> None:
    (capture_folder / "capture.json").write_bytes(content)
    with pytest.raises(HeadGaSError, match=r"capture\.json"):
        load_capture(capture_folder)


def test_a_folder_without_capture_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HeadGaSError, match="neither"):
        load_capture(tmp_path)
    with pytest.raises(HeadGaSError, match="not a folder"):
        load_capture(tmp_path / "nowhere")


def test_transforms_are_turned_into_head_space(tmp_path: Path) -> None:
    """A camera one metre in front of the face (OpenGL: Y up, Z out of it) sees the subject's left on its right."""
    c2w = np.eye(4)
    c2w[2, 3] = 1.0
    frame = {"file_path": "./images/a", "transform_matrix": c2w.tolist(), "expression": [0.5, 0.25]}
    data = {"w": 64, "h": 32, "fl_x": 100.0, "cx": 30.0, "cy": 17.0, "frames": [frame]}
    (tmp_path / "images").mkdir()
    Image.new("RGBA", (64, 32)).save(tmp_path / "images/a.png")
    (tmp_path / "transforms_train.json").write_text(json.dumps(data))
    capture = load_capture(tmp_path)
    loaded = capture.frames[0]
    left_ear, nose, crown = (np.array([*p, 1.0]) for p in ([0.1, 0, 0], [0, -0.1, 0], [0, 0, 0.1]))
    np.testing.assert_allclose(loaded.viewmat @ left_ear, [0.1, 0, 1, 1], atol=1e-6)
    np.testing.assert_allclose(loaded.viewmat @ nose, [0, 0, 0.9, 1], atol=1e-6)
    np.testing.assert_allclose(loaded.viewmat @ crown, [0, -0.1, 1, 1], atol=1e-6)
    np.testing.assert_allclose(loaded.K, [[100, 0, 30], [0, 100, 17], [0, 0, 1]])
    assert (loaded.width, loaded.height, loaded.split, loaded.name) == (64, 32, "train", "a")
    assert capture.expression_space.names == ("expression_00", "expression_01")


def test_the_camera_angle_is_understood(tmp_path: Path) -> None:
    frame = {"file_path": "a.png", "transform_matrix": np.eye(4).tolist(), "expression": [0.0]}
    top = {"w": 200, "h": 100, "frames": [frame], "camera_angle_x": 2 * np.arctan(0.5)}
    (tmp_path / "transforms_train.json").write_text(json.dumps(top))
    np.testing.assert_allclose(load_capture(tmp_path).frames[0].K, [[200, 0, 100], [0, 200, 50], [0, 0, 1]], rtol=1e-6)


def test_transforms_without_expressions_are_refused(tmp_path: Path) -> None:
    frame = {"file_path": "a.png", "transform_matrix": np.eye(4).tolist()}
    (tmp_path / "transforms.json").write_text(json.dumps({"w": 8, "h": 8, "fl_x": 9, "frames": [frame]}))
    with pytest.raises(HeadGaSError, match="'expression'"):
        load_capture(tmp_path)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared captures are not beside this checkout")
@pytest.mark.parametrize("name", ["ict_a_256", "ict_b_256"])
def test_depth_and_landmarks_of_a_real_capture_fit_its_cameras(name: str) -> None:
    """Unprojected depth of every view lands on one head, and the boxes hold the eyes and the mouth."""
    capture = load_capture(SHARED / name)
    assert len(capture.expression_space) == 52
    for frame in capture.frames[:: len(capture.frames) // 6]:
        depth = frame.load_depth()
        assert depth is not None
        v, u = np.nonzero(depth)
        camera_space = np.stack([u + 0.5, v + 0.5, np.ones_like(u)], -1) @ np.linalg.inv(frame.K).T * depth[v, u, None]
        points = (camera_space - frame.viewmat[:3, 3]) @ frame.viewmat[:3, :3]
        assert np.abs(points).max() < 0.2
        nose = points[points[:, 1].argmin()]
        assert abs(nose[0]) < 0.03
        eyes, mouth = frame.boxes["eyes"], frame.boxes["mouth"]
        assert eyes[3] <= mouth[3] and eyes[1] < mouth[1]
