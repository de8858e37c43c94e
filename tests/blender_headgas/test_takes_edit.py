# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be done to a take, against slow twins; and the quaternions it is done with."""

from dataclasses import replace

import numpy as np
import pytest

from blender_headgas.core.errors import HeadGaSError
from blender_headgas.core.rotations import (
    about,
    continuous,
    from_matrices,
    from_vectors,
    inverse,
    multiplied,
    normalised,
    slerped,
    to_matrices,
)
from blender_headgas.core.takes import Take
from blender_headgas.core.takes.edit import (
    at_rate,
    cut,
    gained,
    mirrored,
    moving,
    renamed,
    resampled,
    smoothed,
    zeroed,
)

NAMES = ("jawOpen", "mouthLeft", "eyeBlinkRight")


@pytest.fixture
def take():
    """40 moments at uneven times, with a head that turns far."""
    random = np.random.default_rng(4)
    times = np.concatenate([[0], np.cumsum(random.uniform(0.01, 0.06, 39))])
    vectors = np.stack([np.sin(times * 3), times, 0.3 * np.cos(times)], 1)
    values, moves = random.normal(size=(40, 3)).astype(np.float32), random.normal(size=(40, 3)).astype(np.float32)
    return Take(NAMES, times, values, from_vectors(vectors).astype(np.float32), moves)


def _rodrigues(vector):
    """The slow twin: a rotation vector's matrix."""
    angle = np.linalg.norm(vector)
    if angle == 0:
        return np.eye(3)
    x, y, z = vector / angle
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def test_quaternions():
    vectors = np.random.default_rng(5).normal(size=(30, 3))
    vectors[0] = 0
    turns = from_vectors(vectors)
    matrices = np.array([_rodrigues(vector) for vector in vectors])
    assert np.allclose(to_matrices(turns), matrices) and np.allclose(
        to_matrices(from_matrices(1.2 * matrices)), matrices
    )
    assert np.allclose(to_matrices(multiplied(turns[:-1], turns[1:])), matrices[:-1] @ matrices[1:])
    assert np.allclose(multiplied(turns, inverse(turns)), [1, 0, 0, 0])
    for axis in range(3):
        assert np.allclose(about(axis, np.array([0.7])), from_vectors(np.eye(3)[axis : axis + 1] * 0.7))
    flipped = turns * np.where(np.arange(30) % 2, -1, 1)[:, None]
    assert (np.sum(continuous(flipped)[1:] * continuous(flipped)[:-1], 1) >= 0).all()
    assert np.allclose(normalised(np.array([[0, 0, 0, 0], [0, 0, 3.0, 0]])), [[1, 0, 0, 0], [0, 0, 1, 0]])


def test_turns_are_blended_along_the_shorter_way():
    first, second = about(2, np.array([0.2, 0.2, 0.2])), about(2, np.array([1.0, 0.2, 1.0]))
    second[2] *= -1
    blended = slerped(first, second, np.array([0.25, 0.5, 1.0]))
    assert np.allclose(to_matrices(blended), to_matrices(about(2, np.array([0.4, 0.2, 1.0]))))


def test_resampling(take):
    times = np.array([-1, 0, 0.1, 0.333, take.times[7], take.duration, 99])
    found = resampled(take, times)
    for column in range(3):
        assert np.allclose(found.values[:, column], np.interp(times, take.times, take.values[:, column]), atol=1e-6)
        assert np.allclose(
            found.positions[:, column], np.interp(times, take.times, take.positions[:, column]), atol=1e-6
        )
    for moment, turn in zip(times, to_matrices(found.rotations), strict=True):
        after = int(np.clip(np.searchsorted(take.times, moment, side="right"), 1, 39))
        here, there = to_matrices(take.rotations[after - 1]), to_matrices(take.rotations[after])
        share = np.clip((moment - take.times[after - 1]) / (take.times[after] - take.times[after - 1]), 0, 1)
        assert np.allclose(turn, here @ _rodrigues(share * _logarithm(here.T @ there)), atol=1e-5)


def _logarithm(matrix):
    """A rotation matrix' vector."""
    angle = np.arccos(np.clip((np.trace(matrix) - 1) / 2, -1, 1))
    odd = np.array([matrix[2, 1] - matrix[1, 2], matrix[0, 2] - matrix[2, 0], matrix[1, 0] - matrix[0, 1]])
    return odd / 2 * (angle / np.sin(angle) if angle > 1e-6 else 1)


@pytest.mark.parametrize(("rate", "count"), [(24, 25), (30, 31), (29.97, 30), (60, 61), (1, 2)])
def test_every_frame_of_a_scene(rate, count):
    take = Take(("a",), np.arange(61) / 60, np.linspace(0, 1, 61, dtype=np.float32)[:, None])
    found = at_rate(take, rate)
    assert len(found.times) == count and found.values[:, 0] == pytest.approx(found.times, abs=1e-6)


@pytest.mark.parametrize("rate", [24, 30, 60])
def test_whole_milliseconds_lose_no_frame(rate):
    times = np.floor(np.arange(50) / rate * 1000) / 1000
    assert len(at_rate(Take(("a",), times, np.zeros((50, 1), np.float32)), rate).times) == 50


def test_a_take_that_outlasts_blender_is_refused():
    take = Take(("a",), np.array([0, 1e9]), np.zeros((2, 1), np.float32))
    with pytest.raises(HeadGaSError, match="1,000,000,000 s, which is 24,000,000,001 frames"):
        at_rate(take, 24)


def test_a_single_moment():
    take = Take(
        ("a",), np.zeros(1), np.ones((1, 1), np.float32), np.float32([[1, 0, 0, 0]]), np.ones((1, 3), np.float32)
    )
    for changed in (at_rate(take, 24), cut(take, 0, 5), smoothed(take, 0.1), resampled(take, np.array([0.0]))):
        assert changed.values.tolist() == [[1]] and changed.rotations.tolist() == [[1, 0, 0, 0]]


def test_cutting(take):
    part = cut(take, 0.25, 0.75)
    assert part.times[0] == 0 and part.duration == pytest.approx(0.5)
    inner = (take.times > 0.25) & (take.times < 0.75)
    assert np.array_equal(part.values[1:-1], take.values[inner]) and len(part.times) == inner.sum() + 2
    assert part.values[0, 1] == pytest.approx(np.interp(0.25, take.times, take.values[:, 1]))
    assert cut(take, 0, 99).times == pytest.approx(take.times)
    for start, end in ((99, 100), (0.5, 0.25), (-1, 1)):
        with pytest.raises(HeadGaSError, match="it has nothing from"):
            cut(take, start, end)


def test_smoothing_against_its_slow_twin(take):
    sigma = 0.05
    found = smoothed(take, sigma)
    for moment in range(40):
        distances = take.times - take.times[moment]
        weights = np.exp(-0.5 * (distances / sigma) ** 2) * (np.abs(distances) <= 3 * sigma)
        design = np.stack([np.ones(40), distances], 1)
        solution = np.linalg.lstsq(
            design * np.sqrt(weights)[:, None], take.values * np.sqrt(weights)[:, None], rcond=None
        )
        assert np.allclose(found.values[moment], solution[0][0], atol=1e-4)
    assert np.linalg.norm(found.rotations, axis=1) == pytest.approx(1, abs=1e-6)
    assert np.array_equal(smoothed(take, 0).values, take.values)


def test_smoothing_keeps_trends_and_delays_nothing():
    times = np.arange(200) / 60
    bump = np.exp(-0.5 * ((times - 1.5) / 0.1) ** 2)
    take = Take(("a", "b"), times, np.stack([2 + 3 * times, bump], 1).astype(np.float32))
    found = smoothed(take, 0.1)
    assert np.allclose(found.values[:, 0], 2 + 3 * times, atol=1e-4)  # at both ends too
    assert found.values[:, 1].argmax() == 90
    wider = np.hypot(0.1, 0.1)  # a Gaussian of a Gaussian
    assert np.allclose(found.values[:, 1], 0.1 / wider * np.exp(-0.5 * ((times - 1.5) / wider) ** 2), atol=0.01)


def test_smoothing_does_not_mind_a_quaternion_s_sign(take):
    flipped = replace(take, rotations=take.rotations * np.float32(np.where(np.arange(40) % 3, 1, -1))[:, None])
    assert np.allclose(
        to_matrices(smoothed(flipped, 0.05).rotations), to_matrices(smoothed(take, 0.05).rotations), atol=1e-5
    )


def test_the_first_moment_as_zero(take):
    found = zeroed(take)
    assert np.allclose(found.values, take.values - take.values[0])
    turns, first = to_matrices(take.rotations), to_matrices(take.rotations[0])
    assert np.allclose(to_matrices(found.rotations), first.T @ turns, atol=1e-5)
    assert np.allclose(found.positions, (take.positions - take.positions[0]) @ first, atol=1e-5)


def test_gain(take):
    assert np.allclose(gained(take, 1.5).values, take.values * 1.5)
    assert np.array_equal(gained(take, 1.5).rotations, take.rotations)


def test_a_mirror_exchanges_left_and_right(take):
    found = mirrored(take)
    assert found.names == ("jawOpen", "mouthRight", "eyeBlinkLeft") and np.array_equal(found.values, take.values)
    mirror = np.diag([-1.0, 1, 1])
    assert np.allclose(to_matrices(found.rotations), mirror @ to_matrices(take.rotations) @ mirror, atol=1e-6)
    assert np.allclose(found.positions, take.positions @ mirror)
    again = mirrored(found)
    assert again.names == take.names and np.array_equal(again.rotations, take.rotations)


def test_a_mirror_turns_flame_s_joints():
    names = ("expr_000", "jaw_x", "jaw_y", "jaw_z", "left_eye_y", "right_eye_y")
    take = Take(names, np.zeros(1), np.float32([[1, 2, 3, 4, 5, 6]]))
    found = dict(zip(mirrored(take).names, mirrored(take).values[0].tolist(), strict=True))
    assert found == {"expr_000": 1, "jaw_x": 2, "jaw_y": -3, "jaw_z": -4, "right_eye_y": -5, "left_eye_y": -6}


def test_channels_are_found_in_every_spelling():
    take = Take(
        ("jawOpen", "EyeBlink_L", "tongueOut", "expr_000", "mouthLeft"), np.zeros(1), np.float32([[1, 2, 0, 4, 5]])
    )
    found, unknown = renamed(take, ["mouthLeft", "eyeBlinkLeft", "JawOpen", "expr_001"])
    assert found.names == ("JawOpen", "eyeBlinkLeft", "mouthLeft") and found.values.tolist() == [[1, 2, 5]]
    assert unknown == ["tongueOut", "expr_000"] and moving(take, unknown) == ["expr_000"]
    assert renamed(take, ["other"])[0].values.shape == (1, 0)
    both = renamed(Take(("jawOpen",), np.zeros(1), np.ones((1, 1), np.float32)), ["JawOpen", "jawOpen"])[0]
    assert both.names == ("jawOpen",)  # the exact name goes first
