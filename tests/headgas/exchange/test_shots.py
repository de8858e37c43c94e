# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""A shot's files: takes and cameras as they are written by hand, paired, and refused where they are wrong."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from headgas.avatars import ExpressionSpace
from headgas.errors import HeadGaSError
from headgas.exchange.shots import moments, read_cameras, read_take

SPACE = ExpressionSpace("ARKit", ("jawOpen", "eyeBlinkLeft"), (0.0, 0.25), (0.0, 0.0), (1.0, 1.0))
_MOVED = [[1, 0, 0, 0.5], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]


def camera(frame: int, **changes: Any) -> dict[str, Any]:
    K = [[100, 0, 32], [0, 100, 24], [0, 0, 1]]
    return {"frame": frame, "width": 64, "height": 48, "viewmat": np.eye(4).tolist(), "K": K, "near": 0.1} | changes


def cameras(folder: Path, *frames: dict[str, Any], **changes: Any) -> Path:
    data = {"format": "headgas-cameras", "version": 1, "fps": 10, "frames": frames} | changes
    (folder / "cameras.json").write_text(json.dumps(data), encoding="utf-8")
    return folder / "cameras.json"


def take(folder: Path, **changes: Any) -> Path:
    frames = [{"frame": number, "values": [number / 10], "transform": _MOVED} for number in (3, 4, 5)]
    data = {"format": "headgas-take", "version": 1, "fps": 10, "names": ["jawOpen"], "frames": frames} | changes
    (folder / "take.json").write_text(json.dumps(data), encoding="utf-8")
    return folder / "take.json"


def table(folder: Path, text: str) -> Path:
    (folder / "take.csv").write_text(text, encoding="utf-8")
    return folder / "take.csv"


def test_frames_are_found_by_their_numbers(tmp_path: Path) -> None:
    seen = read_cameras(cameras(tmp_path, camera(4), camera(5, orthographic=True, near=-1.0, far=2)))
    assert [frame.number for frame in seen.frames] == [4, 5] and seen.rate == 10
    assert [(frame.near, frame.far) for frame in seen.frames] == [(0.1, math.inf), (-1.0, 2.0)]
    assert seen.frames[0].camera.K[0, 2] == 32
    assert not seen.frames[0].camera.orthographic and seen.frames[1].camera.orthographic
    shown, unknown = moments(read_take(take(tmp_path)), SPACE, seen)
    assert unknown == [] and [moment.number for moment in shown] == [4, 5]
    assert torch.allclose(shown[1].expression, torch.tensor([0.5, 0.25]))
    assert shown[0].transform.tolist() == _MOVED


def test_one_camera_sees_the_whole_take(tmp_path: Path) -> None:
    shown, _ = moments(read_take(take(tmp_path)), SPACE, read_cameras(cameras(tmp_path, camera(1))))
    assert [moment.number for moment in shown] == [3, 4, 5]


def test_a_recording_begins_at_the_first_camera_and_is_interpolated(tmp_path: Path) -> None:
    text = "Timecode,BlendShapeCount,JawOpen,HeadYaw,tail\n01:00:00:00.000,3,0,9,1\n01:00:00:12.000,3,1,9,1\n"
    recorded = read_take(table(tmp_path, text + "01:00:00:20.000,0,,,\n"))
    assert recorded.times.tolist() == pytest.approx([0, 0.2]) and recorded.names == ("JawOpen", "tail")
    shown, unknown = moments(recorded, SPACE, read_cameras(cameras(tmp_path, *(camera(n) for n in (7, 8, 9, 12)))))
    assert unknown == ["tail"]
    assert [moment.expression[0].item() for moment in shown] == pytest.approx([0, 0.5, 1, 1])
    assert all((moment.transform == torch.eye(4)).all() for moment in shown)


def test_without_a_take_the_face_rests(tmp_path: Path) -> None:
    shown, _ = moments(None, SPACE, read_cameras(cameras(tmp_path, camera(1), camera(2))))
    assert [moment.expression.tolist() for moment in shown] == [[0, 0.25]] * 2


WRONG: dict[str, tuple[Callable[[Path], object], str]] = {
    "another format": (lambda p: read_cameras(take(p)), "not a file of the format 'headgas-cameras'"),
    "newer": (lambda p: read_take(take(p, version=2)), "'version' is 2"),
    "no frames": (lambda p: read_cameras(cameras(p)), "'frames'"),
    "nothing between": (lambda p: read_cameras(cameras(p, camera(1, far=0.1))), r"frames\[0\].*far.*above 'near'"),
    "not a number": (lambda p: read_cameras(cameras(p, camera(1), camera(2, near=float("nan")))), r"frames\[1\].*near"),
    "scaled": (lambda p: read_cameras(cameras(p, camera(1, viewmat=(2 * np.eye(4)).tolist()))), "'viewmat'"),
    "no focal length": (lambda p: read_cameras(cameras(p, camera(1, K=np.zeros((3, 3)).tolist()))), "'K'"),
    "the same frame twice": (lambda p: read_cameras(cameras(p, camera(1), camera(1))), r"frames\[1\].*'frame' is 1"),
    "no rate": (lambda p: read_cameras(cameras(p, camera(1), fps=0)), "'fps' is 0"),
    "too few values": (lambda p: read_take(take(p, names=["a", "b"])), r"frames\[0\].*'values'"),
    "no names": (lambda p: read_take(take(p, names=[1])), "'names'"),
    "a row cut short": (lambda p: read_take(table(p, "Timecode,a\n0.0,1\n0.1")), "line 3 has 1 columns"),
    "text for a number": (lambda p: read_take(table(p, "Timecode,a\n0.0,x\n")), "line 2, column a: 'x'"),
    "time that stands": (lambda p: read_take(table(p, "Timecode,a\n0.5,1\n0.5,1\n")), "moment 2 is not later"),
    "no table": (lambda p: read_take(table(p, "a,b\n1,2\n")), "line 1 names no column 'Timecode'"),
    "empty": (lambda p: read_take(table(p, "")), "Timecode"),
    "missing": (lambda p: read_take(p / "none.csv"), "cannot be read"),
    "of somebody else": (
        lambda p: moments(read_take(take(p, names=["tail"])), SPACE, None), "moves nothing of the avatar: it names tail"
    ),
    "a camera too many": (
        lambda p: moments(read_take(take(p)), SPACE, read_cameras(cameras(p, camera(5), camera(6)))), "has no frame 6"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_named(tmp_path: Path, name: str) -> None:
    read, message = WRONG[name]
    with pytest.raises(HeadGaSError, match=message):
        read(tmp_path)
