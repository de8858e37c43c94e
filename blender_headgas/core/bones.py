# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What turning the armature's jaw and eyes adds to parameters, which are known by their names.

ARKit (ARFaceAnchor.BlendShapeLocation; left is the subject's) has a parameter per direction, from 0 to 1. FLAME (Li et
al., SIGGRAPH Asia 2017) has a rotation vector per joint, in radians about its own axes: Y up, Z out of the face.

A pose [3,6] float32 has a row per bone in the order of BONES: the bone's rotation vector against its parent (radians)
and its move (in lengths of the bone), both from rest and both in head space (+X left, -Y out of the face, +Z up).
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .arkit import canonical

BONES = ("jaw", "eye.L", "eye.R")
_TURN_X, _TURN_Y, _TURN_Z, _MOVE_X, _MOVE_Y = range(5)  # columns of a pose
_JAW_OPEN, _JAW_ASIDE, _GAZE = (1 / math.radians(degrees) for degrees in (25.0, 10.0, 30.0))  # what is 1
_JAW_MOVE = 10.0  # a tenth of the bone, about a centimetre, is 1

# The chin and the front of an eye lie towards -Y: turning about +X lowers them, about +Z takes them to the left
_ARKIT: dict[str, tuple[str, dict[int, float]]] = {
    "jawOpen": ("jaw", {_TURN_X: _JAW_OPEN}),
    "jawLeft": ("jaw", {_TURN_Z: _JAW_ASIDE, _MOVE_X: _JAW_MOVE}),
    "jawRight": ("jaw", {_TURN_Z: -_JAW_ASIDE, _MOVE_X: -_JAW_MOVE}),
    "jawForward": ("jaw", {_MOVE_Y: -_JAW_MOVE}),
    "eyeLookUpLeft": ("eye.L", {_TURN_X: -_GAZE}),
    "eyeLookUpRight": ("eye.R", {_TURN_X: -_GAZE}),
    "eyeLookDownLeft": ("eye.L", {_TURN_X: _GAZE}),
    "eyeLookDownRight": ("eye.R", {_TURN_X: _GAZE}),
    "eyeLookInLeft": ("eye.L", {_TURN_Z: -_GAZE}),
    "eyeLookInRight": ("eye.R", {_TURN_Z: _GAZE}),
    "eyeLookOutLeft": ("eye.L", {_TURN_Z: _GAZE}),
    "eyeLookOutRight": ("eye.R", {_TURN_Z: -_GAZE}),
}
_FLAME = ({_TURN_X: 1.0}, {_TURN_Z: 1.0}, {_TURN_Y: -1.0})  # FLAME's x, y and z

_JOINT = re.compile(
    r"(?:flame[_.])?(?:(jaw)|(left_?eye|eye_?left|l_?eye|eye_?l)|(right_?eye|eye_?right|r_?eye|eye_?r)|(eyes))"
    r"(?:_?pose)?[_.\[]?([xyz]|\d+)\]?",
    re.IGNORECASE,
)


@dataclass(frozen=True, eq=False)
class BoneInputs:
    """Which of N named values listen to bones."""

    numbers: np.ndarray  # [P] int64, of the values
    weights: np.ndarray  # [P,18] float32, for the entries of a pose row by row
    least: np.ndarray  # [P] float32, the least that is added: 0, or -inf where bones take away, too
    bones: frozenset[str]  # those that something listens to

    def __call__(self, pose: np.ndarray) -> np.ndarray:
        """What a pose [3,6] adds to the values `numbers`, [P]."""
        return np.maximum(self.weights @ pose.ravel(), self.least)


def bone_inputs(names: Sequence[str], without: frozenset[str] = frozenset()) -> BoneInputs:
    """What listens to the bones among values of these names; to the bones `without`, nothing shall."""
    found: list[tuple[int, str, Mapping[int, float], bool]] = []
    for number, name in enumerate(names):
        if canonical(name) in _ARKIT:
            found.append((number, *_ARKIT[canonical(name)], True))
    for bone, numbers in _rotation_vectors(names).items():
        found += [(number, bone, axis, False) for number, axis in zip(numbers, _FLAME, strict=True)]
    found = [listener for listener in found if listener[1] not in without]
    weights = np.zeros((len(found), len(BONES), 6), np.float32)
    for row, (_, bone, columns, _) in enumerate(found):
        for column, weight in columns.items():
            weights[row, BONES.index(bone), column] = weight
    return BoneInputs(
        np.array([number for number, *_ in found], np.int64),
        weights.reshape(len(found), len(BONES) * 6),
        np.array([0.0 if one_sided else -np.inf for *_, one_sided in found], np.float32),
        frozenset(bone for _, bone, *_ in found),
    )


def _rotation_vectors(names: Sequence[str]) -> dict[str, list[int]]:
    """The numbers of the three parameters of each joint that has them: jaw_x, jaw_pose_0, left_eye_y, eyes_pose_5 …

    Six numbers for a jaw are no rotation vector but two columns of a matrix, as metrical-tracker has them: left alone.
    """
    found: dict[str, dict[int, int]] = {}
    for number, name in enumerate(names):
        match = _JOINT.fullmatch(name)
        if match is None:
            continue
        *joints, axis = match.groups()
        joint = next(joint for joint, text in zip((*BONES, "eyes"), joints, strict=True) if text)
        found.setdefault(joint, {})["xyz".index(axis.lower()) if axis.isalpha() else int(axis)] = number
    both = found.pop("eyes", {})
    if sorted(both) == list(range(6)):  # the left eye's three, then the right one's
        found |= {"eye.L": {i: both[i] for i in range(3)}, "eye.R": {i: both[i + 3] for i in range(3)}}
    return {joint: [axes[i] for i in range(3)] for joint, axes in found.items() if sorted(axes) == [0, 1, 2]}
