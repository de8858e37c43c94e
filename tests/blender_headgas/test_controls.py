# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""From shape keys and bones to an expression, without Blender: channels, mappings, names that listen to bones."""

import numpy as np
import pytest
from bl_ext.user_default.headgas.core import arkit
from bl_ext.user_default.headgas.core.bones import BONES, bone_inputs
from bl_ext.user_default.headgas.core.controls import channels_of, connect, unused_outputs
from bl_ext.user_default.headgas.core.errors import HeadGaSError
from bl_ext.user_default.headgas.core.expressions import ExpressionSpace, beyond_seen
from bl_ext.user_default.headgas.core.mapping import Mapping, identity


def _space(*names, neutral=0.0, low=-1.0, high=1.0):
    return ExpressionSpace("custom", names, *(np.full(len(names), v, np.float32) for v in (neutral, low, high)))


def _mapping(names_in, names_out, matrix, bias=0.0, low=-np.inf, high=np.inf):
    limits = (np.full(len(names_out), value, np.float32) for value in (bias, low, high))
    return Mapping(names_in, names_out, np.array(matrix, np.float32), *limits)


def _pose(bone, **columns):
    pose = np.zeros((3, 6), np.float32)
    for name, value in columns.items():
        pose[BONES.index(bone), ("turn_x", "turn_y", "turn_z", "move_x", "move_y", "move_z").index(name)] = value
    return pose


def _added(names, pose):
    inputs = bone_inputs(names)
    return {names[i]: round(float(v), 4) for i, v in zip(inputs.numbers, inputs(pose), strict=True) if abs(v) > 1e-6}


QUARTER = np.radians(25) / 4


@pytest.mark.parametrize(
    ("bone", "columns", "wanted"),
    [
        ("jaw", {"turn_x": QUARTER}, {"jawOpen": 0.25}),
        ("jaw", {"turn_x": -QUARTER}, {}),
        ("jaw", {"turn_z": np.radians(5)}, {"jawLeft": 0.5}),
        ("jaw", {"turn_z": -np.radians(5)}, {"jawRight": 0.5}),
        ("jaw", {"move_x": -0.05}, {"jawRight": 0.5}),
        ("jaw", {"move_x": -0.05, "turn_z": np.radians(5)}, {}),
        ("jaw", {"move_y": -0.02}, {"jawForward": 0.2}),
        ("eye.L", {"turn_x": -np.radians(15)}, {"eyeLookUpLeft": 0.5}),
        ("eye.R", {"turn_x": np.radians(15)}, {"eyeLookDownRight": 0.5}),
        ("eye.L", {"turn_z": np.radians(15)}, {"eyeLookOutLeft": 0.5}),
        ("eye.L", {"turn_z": -np.radians(15)}, {"eyeLookInLeft": 0.5}),
        ("eye.R", {"turn_z": np.radians(15)}, {"eyeLookInRight": 0.5}),
        ("eye.R", {"turn_z": -np.radians(15)}, {"eyeLookOutRight": 0.5}),
    ],
)
def test_bones_add_to_arkit_s_directions(bone, columns, wanted):
    assert _added(arkit.NAMES, _pose(bone, **columns)) == wanted


@pytest.mark.parametrize("name", ["jawOpen", "JawOpen", "jaw_open", "Jaw Open"])
def test_arkit_s_names_in_other_spellings_listen(name):
    assert _added(("smile", name), _pose("jaw", turn_x=QUARTER)) == {name: 0.25}


@pytest.mark.parametrize("name", ["eyeLookOut_L", "EyeLookOutLeft", "eyeLookOut.l"])
def test_sides_as_suffixes_listen(name):
    assert _added((name,), _pose("eye.L", turn_z=np.radians(30))) == {name: 1.0}


@pytest.mark.parametrize(
    ("jaw", "left", "right"),
    [
        ("jaw_{axis}", "left_eye_{axis}", "right_eye_{axis}"),
        ("jaw_pose_{number}", "leye_pose_{number}", "reye_pose_{number}"),
        ("flame_jaw{axis}", "eyeLeft[{number}]", "eyeRight[{number}]"),
        ("JAW_POSE_0{number}", "eyes_pose_{number}", "eyes_pose_{after}"),
        ("jaw.{axis}", "eyes_{number}", "eyes_{after}"),
    ],
)
def test_rotation_vectors_in_flame_s_axes_are_found_by_their_names(jaw, left, right):
    names = ["expr_000"]
    for pattern in (jaw, left, right):
        names += [pattern.format(axis="xyz"[i], number=i, after=i + 3) for i in range(3)]
    pose = np.zeros((3, 6), np.float32)
    pose[:, :3] = [[0.1, 0.2, 0.3], [0.4, 0.5, 0.6], [0.7, 0.8, 0.9]]
    # about head space's +X, +Y and +Z; FLAME's y is head space's z, its z is head space's -y
    wanted = [0.1, 0.3, -0.2, 0.4, 0.6, -0.5, 0.7, 0.9, -0.8]
    assert _added(names, pose) == dict(zip(names[1:], wanted, strict=True))


@pytest.mark.parametrize(
    "names",
    [
        [f"jaw_{i}" for i in range(6)],  # two columns of a matrix
        [f"eyes_{i}" for i in range(12)],
        ["jaw_x", "jaw_y"],
        ["eyelid_left", "eyelid_right", "expr_000", "head_x", "head_y", "head_z", "neck_x", "neck_y", "neck_z"],
    ],
)
def test_what_is_no_jaw_and_no_gaze_does_not_listen(names):
    assert not len(bone_inputs(names).numbers)
    assert bone_inputs(names)(np.ones((3, 6), np.float32)).shape == (0,)


def _express(controls, values, muted=(), pose=None):
    values = np.array(values, np.float32)
    silent = np.isin(np.arange(len(values)), muted)
    return controls.expression(values, silent, pose).tolist()


def test_keys_in_any_order_and_more_keys_than_channels():
    controls = connect(_space("a", "b", neutral=0.25), None, ["other", "b", "a"])
    assert _express(controls, [9.0, 2.0, 1.0]) == [1.0, 2.0]
    assert _express(controls, [9.0, 2.0, 1.0], muted=[1]) == [1.0, 0.25]


def test_a_mapping_makes_the_expression_and_what_it_lacks_rests():
    space = _space("a", "b", "c", neutral=0.5)
    mapping = _mapping(("x", "y"), ("c", "nowhere", "a"), [[1, 2], [1, 1], [0, -1]], bias=0.125, high=4.0)
    controls = connect(space, mapping, ["x", "y"])
    assert _express(controls, [1.0, 0.5]) == [-0.375, 0.5, 2.125]
    assert _express(controls, [3.0, 1.0]) == [-0.875, 0.5, 4.0]  # limited
    assert _express(controls, [1.0, 0.5], muted=[0]) == [-0.375, 0.5, 1.125]
    assert unused_outputs(space, mapping) == ["nowhere"]


def test_bones_add_after_the_mapping_and_before_it_only_where_the_parameters_do_not_listen():
    names = ("jawOpen", "eyeLookOutLeft")
    mapping = _mapping(names, ("jaw_x", "e"), [[0.25, 0], [0, 2]], high=0.3)
    pose = _pose("jaw", turn_x=0.125) + _pose("eye.L", turn_z=np.radians(15))
    controls = connect(_space("jaw_x", "jaw_y", "jaw_z", "e"), mapping, names)
    assert _express(controls, [1.0, -0.25], pose=pose) == pytest.approx([0.375, 0, 0, 0.3])
    assert _express(controls, [1.0, -0.5], pose=pose) == pytest.approx([0.375, 0, 0, 0.0])


def test_a_mapping_for_another_avatar_is_refused():
    with pytest.raises(HeadGaSError, match="'u', 'v'; the avatar has none") as error:
        connect(_space("a"), _mapping(("x",), ("u", "v"), [[1], [1]]), ["x"])
    assert error.value.hint


def test_missing_keys_are_named():
    with pytest.raises(HeadGaSError, match="no shape key 'a', 'b', 'c' and 2 more") as error:
        connect(_space(*"abcde"), None, ["f"])
    assert error.value.hint
    with pytest.raises(HeadGaSError, match="no shape key 'x'"):
        connect(_space("a"), _mapping(("x",), ("a",), [[1]]), ["a"])


def test_channels_reach_as_far_as_the_avatar_was_seen():
    own = channels_of(_space("a", neutral=0.5), None)
    assert (own.names, own.neutral.tolist(), own.low.tolist(), own.high.tolist()) == (("a",), [0.5], [-1.0], [1.0])
    names = ("jawOpen", "half", "turned", "both", "nothing")
    mapping = _mapping(names, ("a", "b"), [[5, 2, -1, 1, 0], [0, 0, 0, 4, 0]], bias=0.5)
    channels = channels_of(_space("a", "b"), mapping)
    assert channels.neutral.tolist() == [0.0] * 5
    assert channels.low.tolist() == [0.0, -0.75, -0.5, -0.375, 0.0]
    assert channels.high.tolist() == [1.0, 0.25, 1.5, 0.125, 1.0]


def test_the_identity_changes_nothing():
    space = _space("a", "b")
    assert _express(connect(space, identity(space.names), "ab"), [0.25, -2.0]) == [0.25, -2.0]


def test_an_avatar_without_parameters_has_no_expression():
    assert _express(connect(_space(), None, []), [], pose=np.ones((3, 6), np.float32)) == []


def test_what_training_never_saw_is_named():
    space = ExpressionSpace("custom", ("a", "b", "c"), *np.array([[0, 0, 2], [0, -1, 0], [1, 1, 1]], np.float32))
    assert beyond_seen(space, np.array([1.0, -1.0, 2.0], np.float32)) == []  # neutral counts as seen
    assert beyond_seen(space, np.array([1.0001, 0.0, 1.0], np.float32)) == []
    assert beyond_seen(space, np.array([1.01, 0.0, 2.1], np.float32)) == ["a", "c"]
    assert beyond_seen(space, np.array([-0.01, -1.01, -0.01], np.float32)) == ["a", "b", "c"]
