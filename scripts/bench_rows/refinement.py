# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows about refining poses: a capture with exact poses, and the same as a landmark tracker would have it.

The errors are those that were measured of such a tracker on a head with known poses: a smooth bias of about 2°, some of
it random; the landmarks, on the front of the face, stay nearly where they are in the picture, so the head turns about
them. `python3 scripts/bench.py --only refinement --capture CAPTURE` with a capture whose poses are exact.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from bench_rows import scenes
from bench_rows.measuring import Bench, Row
from headgas.avatars import Avatar
from headgas.captures import Capture, Frame, load_capture
from headgas.evaluation.metrics import photograph_over_white, render_over_white
from headgas.evaluation.refining import refined
from headgas.splatting import set_threads
from headgas.splatting.rotations import rotation_matrices
from headgas.training.config import preset
from headgas.training.initialization import starting_points
from headgas.training.trainer import Budget, Trainer

_STEPS, _QUICK = 2_400, 300  # of training: what comes of so many does not depend on the machine's speed
_TURN, _TURN_JITTER = 2.0, 0.3  # degrees, RMS of the whole vector
_MOVE = 0.001, 0.001, 0.005  # metres in the camera's x, y and z, RMS
_LANDMARKS = 0.0, -0.07, 0.0  # metres from the head's middle
_EXPRESSION = 0.08  # of a parameter's range, RMS, where it is not at rest
_WAVES = 2, 5, 11  # over all frames: what a smoothed track's error looks like
_SEED = 0


def tracked(capture: Capture, center: np.ndarray, poses_alone: bool = False) -> Capture:
    """The capture with the errors of a tracker, in training and test frames; `center` [3] is the head's middle."""
    generator, frames = np.random.default_rng(_SEED), capture.frames
    jitter = _TURN_JITTER * generator.normal(0, 3**-0.5, (len(frames), 3))
    turns = np.radians(_TURN * _smooth(generator, len(frames)) + jitter)
    moves = np.sqrt(3) * _smooth(generator, len(frames)) * _MOVE
    rotations = rotation_matrices(torch.from_numpy(turns)).numpy()
    pivot = center + _LANDMARKS
    space = capture.expression_space
    low, high, neutral = (np.array(values, np.float32) for values in (space.low, space.high, space.neutral))
    wrong = []
    for frame, rotation, move in zip(frames, rotations, moves, strict=True):
        motion, shift = np.eye(4), np.eye(4)
        motion[:3, :3], motion[:3, 3], shift[:3, 3] = rotation, pivot - rotation @ pivot, move
        noise = _EXPRESSION * generator.normal(size=len(low)) * (high - low) * (frame.expression != neutral)
        expression = np.clip(frame.expression + noise.astype(np.float32) * (not poses_alone), low, high)
        viewmat = (shift @ frame.viewmat @ motion).astype(np.float32)
        wrong.append(replace(frame, viewmat=viewmat, expression=expression))
    return replace(capture, frames=tuple(wrong), poses_estimated=True)


def _smooth(generator: np.random.Generator, count: int) -> np.ndarray:
    """[count,3] sums of waves; the vectors' RMS is 1."""
    times = np.linspace(0, 2 * np.pi, count)[:, None]
    waves = [generator.normal(size=3) * np.sin(k * times + generator.uniform(0, 6.3, 3)) / k**0.5 for k in _WAVES]
    total = np.sum(waves, 0)
    return total / np.sqrt(np.square(total).sum(1).mean())


@dataclass(frozen=True)
class _Error:
    """How far poses are from the exact ones, but for one motion that all share: it could be the avatar's."""

    turn: float  # degrees, median
    turn_most: float  # degrees, 95th percentile
    move: float  # millimetres of the head's middle, RMS

    @classmethod
    def of(cls, exact: Sequence[np.ndarray], found: Sequence[np.ndarray], center: np.ndarray) -> "_Error":
        """Of matrices [4,4], head space to camera space."""
        motions = np.stack([np.linalg.inv(a.astype(float)) @ b for a, b in zip(exact, found, strict=True)])
        u, _, v = np.linalg.svd(motions[:, :3, :3].sum(0))
        turned = (u @ v).T @ motions[:, :3, :3]
        angles = np.degrees(np.arccos(np.clip((np.trace(turned, axis1=1, axis2=2) - 1) / 2, -1, 1)))
        places = motions[:, :3, :3] @ center + motions[:, :3, 3]
        move = np.sqrt(np.square(places - places.mean(0)).sum(1).mean())
        return cls(float(np.median(angles)), float(np.percentile(angles, 95)), 1e3 * float(move))


@torch.inference_mode()
def _quality(avatar: Avatar, frames: Sequence[Frame]) -> tuple[float, float]:
    """Mean PSNR in dB over white, from the frames' own poses and from those that fit best."""
    values = []
    for frame in frames:
        target = photograph_over_white(frame).to(avatar.device)
        images = render_over_white(avatar, frame), refined(avatar, frame, target)
        values.append([_psnr(image, target) for image in images])
    own, best = np.mean(values, 0).tolist()
    return own, best


def _psnr(image: Tensor, target: Tensor) -> float:
    return -10 * (image - target).square().mean().log10().item()


def _trained(bench: Bench, capture: Capture, refine: bool) -> tuple[Trainer, float, float]:
    steps = _QUICK if bench.quick else _STEPS
    trainer = Trainer(capture, preset("modes"), Budget(iterations=steps), device=bench.device, refine=refine)
    trainer.train()
    return trainer, *_quality(trainer.finish(), capture.split("test"))


def rows(bench: Bench) -> Iterator[Row]:
    set_threads(bench.most)
    exact = load_capture(bench.capture) if bench.capture else scenes.capture(256, 96, 16)
    center = starting_points(exact, 2000, np.random.default_rng(0)).numpy().mean(0)
    wrong = tracked(exact, center)
    truth = [frame.viewmat for frame in exact.split("train")]
    yield from _error_rows(bench, "tracked", _Error.of(truth, [f.viewmat for f in wrong.split("train")], center))
    yield from _cost_rows(bench, wrong)
    _, best, best_fitted = _trained(bench, exact, refine=False)
    yield bench.row("test PSNR, exact", best, "dB")
    yield bench.row("test PSNR, exact: test poses refined", best_fitted, "dB")
    for name, capture, refine in (
        ("tracked", wrong, False),
        ("tracked and refined", wrong, True),
        ("tracked poses, exact expressions, refined", tracked(exact, center, poses_alone=True), True),
    ):
        trainer, own, fitted = _trained(bench, capture, refine)
        yield bench.row(f"test PSNR, {name}: as tracked", own, "dB")
        yield bench.row(f"test PSNR, {name}: test poses refined", fitted, "dB")
        yield bench.row(f"test PSNR, {name}: gap to exact", best - fitted, "dB")
        yield bench.row(f"test PSNR, {name}: gap to exact, both refined", best_fitted - fitted, "dB")
        if trainer.refinement is not None:
            found = trainer.refinement.frames(capture.split("train"))
            error = _Error.of(truth, [np.array(frame["viewmat"]) for frame in found], center)
            yield from _error_rows(bench, name, error)
            yield from _expression_rows(bench, name, exact, capture, [frame["expression"] for frame in found])


def _error_rows(bench: Bench, name: str, error: _Error) -> Iterator[Row]:
    yield bench.row(f"pose error, {name}: rotation, median", error.turn, "°")
    yield bench.row(f"pose error, {name}: rotation, 95th percentile", error.turn_most, "°")
    yield bench.row(f"pose error, {name}: the head's middle, RMS", error.move, "mm")


def _expression_rows(
    bench: Bench, name: str, exact: Capture, capture: Capture, found: Sequence[Sequence[float]]
) -> Iterator[Row]:
    right, wrong = (np.stack([frame.expression for frame in c.split("train")]) for c in (exact, capture))
    if not np.array_equal(right, wrong):
        for when, values in (("before", wrong), ("after", np.array(found))):
            error = np.sqrt(np.square(values - right)[right != 0].mean())
            yield bench.row(f"expression error, {name}: {when}, RMS where it moves", float(error), "")


def _cost_rows(bench: Bench, capture: Capture) -> Iterator[Row]:
    """What refining adds to a step."""
    for name in ("modes", "headgas", "gaussian_head"):
        whole = preset(name)
        config = replace(whole, initial_gaussians=whole.max_gaussians)
        plain, refining = (
            Trainer(capture, config, Budget(iterations=1_000_000), device=bench.device, refine=refine)
            for refine in (False, True)
        )
        without, alike = bench.times([plain.step, refining.step], 4 * bench.seconds)
        title = f"training step with {name}, {config.max_gaussians}"
        yield bench.row(title, without, "ms", per_second=1e3 / without)
        yield bench.row(f"{title}, poses refined", alike, "ms", per_second=1e3 / alike, ratio=without / alike,
                        against="as they are")  # fmt: skip
