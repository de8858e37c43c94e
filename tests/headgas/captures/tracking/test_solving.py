# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is worked out from landmarks: the head's motion, its smoothing, the channels and components."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from headgas.captures.tracking import pose, smoothing
from headgas.captures.tracking.channels import ALWAYS, measure_channels
from headgas.captures.tracking.choosing import COVERED, fits, held_out
from headgas.captures.tracking.expression import fit_expressions
from headgas.captures.tracking.landmarks import (
    IRIS,
    LOWER_LID,
    MOUTH_CORNER,
    PAIRS,
    STABLE,
    UPPER_LID,
    mirrored,
)
from tests.headgas.captures.tracking.faces import K, neutral_face, video

TALKING = ("jawOpen", "eyeBlinkLeft", "eyeBlinkRight", "mouthSmileLeft", "mouthSmileRight", "browInnerUp")
EVERY = np.ones(120, bool)


def _degrees(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """[F] between rotations [F,3,3]."""
    return np.degrees((Rotation.from_matrix(one).inv() * Rotation.from_matrix(other)).magnitude())


def test_the_mesh_is_numbered_as_its_own_mirror_image() -> None:
    # outer and inner corners of the eyes, of the mouth, temples, chin: as MediaPipe's documentation has them
    assert [mirrored(number) for number in (33, 133, 61, 127, 148, 107, 152)] == [263, 362, 291, 356, 377, 336, 152]
    assert len(set(STABLE.tolist())) == len(STABLE) == 14 + 2 * len(PAIRS)


def test_the_motion_is_found_although_the_face_moves() -> None:
    seen = video(noise=0.4)
    motion = pose.solve_motion(seen.landmarks, K)
    assert np.median(_degrees(motion.rotations, seen.rotations)) < 1.0
    assert np.abs(motion.translations - seen.translations).max() < 0.02
    np.testing.assert_allclose(motion.shape[STABLE], neutral_face()[STABLE], atol=0.004)
    assert np.median(pose.stable_errors(seen.landmarks, motion, K)) < 0.8


def test_the_motion_is_exact_where_the_landmarks_are() -> None:
    seen = video(still=("jaw", "smile", "blink", "look", "brows", "cheek"))
    motion = pose.solve_motion(seen.landmarks, K)
    assert _degrees(motion.rotations, seen.rotations).max() < 0.2
    assert pose.stable_errors(seen.landmarks, motion, K).max() < 0.05


def test_a_focal_length_changes_the_distance_and_hardly_the_rotation() -> None:
    seen = video()
    longer = K * np.array([[1.5, 1, 1], [1, 1.5, 1], [1, 1, 1]])
    one, other = pose.solve_motion(seen.landmarks, K), pose.solve_motion(seen.landmarks, longer)
    ratio = other.translations[:, 2] / one.translations[:, 2]
    np.testing.assert_allclose(ratio, 1.5, atol=0.1)
    assert np.median(_degrees(one.rotations, other.rotations)) < 4


def test_unprojecting_and_projecting_are_each_others_inverse() -> None:
    seen = video()
    motion = pose.HeadMotion(seen.rotations, seen.translations, neutral_face())
    points = pose.unproject(seen.landmarks[..., :2], motion, K)
    np.testing.assert_allclose(
        pose.project(points, seen.rotations, seen.translations, K), seen.landmarks[..., :2], atol=1e-9
    )


def test_the_views_are_where_the_camera_is() -> None:
    turned = np.array([[np.cos(0.3), -np.sin(0.3), 0], [np.sin(0.3), np.cos(0.3), 0], [0, 0, 1]])  # to its left
    to_camera = np.array([[1.0, 0, 0], [0, 0, -1.0], [0, 1.0, 0]])
    yaw, pitch = pose.views((to_camera @ turned)[None])
    assert yaw[0] == pytest.approx(-np.degrees(0.3)) and pitch[0] == pytest.approx(0)


def test_smoothing_takes_the_trembling_and_no_motion() -> None:
    seen, generator = video(), np.random.default_rng(3)
    trembling = Rotation.from_rotvec(generator.normal(0, np.radians(0.4), (120, 3))).as_matrix() @ seen.rotations
    motion = pose.HeadMotion(trembling, seen.translations, neutral_face())
    numbers = np.arange(120)
    smooth = smoothing.smoothed(motion, numbers)
    assert smoothing.is_sequence(motion, numbers)
    assert np.nanmedian(smoothing.jitter(smooth, numbers)) < 0.4 * np.nanmedian(smoothing.jitter(motion, numbers))
    assert np.median(_degrees(smooth.rotations, seen.rotations)) < 0.75 * np.median(_degrees(trembling, seen.rotations))
    exact = smoothing.smoothed(pose.HeadMotion(seen.rotations, seen.translations, neutral_face()), numbers)
    assert _degrees(exact.rotations, seen.rotations).max() < 0.1  # no lag


def test_shots_are_smoothed_apart_and_dropped_frames_are_bridged() -> None:
    seen = video()
    rotations = seen.rotations.copy()
    rotations[60:] = rotations[60:] @ Rotation.from_euler("z", 60, degrees=True).as_matrix()
    kept = np.delete(np.arange(120), [20, 21])
    motion = pose.HeadMotion(rotations[kept], seen.translations[kept], neutral_face())
    smooth = smoothing.smoothed(motion, kept)
    assert [last - first for first, last in smoothing.shots(motion, kept)] == [58, 60]
    assert _degrees(smooth.rotations, rotations[kept]).max() < 0.2
    shuffled = np.random.default_rng(0).permutation(120)
    unordered = pose.HeadMotion(seen.rotations[shuffled], seen.translations, neutral_face())
    assert not smoothing.is_sequence(unordered, np.arange(120))


def test_named_channels_follow_what_the_face_does() -> None:
    seen = video(noise=0.3)
    motion = pose.solve_motion(seen.landmarks, K)
    positions = pose.unproject(seen.landmarks[..., :2], motion, K)
    channels = {channel.name: channel for channel in measure_channels(positions, EVERY, in_order=True)}
    truth = {"jawOpen": "jaw", "mouthSmileLeft": "smile", "mouthSmileRight": "smile", "eyeBlinkLeft": "blink"}
    truth |= {"eyeLookOutLeft": "look", "eyeLookInRight": "look", "browInnerUp": "brows", "browOuterUpLeft": "brows"}
    for name, moved in truth.items():
        assert not channels[name].problem, name
        assert np.corrcoef(channels[name].values, seen.moved[moved])[0, 1] > 0.9, name
        assert 0 <= channels[name].values.min() and 0.8 < channels[name].values.max() <= 1.5
    still = pose.unproject(video(noise=0.3, still=tuple(seen.moved)).landmarks[..., :2], motion, K)
    untrusted = {channel.name for channel in measure_channels(still, EVERY, in_order=True) if channel.problem}
    assert untrusted >= {"jawOpen", "eyeBlinkLeft", "mouthPucker"}


def test_an_eye_that_is_torn_open_does_not_look_down() -> None:
    positions, beat = np.repeat(neutral_face()[None], 120, 0), np.sin(3.1 * np.arange(120) / 25)
    shut, wide = np.clip(beat, 0, 1), np.clip(-beat, 0, 1)
    for side in (0, 1):
        positions[:, UPPER_LID[side], 2] += 0.004 * wide[:, None] - 0.009 * shut[:, None]
        positions[:, LOWER_LID[side], 2] -= 0.002 * wide[:, None]
        positions[:, IRIS[side], 2] -= 0.002 * shut
    found = {channel.name: channel for channel in measure_channels(positions, EVERY, in_order=True)}
    assert not found["eyeWideLeft"].problem and not found["eyeBlinkRight"].problem
    assert found["eyeLookDownLeft"].problem and found["eyeLookUpRight"].problem


def test_what_a_face_shows_all_the_time_is_not_its_rest() -> None:
    positions, smiling = np.repeat(neutral_face()[None], 120, 0), np.arange(120) > 30
    for side in (0, 1):
        positions[smiling, MOUTH_CORNER[side], 2] += 0.008
    found = {channel.name: channel for channel in measure_channels(positions, EVERY, in_order=True)}
    assert found["mouthSmileLeft"].problem == found["mouthSmileRight"].problem == ALWAYS
    assert found["jawOpen"].problem == found["eyeWideLeft"].problem == "hardly moved"


def test_components_hold_what_no_name_says() -> None:
    seen = video(frames=200, noise=0.2)
    train = held_out(200, 0.2)
    motion = pose.solve_motion(seen.landmarks, K)
    found = fit_expressions(seen.landmarks, motion, K, train, in_order=True)
    assert train.sum() == 160 and not train[160:].any()
    assert set(TALKING) <= set(found.names[: found.named])
    assert found.names[found.named :] == tuple(f"component_{k:02d}" for k in range(len(found.names) - found.named))
    assert 16 <= len(found.names) - found.named <= 32
    cheek = [abs(np.corrcoef(found.values[:, k], seen.moved["cheek"])[0, 1]) for k in range(len(found.names))]
    assert int(np.argmax(cheek)) >= found.named and max(cheek) > 0.8
    assert found.explained[-1] > 0.95 and (np.diff(found.explained) >= 0).all()
    assert found.errors[~train].mean() < 1.0  # pixels
    assert np.percentile(np.abs(found.values[train]), 98, axis=0) == pytest.approx(1.0, abs=0.35)


def test_frames_that_do_not_fit_say_why() -> None:
    errors, away = np.full(50, 0.5), np.full(50, 0.2)
    errors[7], away[9] = 4.0, 9.0
    reasons = fits(errors, away, eyes_apart=80.0, in_order=True)
    assert [number for number, reason in enumerate(reasons) if reason] == [7, 9]
    assert reasons[7] == COVERED and "jumps" in reasons[9]
    assert not fits(errors, away, 80.0, in_order=False)[9]
