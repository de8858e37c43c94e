# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a capture to an avatar file: what `headgas train` and `headgas compare` have in common."""

import dataclasses
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from headgas.avatars import Avatar
from headgas.captures import Capture
from headgas.perceptual import load_perceptual_loss
from headgas.training.config import TrainingConfig, preset
from headgas.training.processes import Processes
from headgas.training.run import Progress, Run
from headgas.training.trainer import Budget, Trainer

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """How any preset is trained."""

    budget: Budget
    seed: int
    device: torch.device
    max_gaussians: int | None = None  # the preset's own number when left out
    batch: int = 1  # frames per step
    compact: bool = True  # how the avatar is saved
    live: float | None = None  # seconds from one avatar, written while it trains, to the next
    cache: int | None = None  # bytes that decoded pictures may take; None: what is usual
    refine: bool | None = None  # the frames' poses and expressions; None: where the capture's are estimated

    def config(self, name: str) -> TrainingConfig:
        """The recipe of that preset.

        Raises:
            HeadGaSError: there is none of that name.
        """
        config = preset(name)
        return dataclasses.replace(config, batch=self.batch, max_gaussians=self.max_gaussians or config.max_gaussians)

    def refines(self, capture: Capture) -> bool:
        """Whether poses and expressions of that capture are refined."""
        return capture.poses_estimated if self.refine is None else self.refine


def train(
    job: Job,
    name: str,
    capture: Capture,
    folder: Path,
    *,
    resume: bool,
    on_progress: Callable[[Progress], Any],
    preview: Callable[[Avatar, Path], Any],
    processes: Processes,
) -> Path:
    """Trains the preset of that name, or goes on with the killed run in `folder`. Returns the avatar file.

    Raises:
        HeadGaSError: the preset, the capture, the folder or the state to resume from cannot be used.
    """
    config = job.config(name)
    run = Run(
        folder,
        capture,
        name,
        config,
        writes=processes.first,
        compact=job.compact,
        live=job.live,
        heeds=processes.count == 1,  # the others would wait for one that pauses or stops
    )
    run.prepare(resume)
    with run.failures_told():
        perceptual = load_perceptual_loss(job.device) if config.perceptual_weight else None
        trainer = Trainer(
            capture,
            config,
            job.budget,
            seed=job.seed,
            device=job.device,
            perceptual=perceptual,
            processes=processes,
            cache=job.cache,
            refine=job.refines(capture),
        )
        if resume and not run.resume(trainer):
            log.info("%s: there is no killed run to go on with; starting anew.", folder)
        run.train(trainer, on_progress, preview)
    return run.avatar_path
