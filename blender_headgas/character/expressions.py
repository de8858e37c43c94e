# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The expressions: what every ARKit-named shape key does to the face at its full value."""

from dataclasses import replace

from .pose import NEUTRAL, SIDES, Eye, Pose, Slide, with_eye
from .topology import EYE_AZIMUTH, MOUTH_ELEVATION, MOUTH_HALF_WIDTH

_LIP = MOUTH_ELEVATION
_CLOSED = {"upper": -0.33, "lower": 0.25}  # the upper lid's edge ends just over the lower one's, below the middle
_JAW_OPEN = Pose(jaw_open=15.5)
GAZE_DEGREES = {"Up": 22.0, "Down": 24.0, "In": 28.0, "Out": 28.0}


def _eye_poses(name: str, side: float) -> dict[str, Pose]:
    open_eye = Eye()
    return {
        f"eyeBlink{name}": with_eye(name, **_CLOSED),
        f"eyeWide{name}": with_eye(name, upper=open_eye.upper + 0.24, lower=open_eye.lower + 0.10),
        f"eyeSquint{name}": _sliding(
            Slide(side * EYE_AZIMUTH, -9, 8, 3.4, move_elevation=1.5, swell=0.10), eye=(name, 0.60, 0.34)
        ),
        f"eyeLookUp{name}": with_eye(
            name, up=GAZE_DEGREES["Up"], upper=open_eye.upper + 0.22, lower=open_eye.lower - 0.12
        ),
        f"eyeLookDown{name}": with_eye(
            name, up=-GAZE_DEGREES["Down"], upper=open_eye.upper - 0.50, lower=open_eye.lower + 0.16
        ),
        f"eyeLookIn{name}": with_eye(name, left=-side * GAZE_DEGREES["In"]),
        f"eyeLookOut{name}": with_eye(name, left=side * GAZE_DEGREES["Out"]),
    }


def _sliding(*slides: Slide, eye: tuple[str, float, float] | None = None, **jaw: float) -> Pose:
    """A pose made of slides, with one eye's lids or the jaw changed as well."""
    eyes = NEUTRAL.eyes if eye is None else with_eye(eye[0], upper=eye[1], lower=eye[2]).eyes
    return Pose(eyes=eyes, slides=slides, **jaw)


def _side_poses(name: str, side: float) -> dict[str, Pose]:
    corner = side * MOUTH_HALF_WIDTH
    cheek = Slide(side * 24, -15, 8, 6, move_elevation=2.0, swell=0.30)
    lip = side * 5.5
    return {
        f"browDown{name}": _sliding(
            Slide(side * 13, 13.5, 9.5, 5.5, move_azimuth=-side * 2.2, move_elevation=-4.0, swell=0.10)
        ),
        f"browOuterUp{name}": _sliding(Slide(side * 28, 17, 9, 7, move_elevation=4.2)),
        f"cheekSquint{name}": _sliding(
            Slide(side * 23, -9.5, 9, 4.5, move_elevation=2.6, swell=0.22), eye=(name, Eye().upper, 0.52)
        ),
        f"noseSneer{name}": _sliding(
            Slide(side * 6.5, -14, 4.5, 5, move_elevation=2.6, swell=0.14),
            Slide(side * 6, -23, 5.5, 3.2, move_elevation=1.5, lip=1),
        ),
        f"mouthSmile{name}": _sliding(
            Slide(corner, _LIP, 6.2, 7.0, move_azimuth=side * 3.2, move_elevation=4.8),
            Slide(side * 6, _LIP - 1.5, 5, 4, move_elevation=-0.7, swell=-0.12), cheek,
            Slide(side * 8, _LIP + 2.8, 6, 2.4, move_elevation=-1.0, swell=-0.06, lip=1),  # stretched lips get thin
            Slide(side * 8, _LIP - 3.6, 6, 2.8, move_elevation=1.3, swell=-0.06, lip=-1),
            eye=(name, Eye().upper - 0.04, Eye().lower - 0.14),
        ),
        f"mouthFrown{name}": _sliding(
            Slide(corner, _LIP, 6.5, 6.0, move_azimuth=side * 0.6, move_elevation=-4.4),
            Slide(side * 2, _LIP - 5, 7, 4, move_elevation=1.1, lip=-1, swell=0.06),
        ),
        f"mouthDimple{name}": _sliding(
            Slide(corner + side * 1.5, _LIP, 4.5, 4.5, move_azimuth=side * 2.6, move_elevation=0.8, swell=-0.30)
        ),
        f"mouthStretch{name}": _sliding(
            Slide(corner, _LIP, 7.5, 6.0, move_azimuth=side * 4.6, move_elevation=-1.6, swell=-0.05)
        ),
        f"mouthPress{name}": _sliding(
            Slide(side * 7, _LIP + 2.0, 6, 2.4, move_elevation=-0.9, swell=-0.16, lip=1),
            Slide(side * 7, _LIP - 2.2, 6, 2.6, move_elevation=1.1, swell=-0.16, lip=-1),
        ),
        f"mouthUpperUp{name}": _sliding(
            Slide(lip, _LIP + 1.0, 6.0, 4.2, move_elevation=3.6, swell=0.08, lip=1),
            Slide(side * 10, -21, 6, 4, move_elevation=1.2, swell=0.08),
        ),
        f"mouthLowerDown{name}": _sliding(Slide(lip, _LIP - 1.0, 6.0, 4.4, move_elevation=-3.8, swell=0.06, lip=-1)),
    }


def _middle_poses() -> dict[str, Pose]:
    kiss = Slide(0, _LIP, 12.0, 6.5, squeeze=0.52, swell=0.62)
    poses = {
        "browInnerUp": _sliding(
            Slide(9.5, 15.5, 6.5, 7, move_elevation=4.6), Slide(-9.5, 15.5, 6.5, 7, move_elevation=4.6)
        ),
        "cheekPuff": _sliding(
            Slide(30, -27, 12, 9, swell=1.05), Slide(-30, -27, 12, 9, swell=1.05),
            Slide(0, _LIP, 11, 6, squeeze=0.12, swell=0.22),
        ),
        "jawOpen": _JAW_OPEN,
        "jawForward": _sliding(jaw_forward=0.75),
        "mouthPucker": _sliding(kiss),
        "mouthFunnel": _sliding(
            Slide(0, _LIP, 12.0, 7.0, squeeze=0.40, swell=0.58),
            Slide(0, _LIP + 0.5, 7.5, 4.5, move_elevation=2.9, lip=1),
            Slide(0, _LIP - 0.5, 7.5, 4.5, move_elevation=-3.3, lip=-1),
        ),
        "mouthRollUpper": _sliding(Slide(0, _LIP + 1.2, 11, 2.2, move_elevation=-1.2, swell=-0.34, lip=1)),
        "mouthRollLower": _sliding(Slide(0, _LIP - 1.5, 11, 2.6, move_elevation=1.5, swell=-0.40, lip=-1)),
        "mouthShrugUpper": _sliding(Slide(0, _LIP + 2, 10, 4, move_elevation=1.4, swell=0.12)),
        "mouthShrugLower": _sliding(
            Slide(0, _LIP - 3, 10, 4, move_elevation=1.8, swell=0.16),
            Slide(0, -43, 9, 5, move_elevation=1.4, swell=0.1),
        ),
        "tongueOut": _sliding(tongue_out=1.0),
    }
    for name, side in SIDES.items():
        poses[f"mouth{name}"] = _sliding(
            Slide(0, _LIP, 14, 7.5, move_azimuth=side * 4.6), Slide(side * 20, _LIP + 4, 8, 7, swell=0.16)
        )
        poses[f"jaw{name}"] = _sliding(jaw_left=side * 0.95)
    return poses


def arkit_poses() -> dict[str, tuple[Pose, Pose]]:
    """All 52 ARKit names in alphabetical order, each with its full pose and the pose that it starts from.

    mouthClose is the only one that does not start from the neutral face: it closes the lips of an open jaw.
    """
    poses = _middle_poses()
    for name, side in SIDES.items():
        poses |= _eye_poses(name, side) | _side_poses(name, side)
    pairs = {name: (pose, NEUTRAL) for name, pose in poses.items()}
    pairs["mouthClose"] = (replace(_JAW_OPEN, lips_held=1.0), _JAW_OPEN)
    return dict(sorted(pairs.items()))
