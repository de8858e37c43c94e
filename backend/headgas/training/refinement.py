# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small corrections of each training frame's head pose and expression, learnt with the avatar.

A tracker's poses are off by a degree or two, and an avatar that is trained on them is blurred by as much. What is
worse, it learns to stand that way with that expression, and then nothing is left to correct. So poses must be quick:
each visit to a frame aligns it with the avatar (`alignment`). Corrections belong to the run and its frames; no avatar
holds them.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from headgas.avatars.trainable import TrainableAvatar
from headgas.captures import Frame
from headgas.splatting import Camera, Rendering
from headgas.splatting.rotations import rotation_matrices
from headgas.splatting.threads import share
from headgas.training.alignment import aligning_motion, common_motion
from headgas.training.config import Rate, RefinementConfig
from headgas.training.frames import TrainingFrame

_DECAYS = 0.8, 0.95  # of Adam's moments, by visits to a frame: there are few, and the avatar changes between them
_EPSILON = 1e-15
_BASIS_EVERY = 3  # steps: how often the basis is read once more, for the expression's sake
_LONGEST_VISIT = 0.05  # of the run: where frames are seen a few times only, long steps would be wild ones


def moved_camera(camera: Camera, pose: Tensor, center: Tensor, extent: Tensor | float) -> Camera:
    """The camera before which the head has been moved.

    Args:
        pose: [6], a rotation vector about `center` [3], radians, then a translation in extents of the head.
        extent: metres.
    """
    rotation = rotation_matrices(pose[None, :3])[0]
    motion = torch.eye(4, dtype=pose.dtype, device=pose.device)
    motion[:3, :3] = rotation
    motion[:3, 3] = center - rotation @ center + extent * pose[3:]
    return replace(camera, viewmat=camera.viewmat @ motion)


def expression_gradient(avatar: TrainableAvatar, expressions: Tensor, features: Tensor | None) -> Tensor:
    """How the loss changes with the expressions [K,B], once it was differentiated.

    Args:
        expressions: [K,B], a leaf that `study` was given.
        features: [K,N,f] gradient of the blended features, where there is a basis: what training itself never takes
            further, since `RankOneAdam` needs no more.
    """
    direct = torch.zeros_like(expressions) if expressions.grad is None else expressions.grad
    if features is None:
        return direct
    basis = avatar.basis
    assert basis is not None
    rows = basis.flatten(1)
    for number, expression in enumerate(expressions):
        coefficients = avatar.coefficients(expression)
        if not coefficients.requires_grad:
            break  # the basis does not follow the expression
        by_coefficients = _products(rows, features[number].flatten(), coefficients.detach())
        (through,) = torch.autograd.grad(coefficients, expressions, by_coefficients)
        direct = direct + through
    return direct


def _products(rows: Tensor, vector: Tensor, coefficients: Tensor) -> Tensor:
    """rows [R,M] · vector [M], zero where a coefficient [R] is: that row is at rest, and is not read."""
    if rows.is_cuda:
        return rows @ vector
    result = torch.zeros(len(rows))
    active = coefficients.nonzero()[:, 0].tolist()

    def product(number: int) -> None:
        result[active[number]] = rows[active[number]].dot(vector)

    share(product, len(active))
    return result


class _ExpressionCorrections:
    """Shares of the parameters' ranges, of each frame, and Adam for the frames that were just seen.

    A gradient is divided by its length in all numbers, so that those which hardly show hardly move.
    """

    def __init__(self, frames: int, size: int, rate: Rate, most: float, device: torch.device) -> None:
        """most: no correction is larger."""
        self.values, self.first = (torch.zeros(frames, size, device=device) for _ in range(2))
        self.second, self.visits = (torch.zeros(frames, 1, device=device) for _ in range(2))
        self._rate, self._most = rate, most

    def learn(self, frames: Tensor, gradient: Tensor, progress: float, visit: float) -> None:
        """One step of `frames` [K], each there once, down their gradients [K,size]."""
        rate = self._rate.at(progress) * visit
        visits = self.visits[frames] + 1
        first = torch.lerp(gradient, self.first[frames], _DECAYS[0])
        second = torch.lerp(gradient.square().mean(1, keepdim=True), self.second[frames], _DECAYS[1])
        mean, spread = first / (1 - _DECAYS[0] ** visits), second / (1 - _DECAYS[1] ** visits)
        values = self.values[frames] * (1 - rate * self._rate.decay) - rate * mean / (spread.sqrt() + _EPSILON)
        self.values[frames] = values.clamp(-self._most, self._most)
        self.first[frames], self.second[frames], self.visits[frames] = first, second, visits

    def state(self) -> dict[str, Tensor]:
        return {name: getattr(self, name) for name in ("values", "first", "second", "visits")}


class Refinement:
    """The corrections of a run's frames."""

    def __init__(self, config: RefinementConfig, avatar: TrainableAvatar, expressions: Tensor) -> None:
        """expressions: [F,B], as they were tracked."""
        space, device = avatar.expression_space, expressions.device
        low, high, neutral = (torch.tensor(v, device=device) for v in (space.low, space.high, space.neutral))
        # What rests stays at rest: trackers know that best, and HeadGaS reads no rows of the basis for it.
        self._units = torch.maximum(high - neutral, neutral - low) * (expressions != neutral)  # [F,B]
        self._config = config
        self._center, self._extent = avatar.center.clone(), avatar.extent.clone()
        self._every = 1 if avatar.basis is None else _BASIS_EVERY
        frames, size = expressions.shape
        self._poses = torch.zeros(frames, 6, device=device)
        self._expressions = _ExpressionCorrections(frames, size, config.expression, config.most_expression, device)

    def corrected(self, number: int, frame: TrainingFrame) -> TrainingFrame:
        """The training frame of that number with its camera and expression as they are thought to be."""
        camera = moved_camera(frame.camera, self._pose(number), self._center, self._extent)
        return replace(frame, camera=camera, expression=frame.expression + self._expression(number))

    def _pose(self, number: int) -> Tensor:
        """[6], from the mean of all frames: what all share could as well be the avatar's place."""
        return self._poses[number] - self._poses.mean(0)

    def _expression(self, number: int) -> Tensor:
        return self._units[number] * self._expressions.values[number]

    def motion(
        self, rendering: Rendering, target: Tensor, frame: TrainingFrame, resting: Tensor, moved: Tensor
    ) -> Tensor:
        """How the head should move [6], as `moved_camera` counts, for the rendering to become the target [H,W,3].

        What the avatar has learnt to turn with the expression is the pose's, too: the avatar unlearns it then.

        Args:
            frame: a corrected one.
            resting: means [N,3] of the avatar at rest, and as it was rendered.
        """
        learnt = common_motion(resting, moved, self._center, self._extent)
        return learnt + aligning_motion(rendering, target, frame.head, frame.camera, self._center, self._extent)

    def gradient(self, avatar: TrainableAvatar, expressions: Tensor, features: Tensor | None, step: int) -> Tensor:
        """What the loss says of the expressions [K,B]; [K,0] in steps that leave them as they are."""
        if step % self._every:
            return expressions.new_empty(len(expressions), 0)
        return expression_gradient(avatar, expressions, features)

    def learn(
        self, numbers: Sequence[int], motions: Tensor, expressions: Tensor, progress: float, visit: float
    ) -> None:
        """Corrects the frames of these numbers by motions [K,6] and gradients of expressions [K,B] or [K,0].

        Args:
            progress: of the run, 0..1.
            visit: the share of the run from one visit to a frame to the next: the fewer there are, the longer steps.
        """
        config = self._config
        if progress < config.start:
            return
        once = {number: row for row, number in reversed(list(enumerate(numbers)))}  # epochs may meet within a step
        device = motions.device
        rows, frames = (torch.tensor(list(part), device=device) for part in (once.values(), once.keys()))
        rate = config.pose.at(progress)
        poses = (1 - rate * config.pose.decay) * self._poses[frames] + rate * motions[rows]
        self._poses[frames] = poses.clamp(-config.most_pose, config.most_pose)
        if expressions.shape[1]:
            gradient, visit = expressions[rows] * self._units[frames], min(self._every * visit, _LONGEST_VISIT)
            self._expressions.learn(frames, gradient, progress, visit)

    def frames(self, frames: Sequence[Frame]) -> list[dict[str, Any]]:
        """What training thinks of its frames, in JSON: `name`, `viewmat` and `expression` of each."""
        described = []
        for number, frame in enumerate(frames):
            camera = moved_camera(frame.camera.to(self._center.device), self._pose(number), self._center, self._extent)
            expression = self._expression(number).cpu() + torch.from_numpy(frame.expression)
            described.append(
                {"name": frame.name, "viewmat": camera.viewmat.tolist(), "expression": expression.tolist()}
            )
        return described

    def sizes(self) -> tuple[float, float]:
        """Root mean squares: radians that heads were turned by, and metres that they were moved by."""
        poses = self._poses - self._poses.mean(0)
        turn, move = (part.square().sum(1).mean().sqrt().item() for part in poses.split(3, dim=1))
        return turn, move * self._extent.item()

    def state(self) -> dict[str, Tensor]:
        return {"poses": self._poses} | {f"expressions.{k}": v for k, v in self._expressions.state().items()}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """The inverse of `state`; KeyError or RuntimeError where it is of another capture."""
        for name, tensor in self.state().items():
            tensor.copy_(tensors[name])
