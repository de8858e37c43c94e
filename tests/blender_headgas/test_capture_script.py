# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The script of a character's capture: which expressions and views are asked for, and what is held out."""

from itertools import combinations

import numpy as np
import pytest

from blender_headgas.capture.sampler import BACK, Cap, facial_units, sample
from blender_headgas.character.expressions import arkit_poses

NAMES = list(arkit_poses())


def stems(names, expression):
    """The movements that an expression shows."""
    active = {name for name, value in zip(names, expression, strict=True) if value > 0}
    return {unit.stem for unit in facial_units(names) if any(set(v) & active for v in unit.variants)}


def test_the_script_is_decided_by_its_seed():
    one, same, other = (sample(NAMES, 60, 10, seed) for seed in (3, 3, 4))
    assert all(np.array_equal(a.expression, b.expression) and a.yaw == b.yaw for a, b in zip(one, same, strict=True))
    assert any(not np.array_equal(a.expression, b.expression) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("seed", range(3))
def test_training_shows_every_channel_and_the_neutral_face(seed):
    train = [s for s in sample(NAMES, 96, 14, seed) if s.split == "train"]
    expressions = np.stack([s.expression for s in train])
    assert len(train) == 96
    assert (expressions == 0).all(axis=1).sum() >= 3
    assert (expressions.max(axis=0) >= 0.5).all()
    assert expressions.min() >= 0 and expressions.max() <= 1
    assert (expressions > 0).sum(axis=1).max() <= 16
    assert abs(np.array([s.yaw for s in train])).max() <= 35 and abs(np.array([s.pitch for s in train])).max() <= 15
    assert np.ptp([s.yaw for s in train]) > 60 and np.ptp([s.pitch for s in train]) > 25


@pytest.mark.parametrize("seed", range(3))
def test_half_of_the_test_frames_combine_what_training_never_combined(seed):
    samples = sample(NAMES, 96, 14, seed)
    shown = [stems(NAMES, s.expression) for s in samples if s.split == "train"]
    unseen = 0
    for test in (s for s in samples if s.split == "test"):
        active = sorted(stems(NAMES, test.expression))
        pairs = [(a, b) for i, a in enumerate(active) for b in active[i + 1 :]]
        unseen += any(not any({a, b} <= train for train in shown) for a, b in pairs)
        views = [(s.yaw, s.pitch) for s in samples if s.split == "train"]
        assert (test.yaw, test.pitch) not in views
    assert unseen >= 7


@pytest.mark.parametrize("pair", [
    ("mouthLeft", "mouthRight"), ("jawLeft", "jawRight"), ("browDownLeft", "browInnerUp"),
    ("eyeLookInLeft", "eyeLookOutLeft"), ("eyeLookUpRight", "eyeLookDownRight"), ("eyeBlinkLeft", "eyeWideLeft"),
    ("mouthSmileLeft", "mouthFrownLeft"),
])
def test_opposites_never_meet(pair):
    a, b = (NAMES.index(name) for name in pair)
    for s in sample(NAMES, 300, 30, 1):
        assert s.expression[a] * s.expression[b] == 0


def test_the_eyes_look_the_same_way():
    for s in sample(NAMES, 300, 0, 2):
        value = dict(zip(NAMES, s.expression, strict=True))
        assert value["eyeLookOutLeft"] == value["eyeLookInRight"]
        assert value["eyeLookUpLeft"] == value["eyeLookUpRight"]


def test_lips_close_only_over_an_open_jaw():
    values = np.stack([s.expression for s in sample(NAMES, 300, 0, 0)])
    close, jaw = values[:, NAMES.index("mouthClose")], values[:, NAMES.index("jawOpen")]
    tongue = values[:, NAMES.index("tongueOut")]
    assert close.max() > 0 and (close <= jaw).all() and (tongue <= jaw).all()


def test_unknown_names_are_sampled_too():
    values = np.stack([s.expression for s in sample(["Angry", "Happy", "Blink.L"], 20, 4, 0)])
    assert (values.max(axis=0) > 0.4).all()


def test_pairs_that_can_occur_together_do():
    """Drawn by chance, whatever was seen before, movements would leave a third of all pairs alone."""
    samples = [s for s in sample(NAMES, 200, 14, 0) if s.split == "train"]
    shown = {pair for s in samples for pair in combinations(sorted(stems(NAMES, s.expression)), 2)}
    possible = len(list(combinations(facial_units(NAMES), 2)))
    assert len(shown) > 0.77 * possible


def test_what_goes_both_ways_goes_one_way_at_a_time():
    names = ["jaw turn X", "jaw turn X" + BACK, "Angry", "Happy"]
    values = np.stack([s.expression for s in sample(names, 60, 8, 0)])
    assert (values[:, 0] * values[:, 1] == 0).all() and (values[:, :2].max(axis=0) > 0.7).all()


def test_cameras_stay_on_their_cap():
    samples = sample(NAMES, 60, 10, 0, Cap(5.0, 50.0))
    assert max(abs(s.yaw) for s in samples) <= 5 and 40 < max(abs(s.pitch) for s in samples) <= 50


def test_a_third_of_the_frames_show_the_user_s_action_and_tests_its_end():
    samples = sample(NAMES, 60, 12, 0, action=(10.0, 110.0))
    train, test = ([s.time for s in samples if s.split == split and s.time is not None] for split in ("train", "test"))
    assert len(train) == 20 and len(test) == 4 and len(samples) == 72
    assert train[0] == 10 and max(train) == 95 < min(test) and max(test) < 110
    assert all((s.expression == 0).all() for s in samples if s.time is not None)
