# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes in JSON: MediaPipe, Audio2Face, LAM and a capture's own frames; and everything that can be wrong with them."""

import json
from pathlib import Path

import numpy as np
import pytest

from blender_headgas.core.errors import HeadGaSError
from blender_headgas.core.rotations import to_matrices
from blender_headgas.core.takes import read_take

SAMPLES = Path(__file__).parents[2].parent / "shared" / "samples"


def _file(tmp_path, data, name="take.json"):
    path = tmp_path / name
    path.write_text(data if isinstance(data, str) else json.dumps(data), encoding="utf-8")
    return path


def _turn(degrees, move):
    """MediaPipe's matrix of a head that turns to its left and moves, centimetres, before a camera 40 cm away."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    x, y, z = move
    return [[c, 0, s, x], [0, 1, 0, y], [-s, 0, c, z - 40], [0, 0, 0, 1]]


def _audio2face(**changes):
    data = {"exportFps": 50, "numPoses": 2, "numFrames": 3, "facsNames": ["jawOpen", "eyeBlinkLeft"]}
    return data | {"weightMat": [[0, 1], [0.5, 0.5], [1, 0]], "joints": ["jaw"]} | changes


def test_audio2face(tmp_path):
    take = read_take(_file(tmp_path, _audio2face()))
    assert take.names == ("jawOpen", "eyeBlinkLeft") and take.times == pytest.approx([0, 0.02, 0.04])
    assert np.allclose(take.values, [[0, 1], [0.5, 0.5], [1, 0]]) and take.rotations is None
    bare = {key: value for key, value in _audio2face().items() if key in ("facsNames", "weightMat")}
    assert read_take(_file(tmp_path, bare), frame_rate=10).duration == pytest.approx(0.2)


def _lam(**changes):
    frames = [{"weights": [0.1, 0.2], "time": 0.0, "rotation": []}, {"weights": [0.3, 0.4], "time": 0.04}]
    return {"names": ["browDownLeft", "jawOpen"], "frames": frames, "head_pose": [[0, 0, 0], [0, 0.5, 0]]} | changes


def test_lam(tmp_path):
    take = read_take(_file(tmp_path, _lam()))
    assert take.names == ("browDownLeft", "jawOpen") and take.times == pytest.approx([0, 0.04])
    assert np.allclose(take.values, [[0.1, 0.2], [0.3, 0.4]])
    assert np.allclose(to_matrices(take.rotations)[1] @ [0, -1, 0], [np.sin(0.5), -np.cos(0.5), 0], atol=1e-6)
    plain = _lam(frames=[{"weights": [0.1, 0.2]}, {"weights": [0.3, 0.4]}], head_pose=[])
    take = read_take(_file(tmp_path, plain), frame_rate=20)
    assert take.times == pytest.approx([0, 0.05]) and take.rotations is None


@pytest.mark.parametrize(
    "shapes",
    [
        {"_neutral": 0.5, "jawOpen": 0.25, "eyeBlinkLeft": 0.75},
        [{"categoryName": "jawOpen", "score": 0.25}, {"displayName": "eyeBlinkLeft", "score": 0.75}],
        [[{"category_name": "jawOpen", "score": 0.25}, {"category_name": "eyeBlinkLeft", "score": 0.75}], []],
        [{"categories": [{"categoryName": "jawOpen", "score": 0.25}, {"categoryName": "eyeBlinkLeft", "score": 0.75}]}],
    ],
)
@pytest.mark.parametrize("field", ["blendshapes", "face_blendshapes", "faceBlendshapes"])
def test_blend_shapes_of_mediapipe(tmp_path, field, shapes):
    take = read_take(_file(tmp_path, [{field: shapes, "timestamp_ms": 100}, {field: shapes, "timestamp_ms": 133}]))
    assert take.names == ("jawOpen", "eyeBlinkLeft") and take.values.tolist() == [[0.25, 0.75]] * 2
    assert take.times == pytest.approx([0, 0.033])


@pytest.mark.parametrize(
    ("field", "times", "seconds"),
    [
        ("timestampMs", [0, 40, 80], 0.08),
        ("timestamp", [1000, 1040, 1080], 0.08),
        ("timestamp", [10.0, 10.04, 10.08], 0.08),
        ("time", [0, 1 / 30, 2 / 30], 2 / 30),
        ("frame", [7, 8, 9], 2 / 25),
    ],
)
def test_times_of_mediapipe(tmp_path, field, times, seconds):
    frames = [{field: time, "blendshapes": {"jawOpen": 0.5}} for time in times]
    assert read_take(_file(tmp_path, {"fps": 25, "frames": frames})).duration == pytest.approx(seconds)


@pytest.mark.parametrize("layout", ["rows", "flat", "columns", "data", "list"])
def test_matrices_of_mediapipe(tmp_path, layout):
    frames = []
    for degrees, move in ((0, (0, 0, 0)), (20, (1, 2, 3))):
        rows = _turn(degrees, move)
        by_columns = np.transpose(rows).ravel().tolist()
        shaped = {
            "rows": rows,
            "flat": np.ravel(rows).tolist(),
            "columns": by_columns,
            "data": [{"rows": 4, "columns": 4, "data": by_columns}],
            "list": [rows],
        }[layout]
        frames.append({"blendshapes": {"jawOpen": 0.1}, "facial_transformation_matrixes": shaped})
    take = read_take(_file(tmp_path, frames), frame_rate=30)
    angle = np.radians(20)
    assert np.allclose(
        to_matrices(take.rotations) @ [0, -1, 0], [[0, -1, 0], [np.sin(angle), -np.cos(angle), 0]], atol=1e-6
    )
    assert np.allclose(take.positions, [[0, 0, 0], [0.01, -0.03, 0.02]], atol=1e-6)  # metres, from the first place


def test_moments_without_a_face_are_left_out(tmp_path):
    frames = [{"time": i / 30, "face_blendshapes": [] if i == 1 else {"jawOpen": i / 10}} for i in range(4)]
    take = read_take(_file(tmp_path, frames))
    assert take.times == pytest.approx([0, 2 / 30, 3 / 30]) and take.values[:, 0] == pytest.approx([0, 0.2, 0.3])


def test_a_capture_s_own_frames(tmp_path):
    capture = {
        "format": "headgas-capture",
        "expression_space": {"kind": "ARKit", "names": ["jawOpen", "mine"], "neutral": [0, 0]},
        "frames": [{"name": f"{i}", "split": "train", "expression": [i / 10, -i / 10]} for i in range(4)],
    }
    take = read_take(_file(tmp_path, capture, "capture.json"), frame_rate=24)
    assert take.names == ("jawOpen", "mine") and take.times == pytest.approx(np.arange(4) / 24)
    assert np.allclose(take.values[:, 1], -np.arange(4) / 10) and take.rotations is None
    transforms = {"frames": [{"file_path": "a", "transform_matrix": [], "expression": [0.5] * 3}]}
    take = read_take(_file(tmp_path, transforms, "transforms_train.json"))
    assert take.names == ("expression_00", "expression_01", "expression_02") and take.duration == 0
    transforms |= {"expression_names": ["a", "b", "c"], "fps": 50, "frames": transforms["frames"] * 2}
    take = read_take(_file(tmp_path, transforms, "transforms.json"))
    assert take.names == ("a", "b", "c") and take.duration == pytest.approx(0.02)


ONE = {"time": 0, "blendshapes": {"jawOpen": 0.5}}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ('{"frames": [\n{"time": 0,}]}', "line 2, column 1[12]"),
        ("[" * 100_000, "no JSON that can be read"),
        ("[]", "no take of a known format"),
        ('{"frames": 3}', "no take of a known format"),
        ('{"frames": [{"blendshapes": {}}]}', "no take of a known format"),
        (_audio2face(facsNames=["jawOpen", "JawOpen"]), r"facsNames\[1\]: 'JawOpen' is there twice"),
        (_audio2face(facsNames=["jawOpen", 3]), r"facsNames\[1\] is no name"),
        (_audio2face(facsNames="jaw"), "list of names in 'facsNames'"),
        (_audio2face(weightMat=[[0, 1], [0.5], [1, 0]]), "frame 1, 'weightMat': expected 2 numbers, found 1"),
        (_audio2face(weightMat=[[0, 1], [0.5, None], [1, 0]]), r"frame 1, 'weightMat\[1\]': None is no finite number"),
        (_audio2face(weightMat=[[0, 1], [0.5, float("nan")], [1, 0]]), r"frame 1, 'weightMat\[1\]': nan"),
        (_audio2face(weightMat=[[0, 1], "ab", [1, 0]]), "frame 1, 'weightMat': expected 2 numbers, found 'ab'"),
        (_audio2face(weightMat=[]), "at least one frame in 'weightMat'"),
        (_audio2face(weightMat=[[0, 1], [10**400, 0], [1, 0]]), r"frame 1, 'weightMat\[0\]': 1000.* is no finite"),
        (_lam(frames=[{"weights": [0, 0], "time": 10**400}]), "frame 0, 'time': 1000.* is no finite number"),
        (_audio2face(weightMat={"0": [0, 1]}), "at least one frame in 'weightMat'"),
        (_audio2face(numFrames=4), "'numFrames' is 4; there are 3"),
        (_audio2face(exportFps=0), "'exportFps' is 0; expected frames per second"),
        (_lam(names=["a"]), "frame 0, 'weights': expected 1 numbers, found 2"),
        (_lam(head_pose=[[0, 0, 0]]), "'head_pose' has 1 frames; there are 2"),
        (_lam(head_pose=[[0, 0, 0], [0, 0]]), "frame 1, 'head_pose': expected 3"),
        (
            _lam(frames=[{"weights": [0, 0], "time": 0}, {"weights": [0, 0]}]),
            "frame 1, 'time': None is no finite number",
        ),
        (
            _lam(frames=[{"weights": [0, 0], "time": 1}, {"weights": [0, 0], "time": 1}]),
            "frame 1 is at 1.000 s, not later",
        ),
        (_lam(frames=[{"weights": [0, 0]}, {"time": 1}]), "frame 1 has no 'weights'"),
        ([ONE, {"time": 1, "blendshapes": {"jawOpen": "wide"}}], "frame 1, 'blendshapes', jawOpen: 'wide'"),
        ([ONE, {"time": 1, "blendshapes": {"jawLeft": 1}}], "frame 1: .*they differ in jawLeft, jawOpen"),
        ([ONE, {"time": 1, "blendshapes": [{"score": 1}]}], r"frame 1, 'blendshapes\[0\]': has no name"),
        (
            [ONE, {"time": 1, "blendshapes": {"jawOpen": 1, "JawOpen": 1}}],
            "frame 1, 'blendshapes': JawOpen is there twice",
        ),
        ([ONE, 5], "frame 1 is 5; expected an object"),
        ([ONE, {**ONE, "time": -1}], "frame 1 is at -1.000 s, not later"),
        ([{**ONE, "matrix": [[1, 2], [3, 4]]}], "frame 0, 'facial_transformation_matrixes': expected 16"),
        ([{**ONE, "matrix": [0.0] * 16}], "frame 0, 'facial_transformation_matrixes': turns and moves no head"),
        ({"fps": "fast", "frames": [{"blendshapes": {"jawOpen": 0}}]}, "'fps' is 'fast'"),
        (
            {"frames": [{"expression": [1]}, {"expression": [1, 2]}]},
            "frame 1, 'expression': expected 1 numbers, found 2",
        ),
        ({"frames": [{"expression": [1]}, {}]}, "frame 1 has no list 'expression'"),
        (
            {"frames": [{"expression": [1]}], "expression_names": ["a", "a"]},
            r"expression_names\[1\]: 'a' is there twice",
        ),
        ({"frames": [{"expression": [1]}], "expression_space": []}, "list of names in 'expression_space.names'"),
    ],
)
def test_damaged_files(tmp_path, data, message):
    path = _file(tmp_path, data)
    with pytest.raises(HeadGaSError, match=message) as error:
        read_take(path)
    assert str(path) in error.value.message and error.value.hint


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="the real recording is not here")
def test_a_real_file_of_lam(tmp_path):
    path = SAMPLES / "lam" / "test_expression_1s.json"
    take = read_take(path)
    assert take.values.shape == (973, 52) and take.duration == pytest.approx(32.4)
    assert take.values[0, take.names.index("mouthFunnel")] == pytest.approx(0.007046175189316273)
    assert np.linalg.norm(take.rotations, axis=1) == pytest.approx(1)
    whole = path.read_text()
    with pytest.raises(HeadGaSError, match=r"line \d+, column \d+"):
        read_take(_file(tmp_path, whole[: len(whole) // 2]))
