# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of shape keys find the right channels, whoever wrote them, and no wrong ones."""

import re

import pytest

from blender_headgas.core.arkit import NAMES
from blender_headgas.core.name_tables import rows
from blender_headgas.core.names import match


def drives(source, channels=NAMES, beside=()):
    """The channels that one source drives, with their gains."""
    return {m.channel: m.gain for m in match([source, *beside], channels) if m.source == source and m.channel}


def _snake(name):
    return re.sub(r"([A-Z])", r"_\1", name).lower()


SPELLINGS = {
    "same": str,
    "CamelCase": lambda n: n[0].upper() + n[1:],
    "snake": _snake,
    "lower": str.lower,
    "title": lambda n: _snake(n).title(),
    "words": lambda n: _snake(n).replace("_", " ").title(),
    "_L": lambda n: re.sub("Left$", "_L", re.sub("Right$", "_R", n)),
    ".L": lambda n: re.sub("Left$", ".L", re.sub("Right$", ".R", n)),
    "-r": lambda n: re.sub("Left$", "-l", re.sub("Right$", "-r", n)),
    "L": lambda n: re.sub("Left$", "L", re.sub("Right$", "R", n)),
    "blendShape2.": lambda n: "blendShape2." + n,
    "Face.M_": lambda n: "Face.M_" + n,
    "ARKit_": lambda n: "ARKit_" + n,
    "!ex-": lambda n: "!ex-" + n,
    "!EX-": lambda n: "!EX-" + n,
    "enumerated": lambda n: f"A{list(NAMES).index(n):02d}_" + _snake(n).title(),
    "common": lambda n: "Wolf3D_Head:" + n,
    "copy": lambda n: n + ".001",
}


@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS)
def test_arkit_in_all_spellings(spelling):
    sources = [spelling(name) for name in NAMES]
    matches = match(sources, NAMES)
    assert {(m.source, m.channel, m.gain) for m in matches} == {(spelling(name), name, 1.0) for name in NAMES}
    assert all(m.confidence >= 0.9 for m in matches)
    assert len(matches) == len(NAMES)


@pytest.mark.parametrize(
    "source",
    ["left_eyeBlink", "Left_eyeBlink", "eye_blink_left", "L_eyeBlink", "EYE_BLINK_LEFT", "Eye_Blink_L", "eyeblink.L"],
)
def test_a_side_may_stand_anywhere(source):
    assert drives(source) == {"eyeBlinkLeft": 1.0}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        # ICT-FaceKit splits two shapes
        ("browInnerUp_L", {"browInnerUp": 0.5}),
        ("cheekPuff_R", {"cheekPuff": 0.5}),
        ("eyeLookIn_L", {"eyeLookInLeft": 1.0}),
        # action units
        ("AU1", {"browInnerUp": 1.0}),
        ("AU01_InnerBrowRaiser", {"browInnerUp": 1.0}),
        ("AU12L", {"mouthSmileLeft": 1.0}),
        ("FACS_AU12_R", {"mouthSmileRight": 1.0}),
        ("AU2", {"browOuterUpLeft": 1.0, "browOuterUpRight": 1.0}),
        ("au_30_left", {"jawLeft": 1.0}),
        ("AU1L", {"browInnerUp": 0.5}),
        ("LipCornerPullerL", {"mouthSmileLeft": 1.0}),
        # VRM, VRoid
        ("Blink", {"eyeBlinkLeft": 1.0, "eyeBlinkRight": 1.0}),
        ("blinkLeft", {"eyeBlinkLeft": 1.0}),
        ("Blink_R", {"eyeBlinkRight": 1.0}),
        ("LookUp", {"eyeLookUpLeft": 1.0, "eyeLookUpRight": 1.0}),
        ("lookLeft", {"eyeLookOutLeft": 1.0, "eyeLookInRight": 1.0}),
        ("Face.M_F00_000_00_Fcl_EYE_Close_L", {"eyeBlinkLeft": 1.0}),
        # Reallusion
        ("Brow_Raise_Inner_L", {"browInnerUp": 0.5}),
        ("Eye_L_Look_R", {"eyeLookInLeft": 1.0}),
        ("Eye_R_Look_R", {"eyeLookOutRight": 1.0}),
        ("Eye_R_Look_Up", {"eyeLookUpRight": 1.0}),
        ("Mouth_Roll_In_Upper_L", {"mouthRollUpper": 0.5}),
        ("Mouth_Funnel_Up_R", {"mouthFunnel": 0.25}),
        ("Mouth_Down_Lower_R", {"mouthLowerDownRight": 1.0}),
        ("Jaw_L", {"jawLeft": 1.0}),
        ("Mouth_L", {"mouthLeft": 1.0}),
        ("Mouth_Smile_L", {"mouthSmileLeft": 1.0}),
        # MetaHuman
        ("CTRL_expressions_mouthCornerPullL", {"mouthSmileLeft": 1.0}),
        ("CTRL_expressions_eyeLookRightL", {"eyeLookInLeft": 1.0}),
        ("CTRL_expressions_mouthLipsPurseUL", {"mouthPucker": 0.25}),
        ("CTRL_expressions_jawFwd", {"jawForward": 1.0}),
        # Ready Player Me, Faceshift, VRChat
        ("eyesClosed", {"eyeBlinkLeft": 1.0, "eyeBlinkRight": 1.0}),
        ("mouthSmile", {"mouthSmileLeft": 1.0, "mouthSmileRight": 1.0}),
        ("BrowsD_L", {"browDownLeft": 1.0}),
        ("LipSuckUpper", {"mouthRollUpper": 1.0}),
    ],
)
def test_other_people_s_names(source, expected):
    assert drives(source) == expected


@pytest.mark.parametrize(
    ("source", "strongest"),
    [
        ("A", "jawOpen"), ("ou", "mouthPucker"), ("viseme_aa", "jawOpen"), ("viseme_PP", "mouthPressLeft"),
        ("aa_02", "jawOpen"), ("w_uw_07", "mouthPucker"), ("r_13", "mouthPucker"), ("l_14", "jawOpen"),
        ("V_Tight_O", "mouthFunnel"), ("vrc.v_ou", "mouthPucker"), ("Fcl_MTH_O", "mouthFunnel"),
        ("Joy", "mouthSmileLeft"), ("surprised", "browInnerUp"), ("Fcl_ALL_Sorrow", "browInnerUp"),
    ],
)  # fmt: skip
def test_sounds_and_emotions_are_estimates(source, strongest):
    gains = drives(source)
    assert gains[strongest] == max(gains.values()) and 0 < gains[strongest] < 1
    assert all(0.45 <= m.confidence <= 0.6 and "estimate" in m.note for m in match([source], NAMES) if m.source)


@pytest.mark.parametrize(
    "source",
    [
        "Basis", "Key 1", "upper_teeth", "jawOpen_mouthClose", "mouth", "Left", "hair_A_length", "$md-male-old",
        "mouthUpDown", "AU99", "viseme_sil", "sil_00", "neutral", "_neutral", "eyeRotation", "jawOpenLeft", "L", "007",
        "日本", "Smiley", "browLength", "eyeLashes_L", "BlinkSpeed", "muscle",
    ],
)  # fmt: skip
def test_no_false_friends(source):
    matches = match([source], NAMES)
    assert [m.channel for m in matches if m.source == source] == [""]
    assert {m.channel for m in matches if not m.source} >= set(NAMES)


@pytest.mark.parametrize("prefix", ["Face.M_F00_000_00_", "My Head.", ""])
def test_what_a_prefix_hides_is_found_among_names_that_share_it(prefix):
    names = ["Fcl_ALL_Joy", "Fcl_EYE_Close", "Fcl_MTH_A", "Fcl_MTH_U", "Fcl_HA_Hide"]
    matches = match([prefix + name for name in names], NAMES)
    alone = [m.source for m in matches if not m.channel]
    assert alone == [f"{prefix}Fcl_HA_Hide"]
    assert {m.channel for m in matches if m.source.endswith("Close")} == {"eyeBlinkLeft", "eyeBlinkRight"}


def test_left_of_the_mouth_is_not_the_left_of_a_smile():
    assert drives("mouthLeft") == {"mouthLeft": 1.0}
    assert drives("mouthLeft", ["mouthSmileLeft", "jawLeft"]) == {}
    assert drives("mouthSmile_L", ["mouthLeft", "mouthSmileRight"]) == {}
    assert drives("eyeLookIn_L", ["eyeLookInRight", "eyeLookOutLeft"]) == {}


def test_one_shape_drives_both_of_an_avatar_that_splits_it():
    assert drives("browInnerUp", ["browInnerUp_L", "browInnerUp_R"]) == {"browInnerUp_L": 1.0, "browInnerUp_R": 1.0}
    assert drives("mouthSmileLeft", ["smile"]) == {"smile": 0.5}


def test_names_that_nobody_knows_match_themselves():
    channels = ["expr_000", "expr_001", "jaw_x", "My Shape"]
    matches = match(["expr_001", "EXPR_000", "myShape", "jaw_y"], channels)
    assert [(m.source, m.channel, m.confidence) for m in matches] == [
        ("expr_001", "expr_001", 1.0), ("EXPR_000", "expr_000", 0.95), ("myShape", "My Shape", 0.95),
        ("jaw_y", "", 0.0), ("", "jaw_x", 0.0),
    ]  # fmt: skip


def test_a_name_that_fits_exactly_goes_before_its_meaning():
    assert drives("smile", ["smile", *NAMES]) == {"smile": 1.0}
    assert drives("smile", ["jawOpen", "Smile", "SMILE", "mouthSmileLeft"])["Smile"] == 1.0


def test_sources_that_share_a_channel_say_so():
    matches = match(["browInnerUp_L", "browInnerUp_R", "jawOpen"], ["browInnerUp", "jawOpen"])
    assert [m.note for m in matches] == ["adds to browInnerUp_R", "adds to browInnerUp_L", ""]


def test_no_name_stands_in_two_rows():
    names = [name for _, row, _ in rows() for name in row.split()]
    assert sorted(names) == sorted(set(names)) and all(name == name.lower() and name.isalnum() for name in names)


def test_a_thousand_keys_take_a_moment():
    sources = [f"Body_{name}_{number}" for name in NAMES for number in range(20)]
    assert len(match(sources, NAMES)) >= len(sources)
