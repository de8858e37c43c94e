# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""How well videos are tracked, on a capture whose poses are exact: `measure_tracking.py CAPTURE --out DIR`.

Its pictures are put before a background and tracked as if they were a video. `DIR/tracked` is then a capture of the
dataset's own pictures and mattes with the tracked cameras and expressions, and `DIR/exact` the same with the exact
ones, to train on both; both have the tracked points to begin at. Needs Python with the backend, and the face tracker,
which the first use downloads.
"""

import argparse
import os
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "backend"))

from headgas.avatars.expression_space import ExpressionSpace
from headgas.captures import Capture, Frame, load_capture
from headgas.captures.folder import write_folder
from headgas.captures.tracking.environment import tracker_python
from headgas.captures.tracking.expression import Expressions, fit_expressions
from headgas.captures.tracking.observing import Tracker
from headgas.captures.tracking.points import surface_points
from headgas.captures.tracking.pose import HeadMotion, project, solve_motion
from headgas.captures.tracking.smoothing import smoothed

_EXTENT = 0.1  # metres from the middle of the head: how far the points reach whose pixels are compared


def main() -> None:
    """Tracks, compares, writes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("capture", type=Path, help="poses are exact, and all frames have one camera")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--focal", type=float, help="pixels (default: the exact one)")
    options = parser.parse_args()
    capture = load_capture(options.capture)
    frames = sorted(capture.frames, key=lambda frame: frame.name)
    for number, frame in enumerate(frames):
        _before_a_background(frame, options.out / "video" / f"{number:06d}.png")
    python = tracker_python(lambda _share, text: print(text, file=sys.stderr))
    observed = Tracker(python, options.out / "video", 30.0).observe(lambda done, of: None)
    assert observed.found.all(), "some frames have no face"
    K = frames[0].K.astype(float)
    if options.focal:
        K[0, 0] = K[1, 1] = options.focal
    raw = solve_motion(observed.landmarks, K)
    motion = smoothed(raw, np.arange(len(frames)))
    train = np.array([frame.split == "train" for frame in frames])
    found = fit_expressions(observed.landmarks, motion, K, train, in_order=True)
    _compare("as solved", frames, raw, K)
    from_exact, turned = _compare("smoothed", frames, motion, K)
    _compare_channels(capture, frames, found)
    zeros = (0.0,) * len(found.names)
    space = ExpressionSpace("custom", found.names, zeros, zeros, zeros)
    points = surface_points(found.rest)
    np.save(_linked(options.out / "tracked", frames) / "points.npy", points)
    tracked = [_tracked(frame, motion, place, K, found.values[place]) for place, frame in enumerate(frames)]
    write_folder(options.out / "tracked", space, tracked, "points.npy", estimated=True)
    exact = [replace(frame, depth=None) for frame in frames]
    unturned = Rotation.from_rotvec(-from_exact[:3]).apply(turned.inv().apply(points) - from_exact[3:6])
    np.save(_linked(options.out / "exact", frames) / "points.npy", unturned / np.exp(from_exact[6]))
    write_folder(options.out / "exact", capture.expression_space, exact, "points.npy")


def _before_a_background(frame: Frame, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    blots = (np.random.default_rng(0).random((12, 12, 3)) * 90 + 90).astype(np.uint8)
    picture = Image.fromarray(blots).resize((frame.width, frame.height), Image.Resampling.BICUBIC).convert("RGBA")
    with Image.open(frame.image) as opened:
        picture.alpha_composite(opened.convert("RGBA"))
    picture.convert("RGB").save(path)


def _compare(name: str, frames: list[Frame], motion: HeadMotion, K: np.ndarray) -> tuple[np.ndarray, Rotation]:
    """Prints the errors of the poses, but for one similarity that all frames share: where the head's own axes are.

    Returns:
        It, from exact to tracked axes: a rotation vector, a translation and the logarithm of a scale [7], then a turn.
    """
    exact = np.stack([frame.viewmat for frame in frames]).astype(float)
    turned = Rotation.from_matrix(motion.rotations.transpose(0, 2, 1) @ exact[:, :3, :3]).mean()
    rotations = motion.rotations @ turned.as_matrix()
    angles = np.degrees((Rotation.from_matrix(rotations).inv() * Rotation.from_matrix(exact[:, :3, :3])).magnitude())
    points = np.random.default_rng(0).uniform(-_EXTENT, _EXTENT, (300, 3))
    points = points[np.linalg.norm(points, axis=1) < _EXTENT]
    pixels = project(points, exact[:, :3, :3], exact[:, :3, 3], frames[0].K.astype(float))

    def errors(similarity: np.ndarray) -> np.ndarray:
        own = np.exp(similarity[6]) * Rotation.from_rotvec(similarity[:3]).apply(points) + similarity[3:6]
        return (project(own @ turned.as_matrix().T, motion.rotations, motion.translations, K) - pixels).ravel()

    similarity = least_squares(errors, np.zeros(7))
    missed = np.square(similarity.fun.reshape(-1, 2)).sum(1)
    turns = f"rotation {np.median(angles):.2f}° median, {np.percentile(angles, 95):.2f}° 95th percentile"
    print(f"{name}: {turns}; points within {_EXTENT * 100:.0f} cm {np.sqrt(missed.mean()):.2f} px RMS")
    return similarity.x, turned


def _compare_channels(capture: Capture, frames: list[Frame], found: Expressions) -> None:
    names = capture.expression_space.names
    truth = np.stack([frame.expression for frame in frames])
    for channel in found.channels:
        if channel.name in names and truth[:, names.index(channel.name)].any():
            correlation = np.corrcoef(channel.values, truth[:, names.index(channel.name)])[0, 1]
            print(f"{channel.name:>20} correlation {correlation:5.2f}  {channel.problem}")


def _tracked(frame: Frame, motion: HeadMotion, place: int, K: np.ndarray, values: np.ndarray) -> Frame:
    viewmat = np.eye(4, dtype=np.float32)
    viewmat[:3, :3], viewmat[:3, 3] = motion.rotations[place], motion.translations[place]
    expression = values.astype(np.float32)
    return replace(frame, viewmat=viewmat, K=K.astype(np.float32), expression=expression, depth=None)


def _linked(folder: Path, frames: list[Frame]) -> Path:
    """The folder of a capture, with the pictures."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    for frame in frames:
        link = folder / "images" / f"{frame.name}.png"
        if not link.exists():
            os.symlink(frame.image.resolve(), link)
    return folder


if __name__ == "__main__":
    main()
