# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a video to a capture folder: look, solve, choose, describe, cut out, write; `capture.json` comes last."""

import json
import os
import shutil
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from headgas import files
from headgas.avatars.expression_space import ExpressionSpace
from headgas.captures import folder
from headgas.captures.capture import Box, Frame
from headgas.captures.tracking import choosing, pictures
from headgas.captures.tracking.advice import advice
from headgas.captures.tracking.environment import tracker_python
from headgas.captures.tracking.expression import Expressions, fit_expressions
from headgas.captures.tracking.focal import intrinsics
from headgas.captures.tracking.landmarks import EYES, IRIS, MOUTH
from headgas.captures.tracking.observing import Observations, Tracker
from headgas.captures.tracking.points import surface_points
from headgas.captures.tracking.pose import HeadMotion, solve_motion, stable_errors, unproject, views
from headgas.captures.tracking.smoothing import is_sequence, jitter, smoothed
from headgas.errors import HeadGaSError

FACTS = "tracking.json"
_UNFINISHED = "tracking.unfinished"  # lies in a folder that is being written
_CUT = "cut"  # pictures without their matte, within that folder
_FEWEST = 12  # frames: with fewer, nothing can be said
_THREADS = 8  # that cut heads out: each needs some 30 MB
_MARGIN = 0.25  # of the width of eyes or mouth, around them
_SHARES = {"tracker": 0.05, "look": 0.45, "cut": 0.65, "write": 0.98}  # of the whole time, at the end of each part
Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class TrackOptions:
    """What to make of a video."""

    focal: str | None = None  # pixels, or millimetres of a 35 mm camera
    size: int = 512  # pixels of the pictures' edges, at most
    torso: bool = False  # neck and shoulders stay
    held_out: float = 0.15  # of the frames, at the end, to judge the avatar
    rate: float = 30.0  # frames per second at most
    offline: bool = False  # download nothing


@dataclass(frozen=True)
class Tracked:
    """What came of it, for a report."""

    out: Path
    facts: dict[str, Any]  # tracking.json, docs/formats.md
    frames: list[Frame]  # as the capture has them
    landmarks: np.ndarray  # [n,478,2] pixels of their pictures
    numbers: np.ndarray  # [n] their places in the video
    yaw: np.ndarray  # [n] degrees
    pitch: np.ndarray  # [n] degrees
    errors: np.ndarray  # [n] pixels of the video, of the stable landmarks


@dataclass(frozen=True)
class _Solved:
    """The frames that can be used."""

    numbers: np.ndarray  # [n]
    motion: HeadMotion
    errors: np.ndarray  # [n] pixels
    trembling: np.ndarray  # [n] degrees, before it was smoothed
    reasons: list[str]  # of every frame of the video; empty where it is used
    in_order: bool


def track(source: Path, out: Path, options: TrackOptions, on_progress: Progress = lambda share, text: None) -> Tracked:
    """Tracks the face in a video or in a folder of pictures, and writes a capture.

    Args:
        on_progress: told which share is done, 0..1, and what is done now.

    Raises:
        HeadGaSError: the video or the options cannot be used; `capture.json` is then not there.
    """
    _check(source, options)
    _begin(out)
    python = tracker_python(_part(on_progress, "", "tracker"), options.offline)
    tracker = Tracker(python, source, options.rate)
    observed = tracker.observe(_counted(on_progress, "tracker", "look", "Looking for the face"))
    K, focal_from = intrinsics(options.focal, source, observed.width, observed.height)
    on_progress(_SHARES["look"], "Working out the head's motion")
    solved = _solve(observed, K)
    landmarks = observed.landmarks[solved.numbers]
    train = choosing.held_out(len(solved.numbers), options.held_out)
    expressions = fit_expressions(landmarks, solved.motion, K, train, solved.in_order)
    heads = np.full((len(observed.landmarks), 3), np.nan)
    heads[observed.heads[:, 0].astype(int)] = observed.heads[:, 1:]
    hair = pictures.hair_reach(heads[solved.numbers], solved.motion, K)
    boxes = pictures.boxes(solved.motion, K, options.torso, hair)
    size = min(options.size, int(boxes[0, 2]))
    cut, wanted = out / _CUT, np.concatenate([solved.numbers[:, None], boxes], 1)
    tracker.cut(wanted, size, cut, _counted(on_progress, "look", "cut", "Cutting out the head"))
    frames = _frames(out, solved, expressions, K, boxes, size, train, landmarks)
    chin = None if options.torso else pictures.chin_height(unproject(landmarks[..., :2], solved.motion, K))
    report = _counted(on_progress, "cut", "write", "Refining the matte")
    in_picture = (landmarks[..., :2] - boxes[:, None, :2]) * (size / boxes[0, 2])
    with ThreadPoolExecutor(min(os.cpu_count() or 1, _THREADS)) as pool:
        write = partial(_write_picture, cut, chin, observed)
        written = pool.map(write, frames, in_picture, boxes)
        for done, _ in enumerate(written, 1):
            report(done, len(frames))
    facts = _facts(source, observed, K, focal_from, solved, expressions, train)
    files.write(out / FACTS, json.dumps(facts, indent=1))
    _save_points(out / "points.npy", surface_points(expressions.rest))
    zeros = (0.0,) * len(expressions.names)
    space = ExpressionSpace("custom", expressions.names, zeros, zeros, zeros)
    folder.write_folder(out, space, frames, "points.npy", estimated=True)
    shutil.rmtree(cut, ignore_errors=True)
    (out / _UNFINISHED).unlink(missing_ok=True)
    on_progress(1.0, "Done")
    yaw, pitch = views(solved.motion.rotations)
    return Tracked(out, facts, frames, in_picture, solved.numbers, yaw, pitch, solved.errors)


def _check(source: Path, options: TrackOptions) -> None:
    if not source.exists():
        raise HeadGaSError(f"{source}: there is no such file or folder.")
    if not 32 <= options.size <= 4096:
        raise HeadGaSError(f"The size {options.size} cannot be used; expected 32 to 4096 pixels.")
    if not 0 <= options.held_out <= 0.5:
        raise HeadGaSError(f"{options.held_out:g} of the frames cannot be held out; expected 0 to 0.5.")
    if not 0 < options.rate <= 1000:
        raise HeadGaSError(f"{options.rate:g} frames per second cannot be used; expected a number above 0.")
    intrinsics(options.focal, source, 1, 1)  # a wrong --focal is said before minutes of work


def _begin(out: Path) -> None:
    """Marks the folder as unfinished; refuses one that holds something else."""
    if (out / _UNFINISHED).is_file():  # an attempt that was ended
        for name in (_CUT, "images"):
            shutil.rmtree(out / name, ignore_errors=True)
        (out / folder.FILE).unlink(missing_ok=True)
    elif out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise HeadGaSError(f"{out}: is not empty.", "Choose an empty folder for the capture.")
    files.write(out / _UNFINISHED, "A video is being tracked into this folder.\n")


def _solve(observed: Observations, K: np.ndarray) -> _Solved:
    """Poses of the frames in which the head can be seen well."""
    reasons = choosing.seen_well(observed)
    numbers = _usable(reasons)
    landmarks = observed.landmarks[numbers]
    motion = solve_motion(landmarks, K)
    in_order, trembling = is_sequence(motion, numbers), jitter(motion, numbers)
    errors = stable_errors(landmarks, motion, K)
    for number, reason in zip(numbers, choosing.fits(errors, trembling, _eyes_apart(landmarks), in_order), strict=True):
        reasons[number] = reason
    kept = np.isin(numbers, _usable(reasons))
    numbers, landmarks = numbers[kept], landmarks[kept]
    motion = replace(motion, rotations=motion.rotations[kept], translations=motion.translations[kept])
    if in_order:
        motion = smoothed(motion, numbers)
    return _Solved(numbers, motion, stable_errors(landmarks, motion, K), trembling[kept], reasons, in_order)


def _usable(reasons: list[str]) -> np.ndarray:
    """The numbers of the frames that nothing is wrong with.

    Raises:
        HeadGaSError: they are too few.
    """
    numbers = np.array([number for number, reason in enumerate(reasons) if not reason], int)
    if len(numbers) < _FEWEST:
        why = ", ".join(f"{count} × {reason}" for reason, count in Counter(filter(None, reasons)).most_common())
        raise HeadGaSError(
            f"Only {len(numbers)} of {len(reasons)} frames can be used; at least {_FEWEST} are needed. {why}".strip(),
            "Film one face, well lit and in focus, that fills a third of the picture.",
        )
    return numbers


def _frames(
    out: Path,
    solved: _Solved,
    expressions: Expressions,
    K: np.ndarray,
    boxes: np.ndarray,
    size: int,
    train: np.ndarray,
    landmarks: np.ndarray,
) -> list[Frame]:
    frames = []
    for place, number in enumerate(solved.numbers):
        viewmat = np.eye(4)
        viewmat[:3, :3], viewmat[:3, 3] = solved.motion.rotations[place], solved.motion.translations[place]
        pixels = (landmarks[place, :, :2] - boxes[place, :2]) * (size / boxes[place, 2])
        name = f"{number:06d}"
        frames.append(
            Frame(
                name=name,
                split="train" if train[place] else "test",
                image=out / "images" / f"{name}.png",
                width=size,
                height=size,
                viewmat=viewmat.astype(np.float32),
                K=pictures.intrinsics(K, boxes[place], size).astype(np.float32),
                expression=expressions.values[place].astype(np.float32),
                boxes=_boxes(pixels, size),
            )
        )
    return frames


def _boxes(pixels: np.ndarray, size: int) -> dict[str, Box]:
    """The boxes of eyes and mouth around landmarks [478,2]."""
    boxes: dict[str, Box] = {}
    for name, part in (("eyes", EYES), ("mouth", MOUTH)):
        low, high = pixels[part].min(0), pixels[part].max(0)
        margin = _MARGIN * (high[0] - low[0]) * (0.5 if name == "eyes" else 1.0)
        x0, y0 = np.clip(np.floor(low - margin), 0, size).astype(int)
        x1, y1 = np.clip(np.ceil(high + margin), 0, size).astype(int)
        if x1 > x0 and y1 > y0:
            boxes[name] = (int(x0), int(y0), int(x1), int(y1))
    return boxes


def _write_picture(
    cut: Path, chin: float | None, observed: Observations, frame: Frame, face: np.ndarray, box: np.ndarray
) -> None:
    """Joins a picture and its matte; what lies outside the video is cut off, and the torso below the lowest chin,
    unless that is None, and below the face [478,2]."""
    color_file, matte_file = cut / f"{frame.name}.png", cut / f"{frame.name}_matte.png"
    with Image.open(color_file) as opened, Image.open(matte_file) as opened_matte:
        color = np.asarray(opened.convert("RGB"), np.float32) / 255
        matte = np.asarray(opened_matte.convert("L"), np.float32) / 255
    rgba = pictures.matted(color, matte)
    rgba[..., 3] *= pictures.in_video(len(matte), box, observed.width, observed.height)
    if chin is not None:
        rgba[..., 3] *= pictures.above_chin(len(matte), frame.K, frame.viewmat, chin, face)
    files.save_image(frame.image, (np.clip(rgba, 0, 1) * 255 + 0.5).astype(np.uint8))
    color_file.unlink()
    matte_file.unlink()


def _facts(
    source: Path,
    observed: Observations,
    K: np.ndarray,
    focal_from: str,
    solved: _Solved,
    expressions: Expressions,
    train: np.ndarray,
) -> dict[str, Any]:
    landmarks = observed.landmarks[solved.numbers]
    yaw, pitch = views(solved.motion.rotations)
    dropped = [(number, reason) for number, reason in enumerate(solved.reasons) if reason]
    facts: dict[str, Any] = {
        "source": str(source),
        "width": observed.width,
        "height": observed.height,
        "rate": observed.rate,
        "in_order": solved.in_order,
        "focal": float(K[0, 0]),
        "focal_from": focal_from,
        "frames": {
            "train": int(train.sum()),
            "test": int((~train).sum()),
            "dropped": dict(Counter(reason for _, reason in dropped)),
            "missing": max(0, observed.declared - len(observed.landmarks)),
        },
        "dropped": [{"frame": number, "reason": reason} for number, reason in dropped],
        "eyes_apart": _eyes_apart(landmarks),
        "errors": {
            "stable": _rms(solved.errors),
            "expression_train": _rms(expressions.errors[train]),
            "expression_test": _rms(expressions.errors[~train]),
        },
        "jitter": {
            "tracked": _spread(solved.trembling),
            "smoothed": _spread(jitter(solved.motion, solved.numbers)),
        },
        "yaw": _ends(yaw[train]),
        "pitch": _ends(pitch[train]),
        "channels": [
            {"name": c.name, "reach": c.reach, "noise": c.noise, "rough": c.is_rough, "problem": c.problem}
            for c in expressions.channels
        ],
        "named": expressions.named,
        "components": len(expressions.names) - expressions.named,
        "explained": {
            "named": float(expressions.explained[0]),
            "all": float(expressions.explained[-1]),
        },
    }
    return facts | {"advice": advice(facts, expressions.channels)}


def _eyes_apart(landmarks: np.ndarray) -> float:
    """The median distance in pixels between the irises of landmarks [F,478,3]."""
    return float(np.median(np.linalg.norm(landmarks[:, IRIS[1]] - landmarks[:, IRIS[0]], axis=1)))


def _rms(errors: np.ndarray) -> float | None:
    return float(np.sqrt((errors**2).mean())) if len(errors) else None


def _spread(values: np.ndarray) -> dict[str, float] | None:
    """Median and 95th percentile of those that are numbers."""
    values = values[np.isfinite(values)]
    return {"median": float(np.median(values)), "p95": float(np.percentile(values, 95))} if len(values) else None


def _ends(values: np.ndarray) -> list[float]:
    return [round(float(values.min()), 2), round(float(values.max()), 2)]


def _save_points(path: Path, points: np.ndarray) -> None:
    part = path.with_name(path.name + ".part.npy")
    np.save(part, points)
    part.replace(path)


def _part(on_progress: Progress, before: str, part: str) -> Progress:
    """A part's own progress as a share of the whole."""
    start = _SHARES.get(before, 0.0)
    return lambda share, text: on_progress(start + (_SHARES[part] - start) * share, text)


def _counted(on_progress: Progress, before: str, part: str, text: str) -> Callable[[int, int], None]:
    """The same, for a part that counts its frames."""
    tell = _part(on_progress, before, part)
    return lambda done, count: tell(done / count, f"{text}: frame {done:,} of {count:,}")
