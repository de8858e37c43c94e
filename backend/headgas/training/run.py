# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The folder that a training run writes, and going on after a kill."""

import json
import logging
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from headgas.avatars import Avatar, save_avatar
from headgas.avatars.surface import extract_surface
from headgas.captures import Capture
from headgas.errors import HeadGaSError
from headgas.training.config import TrainingConfig, config_to_json
from headgas.training.trainer import Budget, Step, Trainer

log = logging.getLogger(__name__)

AVATAR, METRICS, PREVIEW, RESUME = "avatar.safetensors", "metrics.jsonl", "preview.png", "resume.safetensors"
_LOG_EVERY = 1.0  # seconds between two lines of progress
_SAVE_EVERY = 60.0  # seconds between two states to resume from, unless HEADGAS_SAVE_SECONDS says otherwise


@dataclass(frozen=True)
class Progress:
    """One line of metrics.jsonl."""

    iteration: int
    elapsed: float  # seconds
    progress: float  # 0..1
    iterations_per_second: float
    loss: float  # mean since the last line
    psnr: float  # dB, mean over the training frames since the last line
    gaussians: int
    seconds_left: float


class Run:
    """A training run with its folder."""

    def __init__(
        self,
        folder: Path,
        capture: Capture,
        preset: str,
        config: TrainingConfig,
        writes: bool = True,
        compact: bool = True,
    ) -> None:
        """writes: False in all but one of the processes that share a run; compact: how to save the avatar."""
        self.folder = folder
        self._writes = writes
        self._compact = compact
        self._capture = capture
        self._preset = preset
        self._config = config

    @property
    def avatar_path(self) -> Path:
        return self.folder / AVATAR

    def prepare(self, resume: bool) -> None:
        """Makes the folder.

        Raises:
            HeadGaSError: it cannot be written, or it already holds a run and `resume` is not wanted.
        """
        if not self._writes:
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            probe = self.folder / ".headgas-probe"
            probe.write_bytes(b"")
            probe.unlink()
        except OSError as error:
            raise HeadGaSError(f"{self.folder}: cannot be written ({error.strerror or error}).") from None
        if not resume:
            for name in (RESUME, METRICS):
                (self.folder / name).unlink(missing_ok=True)

    def train(
        self,
        trainer: Trainer,
        on_progress: Callable[[Progress], Any],
        preview: Callable[[Avatar, Path], Any],
    ) -> None:
        """Trains to the end of the budget, then writes the avatar and its preview."""
        if not self._writes:
            trainer.train()
            return
        saved = logged = time.monotonic()
        every = float(os.environ.get("HEADGAS_SAVE_SECONDS", _SAVE_EVERY))
        recent: list[Step] = []
        first = trainer.iteration
        with (self.folder / METRICS).open("a", encoding="utf-8") as metrics:
            while not trainer.finished:
                recent.append(trainer.step())
                now = time.monotonic()
                if now - logged >= _LOG_EVERY or trainer.finished:
                    self._log(recent, trainer.budget, metrics, on_progress)
                    recent, logged = [], now
                if now - saved >= every and not trainer.finished:
                    self.save_state(trainer)
                    saved = time.monotonic()
        log.info("trained %d steps in %.0f s", trainer.iteration - first, trainer.elapsed)
        self.finish(trainer, preview)

    def _log(
        self, steps: list[Step], budget: Budget, metrics: TextIO, on_progress: Callable[[Progress], Any]
    ) -> None:
        last = steps[-1]
        first_elapsed = steps[0].elapsed
        speed = (len(steps) - 1) / (last.elapsed - first_elapsed) if last.elapsed > first_elapsed else 0.0
        loss, psnr = torch.stack([step.scores for step in steps]).mean(0).tolist()
        if not math.isfinite(loss):
            raise RuntimeError(f"the loss is {loss} before step {last.iteration}")
        share = budget.progress(last.iteration, last.elapsed)
        line = Progress(
            iteration=last.iteration,
            elapsed=round(last.elapsed, 3),
            progress=round(share, 5),
            iterations_per_second=round(speed, 2),
            loss=round(loss, 6),
            psnr=round(psnr, 3),
            gaussians=last.gaussians,
            seconds_left=round(last.elapsed * (1 - share) / max(share, 1e-6), 1),
        )
        metrics.write(json.dumps(line.__dict__) + "\n")
        metrics.flush()
        on_progress(line)

    def finish(self, trainer: Trainer, preview: Callable[[Avatar, Path], Any]) -> None:
        """Writes the avatar; only then the state to resume from goes."""
        avatar = trainer.finish()
        surface = extract_surface(avatar)
        save_avatar(self.avatar_path, avatar, self._preset, self._summary(trainer), surface, self._compact)
        preview(avatar, self.folder / PREVIEW)
        (self.folder / RESUME).unlink(missing_ok=True)

    def _summary(self, trainer: Trainer) -> dict[str, Any]:
        return {
            "capture": self._capture.path.resolve().name,
            "iterations": trainer.iteration,
            "seconds": round(trainer.elapsed, 1),
            "gaussians": trainer.avatar.count,
            "device": str(trainer.device),
            "recipe": config_to_json(self._config),
        }

    def save_state(self, trainer: Trainer) -> None:
        """Writes what `resume` needs."""
        tensors, numbers = trainer.state()
        header = {"preset": self._preset, "recipe": config_to_json(self._config), "numbers": numbers}
        path = self.folder / RESUME
        unfinished = path.with_name(path.name + ".part")
        tensors = {name: value.cpu().contiguous() for name, value in tensors.items()}
        save_file(tensors, unfinished, metadata={"headgas-run": json.dumps(header)})
        os.replace(unfinished, path)

    def resume(self, trainer: Trainer) -> bool:
        """Puts the trainer where the killed run was. False when there is nothing to go on from.

        Raises:
            HeadGaSError: the state is damaged or belongs to another recipe.
        """
        path = self.folder / RESUME
        if not path.is_file():
            return False
        try:
            with safe_open(path, framework="pt") as opened:
                header = json.loads((opened.metadata() or {})["headgas-run"])
                if header["preset"] != self._preset or header["recipe"] != config_to_json(self._config):
                    raise HeadGaSError(
                        f"{path}: belongs to another recipe (preset {header['preset']!r}).",
                        "Resume with the options that the run was started with, or start anew without --resume.",
                    )
                tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 - no mapping
            trainer.restore(tensors, header["numbers"])
        except (SafetensorError, OSError, KeyError, TypeError, ValueError, RuntimeError) as error:
            raise HeadGaSError(f"{path}: the state to resume from is damaged ({error}).") from None
        return True
