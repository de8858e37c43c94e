# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The training loop of one avatar."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from headgas.avatars.trainable import TrainableAvatar
from headgas.captures import Capture
from headgas.captures.capture import spread
from headgas.splatting import rasterize
from headgas.training.config import TrainingConfig
from headgas.training.densification import Change, Densification, moved_into_parent
from headgas.training.frames import FrameOrder, TrainingFrames
from headgas.training.initialization import starting_points
from headgas.training.losses import Perceptual, photometric_loss, psnr
from headgas.training.processes import Processes
from headgas.training.rank_one_adam import RankOneAdam
from headgas.training.refinement import Refinement
from headgas.training.warmup import TRAINING, compile_kernels

_ENCODING_EVERY = 20  # steps: means move by micrometres meanwhile, and encoding costs as much as a blend
_FRAMED_VIEWS = 200  # training pictures that are asked which Gaussians they frame
_SEEN_FRAMES = 300  # after so many, or all where there are fewer, the Gaussians may change
_EXPECTED = 64  # frames that are announced before they are needed
_FRAMED_SHARE = 0.5  # of the training pictures that must have a Gaussian in their frame; elsewhere nothing is learnt


@dataclass(frozen=True)
class Budget:
    """How long to train: a number of steps, or seconds from the first step on."""

    iterations: int | None = None
    seconds: float | None = None

    def progress(self, iteration: int, elapsed: float) -> float:
        """The finished share, 0..1."""
        done = [0.0]
        if self.iterations is not None:
            done.append(iteration / self.iterations)
        if self.seconds is not None:
            done.append(elapsed / self.seconds)
        return min(1.0, max(done))


@dataclass(frozen=True)
class Step:
    """What one step showed."""

    iteration: int
    elapsed: float  # seconds of training so far
    progress: float  # 0..1
    scores: Tensor  # [2] loss, and PSNR in dB of the training frames; reading them waits for a GPU
    gaussians: int

    @property
    def loss(self) -> float:
        return self.scores[0].item()


@dataclass(frozen=True)
class _Lessons:
    """What K frames taught, beside the gradients of the parameters."""

    coefficients: Tensor  # [K,R] of the basis
    features: Tensor  # [K,N,f] gradient of the blended features; [K,0] where there is no basis
    offsets: Tensor  # [K,N,2] gradient of the projected means
    opacities: Tensor  # [K,N]
    scores: Tensor  # [K,2] loss, and PSNR in dB
    motions: Tensor  # [K,6] how heads should move; [K,0] where poses are not refined, like
    expressions: Tensor  # [K,B] gradient of the expression


class Trainer:
    """Trains an avatar on a capture, step by step.

    All that a step depends on is in `state()`, so that a run continues after a kill as if nothing had happened.
    """

    def __init__(
        self,
        capture: Capture,
        config: TrainingConfig,
        budget: Budget,
        *,
        seed: int = 0,
        device: torch.device | str = "cpu",
        perceptual: Perceptual | None = None,
        processes: Processes | None = None,
        cache: int | None = None,
        refine: bool = False,
    ) -> None:
        """A trainer before its first step.

        Args:
            processes: those that share the run; all of them do the same but for the frames they render.
            cache: bytes that decoded pictures may take; None: what is usual.
            refine: whether the frames' poses and expressions are corrected.
        """
        self._processes = processes or Processes()
        self._share = self._processes.share(config.batch)
        self.device = torch.device(device)
        if self.device.type == "cpu":
            compile_kernels(TRAINING)
        torch.manual_seed(seed)
        self.config = config
        self.budget = budget
        self.iteration = 0
        self.elapsed = 0.0
        self._perceptual = perceptual
        self._seed = seed
        self._events = 0  # densification events so far
        self.frames = TrainingFrames(capture.split("train"), self.device, cache)
        self._order = FrameOrder(len(self.frames), seed)
        count = min(config.initial_gaussians, config.max_gaussians)
        points = starting_points(capture, count, np.random.default_rng(seed))
        self.avatar = config.model.build(capture.expression_space, points).to(self.device)
        self.avatar.train()
        self.avatar.sh_degree = 0
        self._optimizer = self._new_optimizer()
        self._basis_optimizer = self._new_basis_optimizer()
        self._densification = Densification(count, self.device)
        expressions = self.frames.expressions
        self.refinement = Refinement(config.refinement, self.avatar, expressions) if refine else None
        if self.device.type == "cuda":
            self._rehearse()

    def _rehearse(self) -> None:
        """A step that changes nothing: kernels are compiled before the clock starts."""
        lessons = self._study(range(len(self._share)), 0.0)
        few = slice(min(8, self.avatar.count))
        if self.avatar.basis is not None:
            trial = RankOneAdam(self.avatar.basis[:, few].contiguous())
            trial.step(lessons.coefficients, lessons.features[:, few], 0.0, self._basis_decay())
        self._optimizer.zero_grad(set_to_none=True)

    @property
    def finished(self) -> bool:
        return self.budget.progress(self.iteration, self.elapsed) >= 1.0

    def step(self) -> Step:
        """A batch of frames: render, compare, follow the gradient, and now and then change the Gaussians."""
        started = time.perf_counter()
        progress = self.budget.progress(self.iteration, self.elapsed)
        self._set_rates(progress)
        self.avatar.advance(progress)
        self.avatar.sh_degree = min(self.config.model.sh_degree, int(progress / self.config.harmonics_every))
        if self.iteration % _ENCODING_EVERY == 0:
            self.avatar.refresh()
        self._optimizer.zero_grad(set_to_none=True)
        first = self.iteration * self.config.batch
        self._expect()
        lessons = self._everyone(self._study([first + number for number in self._share], progress))
        self._learn(lessons, progress)
        if self.refinement is not None:
            numbers = [self._order[first + number] for number in range(self.config.batch)]
            visit = progress * len(self.frames) / max(1, first)
            self.refinement.learn(numbers, lessons.motions, lessons.expressions, progress, visit)
        self._densify_when_due(progress)
        self.iteration += 1
        self.elapsed = self._processes.agreed(self.elapsed + time.perf_counter() - started)
        return Step(self.iteration, self.elapsed, progress, lessons.scores.mean(0), self.avatar.count)

    def _expect(self) -> None:
        """Has the frames of this and the next steps decoded."""
        if self.frames.streams:
            steps = range(self.iteration, self.iteration + -(-_EXPECTED // len(self._share)))
            self.frames.expect([self._order[step * self.config.batch + n] for step in steps for n in self._share])

    def _study(self, numbers: Sequence[int], progress: float) -> "_Lessons":
        """Renders the run's frames of these numbers; adds to the gradients of all parameters but the basis."""
        chosen, refinement = [self._order[number] for number in numbers], self.refinement
        frames = [self.frames[number] for number in chosen]
        if refinement is not None:
            frames = [refinement.corrected(number, frame) for number, frame in zip(chosen, frames, strict=True)]
        if small := progress < self.config.small_until:
            frames = [frame.shrunk(self.config.small_side) for frame in frames]
        expressions = torch.stack([frame.expression for frame in frames]).requires_grad_(refinement is not None)
        features, drawn = self.avatar.study(expressions, [frame.camera for frame in frames])
        offsets = torch.zeros(len(frames), self.avatar.count, 2, device=self.device, requires_grad=True)
        perceptual = None if small or progress < self.config.perceptual_from else self._perceptual
        total, scores, motions = torch.zeros((), device=self.device), [], []
        for number, frame, gaussians, shift in zip(numbers, frames, drawn, offsets, strict=True):
            random = np.random.default_rng((self._seed, number)).random(3, np.float32)
            background = torch.from_numpy(random).to(self.device, non_blocking=True)
            rendering = rasterize(
                gaussians,
                frame.camera,
                background=background,
                with_depth=refinement is not None,
                antialiased=self.avatar.antialiased,
                screen_offsets=shift,
            )
            target = frame.over(background)
            loss = photometric_loss(rendering, target, frame, self.config, perceptual)
            total = total + loss / self.config.batch
            if refinement is not None:
                motions.append(refinement.motion(rendering, target, frame, self.avatar.means, gaussians.means))
            scores.append(torch.stack([loss.detach(), psnr(rendering.color.detach(), target)]))
        if (penalty := self.avatar.penalty()) is not None:
            total = total + self.config.penalty_weight * penalty * len(frames) / self.config.batch
        total.backward()
        assert offsets.grad is not None
        taught = None if features is None else features.grad
        nothing = torch.empty(len(frames), 0, device=self.device)
        moved, asked = nothing, nothing
        if refinement is not None:
            moved = torch.stack(motions)
            asked = refinement.gradient(self.avatar, expressions, taught, self.iteration)
        taught = nothing if taught is None else taught
        coefficients = torch.stack([self.avatar.coefficients(expression) for expression in expressions.detach()])
        opacities = torch.stack([gaussians.opacities.detach() for gaussians in drawn])
        return _Lessons(coefficients, taught, offsets.grad, opacities, torch.stack(scores), moved, asked)

    def _everyone(self, own: "_Lessons") -> "_Lessons":
        """What this and the other processes learnt from the step's frames, in the order of the frames."""
        return _Lessons(*(self._processes.gathered(column) for column in vars(own).values()))

    def _learn(self, lessons: "_Lessons", progress: float) -> None:
        parameters = [p for group in self._optimizer.param_groups for p in group["params"]]
        self._processes.add_up([p.grad for p in parameters if p.grad is not None])
        self._optimizer.step()
        if self._basis_optimizer is not None:
            rate = self.config.rates["basis"].at(progress)
            self._basis_optimizer.step(lessons.coefficients, lessons.features, rate, self._basis_decay())
        for pull, opacities in zip(lessons.offsets, lessons.opacities, strict=True):
            self._densification.record(pull, opacities)

    def _set_rates(self, progress: float) -> None:
        for group in self._optimizer.param_groups:
            group["lr"] = self.config.rates[group["name"]].at(progress)

    def _new_optimizer(self) -> torch.optim.AdamW:
        """A group for each name in the recipe's rates: what has a row per Gaussian comes alone."""
        rates, groups = self.config.rates, dict[str, list[nn.Parameter]]()
        for name, parameter in self.avatar.named_parameters():
            closest = max((rated for rated in rates if f"{name}.".startswith(f"{rated}.")), key=len)
            groups.setdefault(closest, []).append(parameter)
        return torch.optim.AdamW(
            [
                {"name": name, "params": parameters, "weight_decay": rates[name].decay}
                for name, parameters in groups.items()
            ],
            eps=1e-15,  # 3D Gaussian Splatting: gradients of means are far below the usual 1e-8
            fused=True,
        )

    def _new_basis_optimizer(self) -> RankOneAdam | None:
        if self.avatar.basis is None:
            return None
        optimizer = RankOneAdam(self.avatar.basis, self.config.max_gaussians)
        self.avatar.basis = optimizer.basis
        return optimizer

    def _basis_decay(self) -> Tensor:
        """The weight decay of each row of the basis [R]: none of row 0."""
        assert self.avatar.basis is not None
        decay = torch.full((len(self.avatar.basis),), self.config.rates["basis"].decay, device=self.device)
        decay[0] = 0
        return decay

    def _densify_when_due(self, progress: float) -> None:
        config = self.config
        span = config.densify_until - config.densify_from
        due = int((progress - config.densify_from) / span * config.densify_events)
        seen_enough = self._densification.frames >= min(len(self.frames), _SEEN_FRAMES)
        if due <= self._events or self._events >= config.densify_events or not seen_enough:
            return
        self._events = due
        share = min(1.0, due / config.densify_events)
        first = min(config.initial_gaussians, config.max_gaussians)
        target = round(first * (config.max_gaussians / first) ** share)
        extent = float(self.avatar.extent)
        scales = self.avatar.log_scales.detach().exp()
        framed = self._framed()
        change = self._densification.decide(target, scales, config.split_scale * extent, config.prune_opacity, framed)
        self._apply(change)

    @torch.no_grad()
    def _framed(self) -> Tensor:
        """Which Gaussians [N] most training pictures have within their frame: the others are nobody's business."""
        # Where the avatar shows them at rest: a field that shifts all of them alike may keep `means` elsewhere.
        cameras = spread(self.frames.cameras, _FRAMED_VIEWS)
        means = self.avatar.gaussians(self.avatar.neutral(), cameras[0]).means
        inside = torch.zeros(self.avatar.count, device=self.device)
        for camera in cameras:
            pixels = (means @ camera.viewmat[:3, :3].T + camera.viewmat[:3, 3]) @ camera.K.T
            u, v = (pixels[:, i] / pixels[:, 2].clamp_min(1e-6) for i in (0, 1))
            inside += (pixels[:, 2] > 0) & (u >= 0) & (u < camera.width) & (v >= 0) & (v < camera.height)
        return inside >= _FRAMED_SHARE * len(cameras)

    def snapshot(self) -> TrainableAvatar:
        """A copy of the avatar as it is now; training goes on as if nobody had asked."""
        return self._copied(self.avatar.config(), {n: t.detach().clone() for n, t in self.avatar.tensors().items()})

    def _copied(self, config: dict[str, Any], tensors: dict[str, Tensor]) -> TrainableAvatar:
        copy = type(self.avatar).from_checkpoint(config, tensors, self.avatar.expression_space).to(self.device)
        assert isinstance(copy, TrainableAvatar)
        return copy

    def finish(self) -> TrainableAvatar:
        """The avatar, without Gaussians that drifted out of the pictures after the last densification."""
        framed = self._framed()
        if framed.any() and not framed.all():
            kept = framed.nonzero().squeeze(1)
            nothing = torch.zeros(len(kept), dtype=torch.bool, device=self.device)
            self._apply(Change(kept, nothing, nothing))
        return self.avatar.eval()

    @torch.no_grad()
    def _apply(self, change: Change) -> None:
        """Replaces the Gaussians and what the optimizers know of them."""
        avatar, source = self.avatar, change.source
        values = {name: avatar.get_parameter(name)[source] for name in avatar.per_gaussian}
        seed = hash((self._seed, self.iteration))
        values["means"], values["log_scales"] = moved_into_parent(
            values["means"], values["quaternions"], values["log_scales"], change.split, seed=seed
        )
        for group in self._optimizer.param_groups:
            if group["name"] not in values:
                continue
            old = group["params"][0]
            state = self._optimizer.state.pop(old, {})
            new = nn.Parameter(values[group["name"]].contiguous())
            setattr(avatar, group["name"], new)
            group["params"] = [new]
            for key in ("exp_avg", "exp_avg_sq"):
                if key in state:
                    state[key] = state[key][source]
                    state[key][change.fresh] = 0
            if state:
                self._optimizer.state[new] = state
        if self._basis_optimizer is not None:
            avatar.basis = self._basis_optimizer.select(source, change.fresh)
        avatar.refresh()
        self._densification = Densification(len(source), self.device)

    def train(self) -> None:
        """Steps until the budget is used up."""
        while not self.finished:
            self.step()

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Everything a continued run needs: tensors, and JSON."""
        self.avatar.refresh()  # as a restored trainer begins: both go on with the same numbers
        tensors = {f"avatar.{name}": value.detach() for name, value in self.avatar.tensors().items()}
        if self._basis_optimizer is not None:
            tensors |= {f"basis_optimizer.{name}": value for name, value in self._basis_optimizer.state().items()}
        tensors |= {f"densification.{name}": value for name, value in self._densification.state().items()}
        if self.refinement is not None:
            tensors |= {f"refinement.{name}": value for name, value in self.refinement.state().items()}
        for group in self._optimizer.param_groups:
            for i, parameter in enumerate(group["params"]):
                for key, value in self._optimizer.state.get(parameter, {}).items():
                    tensors[f"optimizer.{group['name']}.{i}.{key}"] = value
        numbers = {
            "iteration": self.iteration,
            "elapsed": self.elapsed,
            "events": self._events,
            "seed": self._seed,
            "densification_frames": self._densification.frames,
            "model": self.avatar.config(),
        }
        return tensors, numbers

    def restore(self, tensors: dict[str, Tensor], numbers: dict[str, Any]) -> None:
        """The inverse of `state`, on a trainer of the same capture and recipe; KeyError when something is missing."""

        def part(prefix: str) -> dict[str, Tensor]:
            return {name[len(prefix) :]: value for name, value in tensors.items() if name.startswith(prefix)}

        self.avatar = self._copied(numbers["model"], part("avatar."))
        self.avatar.train()
        self._optimizer = self._new_optimizer()
        for group in self._optimizer.param_groups:
            for i, parameter in enumerate(group["params"]):
                state = part(f"optimizer.{group['name']}.{i}.")
                if state:
                    self._optimizer.state[parameter] = {key: value.to(self.device) for key, value in state.items()}
        self._basis_optimizer = self._new_basis_optimizer()
        if self._basis_optimizer is not None:
            self._basis_optimizer.restore(part("basis_optimizer."))
        self._densification = Densification(self.avatar.count, self.device)
        self._densification.restore(part("densification."), numbers["densification_frames"])
        if self.refinement is not None:
            self.refinement.restore(part("refinement."))
        self.iteration, self.elapsed = numbers["iteration"], numbers["elapsed"]
        self._events, self._seed = numbers["events"], numbers["seed"]
        self._order = FrameOrder(len(self.frames), self._seed)
