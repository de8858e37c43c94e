# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The scripted range of expressions and views: what a captured character is asked to do, frame by frame.

numpy only. Channels that belong together move together: left and right of a pair, both eyes of a gaze. A channel that
goes both ways from its rest has two names here, `name` and `name` with `BACK` behind it: what goes up or down alone.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

DISTANCE_SPREAD = 0.06  # share of the distance
BACK = " (back)"
_ACTION_SHARE, _ACTION_TAIL = 1 / 3, 0.15  # of the frames that the user's action gets; of its end, kept for tests
_SIDES = ("Left", "Right")
# mouthClose closes the lips of an open jaw, and a tongue needs room: alone they have no meaning. Name: greatest value.
_WITH_OPEN_JAW = {"mouthClose": 0.6, "tongueOut": 1.0}
_CONFLICTS = [  # stems that faces don't do at once
    ("mouthLeft", "mouthRight"), ("jawLeft", "jawRight"), ("browDown", "browInnerUp"), ("browDown", "browOuterUp"),
    ("mouthSmile", "mouthFrown"), ("mouthSmile", "mouthPucker"), ("mouthSmile", "mouthFunnel"),
    ("mouthPucker", "mouthFunnel"), ("mouthPucker", "mouthStretch"), ("mouthFunnel", "mouthStretch"),
    ("mouthFrown", "mouthFunnel"), ("eyeBlink", "eyeWide"), ("eyeBlink", "eyeSquint"), ("eyeSquint", "eyeWide"),
    ("eyeBlink", "look"), ("cheekPuff", "jawOpen"), ("cheekPuff", "mouthFunnel"), ("cheekPuff", "mouthStretch"),
    ("mouthPress", "jawOpen"), ("mouthPress", "mouthUpperUp"), ("mouthPress", "mouthLowerDown"),
    ("mouthRollLower", "mouthLowerDown"), ("mouthRollUpper", "mouthUpperUp"), ("mouthShrugLower", "jawOpen"),
    ("mouthShrugLower", "mouthLowerDown"), ("mouthShrugUpper", "mouthUpperUp"), ("tongueOut", "cheekPuff"),
    ("tongueOut", "jawOpen"), ("tongueOut", "mouthShrug"), ("tongueOut", "mouthPress"), ("tongueOut", "mouthRoll"),
    ("tongueOut", "mouthPucker"),
    ("mouthClose", "jawOpen"), ("mouthClose", "mouthUpperUp"), ("mouthClose", "mouthLowerDown"),
    ("mouthClose", "mouthFunnel"), ("mouthClose", "mouthShrugLower"), ("mouthClose", "tongueOut"),
    ("mouthRollLower", "mouthFunnel"), ("mouthRollUpper", "mouthFunnel"), ("mouthRollLower", "mouthPucker"),
    ("mouthRollUpper", "mouthPucker"), ("mouthStretch", "mouthSmile"), ("mouthDimple", "mouthPucker"),
]
# Turn by turn: which variant (both sides, left, right) of a movement is shown alone, how strongly; by count of variants
_ALONE = {
    1: ((0, 1.0), (0, 0.5), (0, 0.75), (0, 0.3)),
    3: ((0, 1.0), (1, 1.0), (2, 1.0), (0, 0.5), (0, 0.75), (1, 0.5), (2, 0.5)),
}


@dataclass(frozen=True)
class Sample:
    """One frame to capture: angles in degrees, distance as a factor of the usual one."""

    split: str  # train or test
    expression: np.ndarray  # [B], each 0 to 1
    yaw: float
    pitch: float
    distance: float
    time: float | None = None  # of the user's own action, whose expression is then the one that counts


@dataclass(frozen=True)
class Cap:
    """How far the cameras go around the face, to either side of its front: degrees."""

    yaw: float = 35.0
    pitch: float = 15.0


@dataclass(frozen=True)
class Unit:
    """Channels that one facial movement drives together."""

    stem: str  # what conflicts and unseen pairs are told by
    region: str
    variants: tuple[tuple[str, ...], ...]  # the usual one first: both sides, then left, then right
    limit: float = 1.0  # greatest plausible value


def facial_units(names: Sequence[str]) -> list[Unit]:
    """The movements that these channels can make; ARKit names are understood, others stand alone."""
    known, units, used = set(names), [], set()

    def add(stem: str, region: str, *variants: tuple[str, ...]) -> None:
        present = tuple(variant for variant in variants if variant and set(variant) <= known)
        if present:
            units.append(Unit(stem, region, present))
            used.update(name for variant in present for name in variant)

    for direction, pair in {
        "Left": ("eyeLookOutLeft", "eyeLookInRight"), "Right": ("eyeLookInLeft", "eyeLookOutRight"),
        "Up": ("eyeLookUpLeft", "eyeLookUpRight"), "Down": ("eyeLookDownLeft", "eyeLookDownRight"),
    }.items():
        add(f"look{direction}", "gaze" + ("Across" if direction in _SIDES else "Along"), pair)
    for name in names:
        stem = name.removesuffix("Left").removesuffix("Right")
        if name in used or stem not in ("jaw", "mouth"):
            continue
        add(name, stem + "Shift", (name,))
    for name in names:
        if name in used:
            continue
        stem = name.removesuffix("Left").removesuffix("Right")
        left, right = stem + "Left", stem + "Right"
        if name in _WITH_OPEN_JAW and "jawOpen" in known:
            units.append(Unit(name, _region(name), (("jawOpen", name),), _WITH_OPEN_JAW[name]))
        elif stem != name and left in known and right in known:
            add(stem, _region(stem), (left, right), (left,), (right,))
        else:
            add(name, _region(name), (name,))
    return units


def _region(stem: str) -> str:
    for prefix, region in (("brow", "brows"), ("eye", "lids"), ("jaw", "jaw"), ("cheek", "cheeks"), ("nose", "cheeks"),
                           ("mouth", "mouth"), ("tongue", "tongue")):
        if stem.startswith(prefix):
            return region
    return stem


def _clash(first: Unit, second: Unit) -> bool:
    """Whether two movements exclude each other."""
    if first.region == second.region and first.region.startswith("gaze") or first is second:
        return True
    if first.stem.removesuffix(BACK) == second.stem.removesuffix(BACK):
        return True
    return any(
        one.startswith(a) and other.startswith(b)
        for one, other in ((first.stem, second.stem), (second.stem, first.stem))
        for a, b in _CONFLICTS
    )


class _Script:
    """Draws movements so that rare ones come first, and pairs that were not seen together yet before others."""

    def __init__(self, names: Sequence[str], seed: int) -> None:
        self.names = list(names)
        self.units = facial_units(names)
        self.rng = np.random.default_rng(seed)
        self.uses = np.zeros(len(self.units))
        self.met = np.zeros((len(self.units), len(self.units)))  # how often two of them were shown together
        self.reserved: set[frozenset[str]] = set()

    def expression(self, parts: Iterable[tuple[tuple[str, ...], float]]) -> np.ndarray:
        """Channel values [B] of (channels, strength) pairs."""
        values = np.zeros(len(self.names))
        for channels, strength in parts:
            for channel in channels:
                values[self.names.index(channel)] = strength
        return values

    def variant(self, unit: Unit) -> tuple[str, ...]:
        """Both sides mostly, one of them sometimes."""
        if len(unit.variants) == 1 or self.rng.random() < 0.6:
            return unit.variants[0]
        return unit.variants[1 + int(self.rng.integers(len(unit.variants) - 1))]

    def draw(self, count: int, chosen: tuple[Unit, ...] = ()) -> list[Unit]:
        """Up to count movements that go together, the given ones first; no reserved pair unless given."""
        picked = list(chosen)
        while len(picked) < count:
            free = [i for i, unit in enumerate(self.units) if self._fits(unit, picked)]
            if not free:
                break
            company = [self.units.index(unit) for unit in picked]
            new = 1.0 + (self.met[np.ix_(free, company)] == 0).sum(axis=1)
            weight = (new**2 / (1.0 + self.uses[free])) ** 4
            choice = int(self.rng.choice(free, p=weight / weight.sum()))
            self.uses[choice] += 1
            self.met[choice, company] += 1
            self.met[company, choice] += 1
            picked.append(self.units[choice])
        return picked

    def _fits(self, unit: Unit, picked: list[Unit]) -> bool:
        same_region = sum(unit.region == other.region for other in picked)
        return same_region < 2 and not any(
            _clash(unit, other) or frozenset((unit.stem, other.stem)) in self.reserved for other in picked
        )

    def mix(self, count: int, chosen: tuple[Unit, ...] = ()) -> np.ndarray:
        """A combination of movements as an expression [B]; many movements at once are weaker."""
        units = self.draw(count, chosen)
        low, high = 0.3, 1.0 if len(units) <= 3 else 0.8
        strengths = self.rng.uniform(low, high, len(units))
        return self.expression((self.variant(u), u.limit * s) for u, s in zip(units, strengths, strict=True))

    def reserve(self, count: int) -> list[tuple[Unit, Unit]]:
        """Pairs of movements that training must never show together."""
        pairs = [
            (a, b) for a, b in combinations(self.units, 2)
            if a.region != b.region and not _clash(a, b) and "gaze" not in a.region + b.region
        ]
        chosen = [pairs[i] for i in self.rng.permutation(len(pairs))[:count]]
        self.reserved = {frozenset((a.stem, b.stem)) for a, b in chosen}
        return chosen


def _views(count: int, start: int, cap: Cap) -> np.ndarray:
    """Yaw, pitch (degrees) and distance factor [count,3]: Roberts' R3 low-discrepancy sequence from index start."""
    golden = 1.2207440846057596  # the real root of x^4 = x + 1
    steps = np.arange(start + 1, start + count + 1)[:, None] * (1.0 / golden ** np.arange(1, 4)) + 0.5
    return (steps % 1.0 * 2.0 - 1.0) * [cap.yaw, cap.pitch, DISTANCE_SPREAD] + [0.0, 0.0, 1.0]


def sample(
    names: Sequence[str],
    frames: int,
    test_frames: int,
    seed: int = 0,
    cap: Cap | None = None,
    action: tuple[float, float] | None = None,
) -> list[Sample]:
    """The frames to capture: neutral ones, every movement alone, combinations, the user's action; then the test frames.

    Half of the scripted test frames combine two movements that no scripted training frame shows together; the views of
    all of them lie between the training views. `action` is the first and the last frame of the user's animation: a
    third of all frames show it, those of the tests its end.
    """
    cap = cap or Cap()
    acted, acted_tests = (round(_ACTION_SHARE * count) if action else 0 for count in (frames, test_frames))
    script = _Script(names, seed)
    unseen = script.reserve((test_frames - acted_tests + 1) // 2)
    scripted = frames - acted
    neutral = min(scripted, max(2, scripted // 24))
    expressions = [np.zeros(len(names))] * neutral

    alone = min(scripted - neutral, max(len(script.units), round(0.45 * scripted)))
    order = np.concatenate([script.rng.permutation(len(script.units)) for _ in range(alone // len(script.units) + 1)])
    for position, index in enumerate(order[:alone]):
        unit = script.units[index]
        turns = _ALONE[len(unit.variants)]
        variant, strength = turns[position // len(script.units) % len(turns)]
        expressions.append(script.expression([(unit.variants[variant], unit.limit * strength)]))
    while len(expressions) < scripted:
        expressions.append(script.mix(int(script.rng.integers(2, 6))))

    tests = [script.mix(int(script.rng.integers(2, 4)), chosen=pair) for pair in unseen]
    while len(tests) < test_frames - acted_tests:
        tests.append(script.mix(int(script.rng.integers(1, 5))))

    # Neighbouring views must not belong to neighbouring kinds of frames, so training views are dealt in random order.
    views = _views(frames, 0, cap)[script.rng.permutation(frames)]
    if frames:
        views[0] = (0.0, 0.0, 1.0)
    times, test_times = _action_times(action, acted, acted_tests)
    still = np.zeros(len(names))
    return [
        Sample(split, expression, float(yaw), float(pitch), float(distance), time)
        for split, poses, where in (
            ("train", [(one, None) for one in expressions] + [(still, time) for time in times], views),
            ("test", [(one, None) for one in tests] + [(still, time) for time in test_times],
             _views(test_frames, frames, cap)),
        )
        for (expression, time), (yaw, pitch, distance) in zip(poses, where, strict=True)
    ]


def _action_times(action: tuple[float, float] | None, train: int, test: int) -> tuple[list[float], list[float]]:
    """Moments of an animation to train with, and of its end to test with; evenly spread."""
    if action is None:
        return [], []
    first, last = action
    end = last - _ACTION_TAIL * (last - first) if test else last
    gap = (last - end) / (test + 1)  # so that no test follows hard upon training
    return np.linspace(first, end, train).tolist(), (end + gap * np.arange(1, test + 1)).tolist()
