# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every published layout around one known head: dots on their pixels, left on the left, splits and parameters."""

from pathlib import Path

import numpy as np
import pytest
import torch

from headgas.captures import Capture, load_capture
from headgas.captures.layouts import (
    LAYOUTS,
    find_layout,
    flash_avatar,
    gaussian_head,
    imavatar,
    insta,
    metrical,
    nerf_blendshape,
)
from headgas.captures.layouts.reading import tail_is_test
from headgas.errors import HeadGaSError
from tests.headgas.captures.layouts import datasets
from tests.headgas.captures.layouts.head import (
    HEIGHT,
    SQUARE_K,
    WIDTH,
    K,
    Shot,
    check_cameras,
    check_frame,
    save,
    shots,
)
from tests.headgas.captures.layouts.moving_flame import (
    COUNT,
    Moment,
    flame_file,
    moments,
    write_gaussian_avatars,
    write_imavatar,
)

JAW = np.array([0.3, -0.02, 0.05])
EYES = np.array([[0.1, -0.2, 0.0], [0.05, 0.3, 0.02]])


def turned(vector: np.ndarray) -> np.ndarray:
    """The matrix of a rotation vector, by the series of the exponential."""
    x, y, z = vector
    return torch.linalg.matrix_exp(torch.tensor([[0, -z, y], [z, 0, -x], [-y, x, 0]])).numpy()


def splits(capture: Capture) -> str:
    return "".join(frame.split[1] for frame in capture.frames)  # r: train, e: test


def check_expressions(capture: Capture, truth: list[Shot]) -> None:
    """The first parameters are the shots' own, in order."""
    for frame, shot in zip(capture.frames, truth, strict=True):
        np.testing.assert_allclose(frame.expression[: len(shot.expression)], shot.expression, atol=1e-6)


def layout_of(folder: Path) -> str:
    layout = find_layout(folder)
    assert layout is not None
    return layout.name


def test_insta(tmp_path: Path) -> None:
    truth = shots(parameters=100)
    capture = load_capture(datasets.write_insta(tmp_path, truth))
    assert layout_of(tmp_path) == "INSTA"
    check_cameras(capture, truth)
    check_expressions(capture, truth)
    assert splits(capture) == "rrrree"  # validation repeats frames of the test
    space = capture.expression_space
    assert space.kind == "FLAME" and len(space) == 100 and space.names[:2] == ("expr_000", "expr_001")


def test_insta_without_split_files_tests_on_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert insta.TEST_FRAMES == 350
    datasets.write_insta(tmp_path, shots())
    for name in ("train", "val", "test"):
        (tmp_path / f"transforms_{name}.json").unlink()
    monkeypatch.setattr(insta, "TEST_FRAMES", 3)
    assert splits(load_capture(tmp_path)) == "rrreee"


def test_nerf_blendshape(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    truth = shots(parameters=46)
    datasets.write_nerf_blendshape(tmp_path, truth)
    assert layout_of(tmp_path) == "NeRFBlendShape" and nerf_blendshape.TEST_FRAMES == 500
    monkeypatch.setattr(nerf_blendshape, "TEST_FRAMES", 2)
    capture = load_capture(tmp_path)
    check_cameras(capture, truth)  # in the order of the images' numbers
    check_expressions(capture, truth)
    assert splits(capture) == "rrrree"
    assert capture.expression_space.kind == "FaceWarehouse" and len(capture.expression_space) == 46


def test_gaussian_head(tmp_path: Path) -> None:
    truth = shots(parameters=7)
    capture = load_capture(datasets.write_gaussian_head(tmp_path, truth))
    assert layout_of(tmp_path) == "GaussianHead"
    check_cameras(capture, truth)
    check_expressions(capture, truth)
    assert capture.expression_space.kind == "custom"
    assert capture.expression_space.names[-1] == "expression_6"  # as imported avatars of that program call it


def test_gaussian_head_leaves_the_published_gap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (gaussian_head.HELD_OUT, gaussian_head.TEST_FRAMES) == (1000, 50)
    monkeypatch.setattr(gaussian_head, "HELD_OUT", 5)
    monkeypatch.setattr(gaussian_head, "TEST_FRAMES", 2)
    capture = load_capture(datasets.write_gaussian_head(tmp_path, shots(12)))
    assert splits(capture) == "rrrrrrree"
    assert [frame.name for frame in capture.frames] == [*(str(number) for number in range(7)), "10", "11"]


def test_ad_nerf(tmp_path: Path) -> None:
    truth = shots(parameters=79)
    capture = load_capture(datasets.write_ad_nerf(tmp_path, truth))
    assert layout_of(tmp_path) == "AD-NeRF"
    assert [frame.name for frame in capture.frames] == ["1", "4", "7", "10", "13", "16"]
    check_cameras(capture, truth, SQUARE_K)
    check_expressions(capture, truth)
    assert splits(capture) == "rrrree"
    assert capture.expression_space.names[78] == "bfm_78"


@pytest.mark.parametrize("mirrored", [False, True])
def test_nerface(tmp_path: Path, mirrored: bool) -> None:
    truth = shots(parameters=76)
    capture = load_capture(datasets.write_nerface(tmp_path, truth, units=0.31, mirrored=mirrored))
    assert layout_of(tmp_path) == "NeRFace"
    check_cameras(capture, truth)
    check_expressions(capture, truth)
    assert splits(capture) == "rrrree"
    assert [frame.name for frame in capture.frames][-3:] == ["train_f_0003", "test_f_0000", "test_f_0001"]
    assert capture.expression_space.names[75] == "expression_75"


def test_nerface_without_intrinsics_takes_the_angle(tmp_path: Path) -> None:
    save(tmp_path / "train/f_0000.png", np.zeros((HEIGHT, WIDTH, 4), np.uint8))
    frame = {"file_path": "./train/f_0000", "transform_matrix": np.eye(4).tolist(), "expression": [0.0]}
    data = {"camera_angle_x": 2 * np.arctan(0.5), "intrinsics": [], "frames": [frame]}
    datasets.write_json(tmp_path / "transforms_train.json", data)
    K = load_capture(tmp_path).frames[0].K
    np.testing.assert_allclose(K, [[WIDTH, 0, WIDTH / 2 + 0.5], [0, WIDTH, HEIGHT / 2 + 0.5], [0, 0, 1]])


def check_tracked(capture: Capture, truth: list[Shot]) -> None:
    """100 expressions, both eyelids, and the turns of jaw and eyes as vectors."""
    names = capture.expression_space.names
    assert len(names) == 111 and capture.expression_space.kind == "FLAME"
    assert names[100:104] == ("eyelid_left", "eyelid_right", "jaw_x", "jaw_y")
    for frame, shot in zip(capture.frames, truth, strict=True):
        lids = np.array([0.25, 0.5]) * (shot.number + 1) / 10
        np.testing.assert_allclose(frame.expression[100:102], lids, atol=1e-6)
        np.testing.assert_allclose(frame.expression[102:], [*JAW, *EYES.ravel()], atol=1e-6)
    check_expressions(capture, truth)


def test_metrical_tracker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    truth = shots()
    datasets.write_metrical(tmp_path, truth, turned(JAW), [turned(eye) for eye in EYES])
    assert layout_of(tmp_path).startswith("metrical-tracker") and metrical.TEST_FRAMES == 350
    monkeypatch.setattr(metrical, "TEST_FRAMES", 2)
    capture = load_capture(tmp_path)
    check_cameras(capture, truth)
    check_tracked(capture, truth)
    assert splits(capture) == "rrrree"


def test_insta_with_tracked_frames_has_the_jaw_too(tmp_path: Path) -> None:
    truth = shots()
    datasets.write_insta(tmp_path, truth)
    datasets.write_metrical(tmp_path, truth, turned(JAW), [turned(eye) for eye in EYES])
    check_tracked(load_capture(tmp_path), truth)


def test_flash_avatar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    truth = shots()
    folder = datasets.write_flash_avatar(tmp_path, truth, turned(JAW), [turned(eye) for eye in EYES])
    assert layout_of(folder) == "FlashAvatar" and flash_avatar.TEST_FRAMES == 500
    monkeypatch.setattr(flash_avatar, "TEST_FRAMES", 2)
    capture = load_capture(folder)
    check_cameras(capture, truth)
    check_tracked(capture, truth)
    assert splits(capture) == "rrrree" and capture.frames[0].name == "00001"
    (tmp_path / "metrical-tracker/output/id/checkpoint").rename(folder / "checkpoint")
    check_cameras(load_capture(folder), truth)


def test_half_a_turn_is_a_vector_too() -> None:
    vectors = np.array([[0.0, 0, 0], [np.pi, 0, 0], [0, 3.0, 0], [1e-10, 0, 0], [-2.0, 1.0, 0.5]])
    rows = np.concatenate([turned(vector)[:2].reshape(1, 6) for vector in vectors])
    found = metrical.rotation_vectors(rows)
    for vector, back in zip(vectors, found, strict=True):
        np.testing.assert_allclose(turned(back), turned(vector), atol=1e-9)


@pytest.fixture
def flame(tmp_path: Path) -> Path:
    return flame_file(tmp_path / "flame")


def check_moments(capture: Capture, truth: list[Moment], per_moment: int = 1) -> None:
    assert capture.expression_space.kind == "FLAME"
    assert capture.expression_space.names[2:8] == ("expr_002", "neck_x", "neck_y", "neck_z", "jaw_x", "jaw_y")
    for number, moment in enumerate(truth):
        for frame in capture.frames[number * per_moment : (number + 1) * per_moment]:
            check_frame(frame, moment.rest)
            np.testing.assert_allclose(frame.K, K, rtol=1e-5)
            np.testing.assert_allclose(
                frame.expression, [*moment.expression, *moment.turns[1:].ravel()], rtol=1e-5, atol=1e-6
            )


@pytest.mark.parametrize(("images", "old"), [("image", False), ("images", False), ("image", True)])
def test_imavatar_and_splatting_avatar(
    tmp_path: Path, flame: Path, images: str, old: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    shape, truth = moments(6)
    folder = write_imavatar(tmp_path / "id", shape, truth, images, old)
    assert layout_of(folder).startswith("IMAvatar") and imavatar.TEST_FRAMES == 350
    monkeypatch.setattr(imavatar, "TEST_FRAMES", 2)
    capture = load_capture(folder, flame)
    check_moments(capture, truth)
    assert splits(capture) == "rrrree"
    x0, y0, x1, y1 = capture.frames[0].boxes["mouth"]
    assert 0 <= x0 < x1 <= WIDTH and 0 <= y0 < y1 <= HEIGHT


def test_imavatar_of_several_recordings(tmp_path: Path, flame: Path) -> None:
    shape, truth = moments(4)
    write_imavatar(tmp_path / "id/id/MVI_1810", shape, truth[:3])
    write_imavatar(tmp_path / "id/id/test", shape, truth[3:])
    capture = load_capture(tmp_path / "id", flame)
    check_moments(capture, truth)
    assert splits(capture) == "rrre"
    assert [frame.name for frame in capture.frames][2:] == ["MVI_1810_3", "test_4"]


def test_gaussian_avatars(tmp_path: Path, flame: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shape, truth = moments(4)
    folder = write_gaussian_avatars(tmp_path / "id", shape, truth)
    assert layout_of(folder).startswith("GaussianAvatars")
    monkeypatch.setenv("HEADGAS_FLAME", str(flame))
    capture = load_capture(folder)
    assert [frame.name for frame in capture.frames][:5] == ["00000_00", "00001_00", "00000_01", "00001_01", "00002_00"]
    assert splits(capture) == "rreeeeee"
    check_moments(capture, [truth[0], truth[1], truth[0], truth[1], truth[2], truth[2], truth[3], truth[3]])
    rgba = capture.frames[0].load_rgba()
    assert np.abs(rgba[10, 11] - [200 / 255, 200 / 255, 200 / 255, 128 / 255]).max() < 0.02  # without the white


def test_gaussian_avatars_moves_the_joints_with_the_points(
    tmp_path: Path, flame: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offset = 0.05 * np.random.default_rng(7).normal(size=(9, 3))
    offset[:COUNT] /= 10  # the dots themselves stay in the picture
    shape, truth = moments(4, offset)
    folder = write_gaussian_avatars(tmp_path / "UNION_id", shape, truth, offset, home="id_EMO-1")
    capture = load_capture(folder, flame)
    assert capture.frames[0].name == "id_EMO-1_00000_00"
    check_moments(capture, [truth[0], truth[1], truth[0], truth[1], truth[2], truth[2], truth[3], truth[3]])
    monkeypatch.chdir(folder)
    assert len(load_capture(".", flame).frames) == 8


def test_layouts_that_move_flame_ask_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HEADGAS_FLAME", raising=False)
    shape, truth = moments(3)
    for folder in (
        write_imavatar(tmp_path / "a", shape, truth),
        write_gaussian_avatars(tmp_path / "b", shape, truth),
    ):
        with pytest.raises(HeadGaSError, match=r"FLAME[\s\S]*flame\.is\.tue\.mpg\.de"):
            load_capture(folder)


def test_our_own_captures_are_none_of_these(tmp_path: Path) -> None:
    datasets.write_json(tmp_path / "images/../capture.json", {})
    assert find_layout(tmp_path) is None
    frame = {"file_path": "a.png", "transform_matrix": np.eye(4).tolist(), "expression": [0.0]}
    datasets.write_json(tmp_path / "own/transforms.json", {"w": 8, "h": 8, "fl_x": 9, "frames": [frame]})
    assert find_layout(tmp_path / "own") is None
    assert len({layout.name for layout in LAYOUTS}) == len(LAYOUTS) == 9


@pytest.mark.parametrize(("count", "held_out"), [(2000, 350), (700, 350), (699, 70), (3, 1)])
def test_short_recordings_hold_out_a_tenth(count: int, held_out: int) -> None:
    assert tail_is_test(count, 350) == ["train"] * (count - held_out) + ["test"] * held_out
