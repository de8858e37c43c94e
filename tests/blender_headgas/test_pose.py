# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""A pose as text: there and back, and every text that is none; and names without their side."""

import json

import pytest

from blender_headgas.core.arkit import NAMES, mirrored, without_side
from blender_headgas.core.errors import HeadGaSError
from blender_headgas.core.pose import parse_pose, pose_text


def test_a_pose_survives_as_text():
    pose = {"jawOpen": 0.25, "brow \"up\" ü": -1.0}
    assert parse_pose(pose_text(pose)) == pose


def _pose(**changes):
    return json.dumps({"format": "headgas-pose", "version": 1, "values": {"jawOpen": 0.5}} | changes)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no text"),
        ("a shopping list", "another text"),
        (_pose()[:-4], "another text"),
        ("[1, 2]", "'format'"),
        (_pose(format="other"), "'format'"),
        (_pose(version=9), "version 9"),
        (_pose(values=[0.5]), "'values'"),
        (_pose(values={"jawOpen": "wide"}), "'jawOpen'"),
        (_pose(values={"jawOpen": True}), "'jawOpen'"),
        ('{"format": "headgas-pose", "version": 1, "values": {"jawOpen": NaN}}', "'jawOpen'"),
        ("[" * 100_000, "another text"),
    ],
)
def test_a_text_that_is_no_pose_says_what_is_wrong(text, message):
    with pytest.raises(HeadGaSError, match=message) as error:
        parse_pose(text)
    assert error.value.hint


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("mouthSmileLeft", "mouthSmile"),
        ("mouthSmileRight", "mouthSmile"),
        ("eyeLookInLeft", "eyeLookIn"),
        ("left_eye_x", "eye_x"),
        ("right_eye_x", "eye_x"),
        ("brow_up_L", "brow_up"),
        ("brow_up.r", "brow_up"),
        ("jawOpen", "jawOpen"),
    ],
)
def test_without_side(name, stem):
    assert without_side(name) == stem


def test_both_of_a_pair_have_one_stem_and_no_other_pair_has_it():
    pairs = {}
    for name in NAMES:
        if mirrored(name) != name:
            pairs.setdefault(without_side(name), set()).add(name)
    assert len(pairs) == 20 and all(len(names) == 2 for names in pairs.values())
