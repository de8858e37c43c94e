# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Named channels measured on the face: distances between landmarks, with the head's own motion taken out.

They have ARKit's names where they mean what ARKit means, so that recorded faces drive them. Each is 0 at rest and 1
at the most that this subject showed. What moves too little, or hardly more than its landmarks tremble, gets no name:
the components that follow it (expression.py) hold it nevertheless.
"""

from dataclasses import dataclass

import numpy as np

from headgas.captures.tracking.landmarks import (
    BROW_INNER,
    BROW_OUTER,
    EYE_INNER,
    EYE_OUTER,
    IRIS,
    JAW,
    LIPS,
    LOWER_LID,
    LOWER_LIP,
    MOUTH_CORNER,
    NOSE_BASE,
    NOSE_BRIDGE,
    TEMPLE,
    UPPER_LID,
    UPPER_LIP,
)

_REST, _FULL = 50, 98  # percentiles of the training frames: what a face mostly does, and its most without outliers
_CLOSED = 15  # percentile of the jaw's opening at rest: people in videos talk
_MOST = 1.5  # times the full range: beyond is an outlier
ALWAYS = "hardly less all the time"
_LESS = 2.0  # times what would be enough, that a channel falls below what is taken for rest: it was not rest
_ABOVE_NOISE = 3.0  # times its own trembling that a trusted channel reaches
# What landmarks tell only roughly: on heads whose truth is known their correlation with it is 0.5 to 0.9, while lids,
# smile and jaw have 0.86 to 0.95 (docs/results.md).
_ROUGH = ("brow", "eyeLook", "eyeWide", "mouthFrown", "mouthPucker")
_RIGHT, _LEFT = 0, 1
_X, _Z = 0, 2  # to the left, up


@dataclass(frozen=True)
class Channel:
    """One measure of F frames."""

    name: str
    values: np.ndarray  # [F] 0 at rest, 1 fully
    reach: float  # from rest to full, in the measure's own unit
    noise: float  # its trembling in the same unit
    problem: str  # why it is not to be trusted; empty when it is

    @property
    def is_rough(self) -> bool:
        """Whether it moves with what its name says, but with much else as well."""
        return self.name.startswith(_ROUGH)


@dataclass(frozen=True)
class _Measure:
    """What is measured, and the names of both its directions."""

    values: np.ndarray  # [F]
    more: str  # the channel of larger values
    less: str  # the channel of smaller ones; empty: there is none
    enough: float  # what such a channel reaches at least
    rest: float = _REST


def measure_channels(positions: np.ndarray, train: np.ndarray, in_order: bool) -> list[Channel]:
    """Every channel, trusted or not.

    Args:
        positions: [F,478,3] metres in head space.
        train: [F] the frames that say what rest and full are.
        in_order: the frames follow each other, so that trembling can be told from motion.
    """
    channels = []
    for measure in _measures(positions, train):
        rest = float(np.percentile(measure.values[train], measure.rest))
        noise = _noise(measure.values) if in_order else 0.0
        for name, away in ((measure.more, measure.values - rest), (measure.less, rest - measure.values)):
            if name:
                channels.append(_channel(name, away, train, noise, measure.enough, measure.less == ""))
    return channels


def _channel(name: str, away: np.ndarray, train: np.ndarray, noise: float, enough: float, alone: bool) -> Channel:
    """The channel of a measure's distance [F] from rest, in one direction; alone: the other has no channel."""
    reach = float(np.percentile(away[train], _FULL))
    problem = ""
    if reach < enough:
        fell = -float(np.percentile(away[train], 100 - _FULL))
        problem = ALWAYS if alone and fell > _LESS * enough else "hardly moved"
    elif reach < _ABOVE_NOISE * noise:
        problem = "moved little more than its landmarks tremble"
    values = np.clip(away / max(reach, 1e-9), 0.0, _MOST)
    return Channel(name, values, reach, noise, problem)


def _measures(positions: np.ndarray, train: np.ndarray) -> list[_Measure]:
    """In shares of the distance between the eyes; lids and gaze in shares of the eye's width."""
    eyes = [(positions[:, EYE_OUTER[side]] + positions[:, EYE_INNER[side]]) / 2 for side in (_RIGHT, _LEFT)]
    apart = float(np.median(np.linalg.norm(eyes[_LEFT] - eyes[_RIGHT], axis=1)))
    nose, width = positions[:, NOSE_BASE], _distance(positions, MOUTH_CORNER[_RIGHT], MOUTH_CORNER[_LEFT])
    gap = np.linalg.norm(positions[:, UPPER_LIP] - positions[:, LOWER_LIP], axis=2).mean(1)
    drop = nose[:, _Z] - positions[:, JAW, _Z].mean(1)
    lips = np.sum([_distance(positions, *lip) for lip in LIPS], 0)
    jaw = (gap + drop) / 2 / apart
    measures = [
        _Measure(jaw, "jawOpen", "", 0.06, _CLOSED),
        _Measure(width / apart, "mouthWide", "", 0.06),
        _Measure(lips / width, "mouthPucker", "", 0.06),  # pursed lips are thick for their width
    ]
    # corners of the eyes follow the lids a little, the bridge of the nose and the temples do not
    inner = np.mean([positions[:, BROW_INNER[side], _Z].mean(1) for side in (0, 1)], 0)
    measures.append(_Measure((inner - positions[:, NOSE_BRIDGE, _Z]) / apart, "browInnerUp", "", 0.04))
    middle = positions[:, [UPPER_LIP[0], LOWER_LIP[0]], _Z].mean(1)
    for side, word in ((_LEFT, "Left"), (_RIGHT, "Right")):
        corner = positions[:, MOUTH_CORNER[side], _Z]
        measures.append(_Measure((corner - nose[:, _Z]) / apart, f"mouthSmile{word}", "", 0.04))
        # a falling jaw takes the lips' middle along
        frown = _apart_from(jaw[:, None], (middle - corner) / apart, train)
        measures.append(_Measure(frown, f"mouthFrown{word}", "", 0.04))
        still = (positions[:, TEMPLE[side], _Z] + eyes[side][:, _Z]) / 2
        brow = positions[:, BROW_OUTER[side], _Z].mean(1) - still
        measures.append(_Measure(brow / apart, f"browOuterUp{word}", f"browDown{word}", 0.04))
    return measures + _eye_measures(positions, train)


def _eye_measures(positions: np.ndarray, train: np.ndarray) -> list[_Measure]:
    """Lids of each eye, and the gaze of both together: they look the same way, and two irises tremble less than one."""
    lids, aside, up = [], [], []
    for side in (_RIGHT, _LEFT):
        outer, inner = positions[:, EYE_OUTER[side]], positions[:, EYE_INNER[side]]
        width = np.linalg.norm(outer - inner, axis=1)
        opening = positions[:, UPPER_LID[side]] - positions[:, LOWER_LID[side]]
        iris, lower = (positions[:, IRIS[side]], positions[:, LOWER_LID[side]].mean(1))
        lids.append(np.linalg.norm(opening, axis=2).mean(1) / width)
        aside.append((iris - (outer + inner) / 2)[:, _X] / width)
        up.append((iris + lower - outer - inner)[:, _Z] / width)  # the lower lid rises and sinks with the gaze
    left, opened = np.mean(aside, 0), np.mean(lids, 0)
    opened = opened - np.percentile(opened[train], _REST)
    # a closing lid takes the iris's landmarks along; an eye that is torn open shows more below it, as one that looks up
    lidded = np.stack([np.minimum(opened, 0), np.maximum(opened, 0)], 1)
    upward = _apart_from(lidded, np.mean(up, 0), train)
    return [
        _Measure(lids[_LEFT], "eyeWideLeft", "eyeBlinkLeft", 0.08),
        _Measure(lids[_RIGHT], "eyeWideRight", "eyeBlinkRight", 0.08),
        _Measure(left, "eyeLookOutLeft", "eyeLookInLeft", 0.04),
        _Measure(left, "eyeLookInRight", "eyeLookOutRight", 0.04),
        _Measure(upward, "eyeLookUpLeft", "eyeLookDownLeft", 0.04),
        _Measure(upward, "eyeLookUpRight", "eyeLookDownRight", 0.04),
    ]


def _apart_from(causes: np.ndarray, values: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Values [F] without what is linear in causes [F,n], as the training frames have it."""
    away = causes - causes[train].mean(0)
    slopes = np.linalg.lstsq(away[train], values[train] - values[train].mean())[0]
    return values - away @ slopes


def _distance(positions: np.ndarray, one: int, other: int) -> np.ndarray:
    return np.linalg.norm(positions[:, one] - positions[:, other], axis=1)


def _noise(values: np.ndarray) -> float:
    """The standard deviation of white noise with such second differences, whatever moves smoothly beneath it."""
    if len(values) < 3:
        return 0.0
    return float(1.4826 * np.median(np.abs(np.diff(values, 2))) / np.sqrt(6.0))
