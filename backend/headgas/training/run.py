# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The folder that a training run writes, and going on after a kill."""

import json
import logging
import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from headgas.avatars import Avatar, save_avatar
from headgas.avatars.surface import extract_surface
from headgas.avatars.trainable import TrainableAvatar
from headgas.captures import Capture
from headgas.errors import HeadGaSError
from headgas.files import write
from headgas.training.config import TrainingConfig, config_to_json
from headgas.training.telling import Control, State, Status, Wish
from headgas.training.thumbnail import write_thumbnail
from headgas.training.trainer import Budget, Step, Trainer

log = logging.getLogger(__name__)

AVATAR, METRICS, PREVIEW, RESUME = "avatar.safetensors", "metrics.jsonl", "preview.png", "resume.safetensors"
THUMBNAIL, CORRECTED = "thumbnail.png", "corrected.json"
_LOG_EVERY = 1.0  # seconds between two lines of progress
_SAVE_EVERY = 60.0  # seconds between two states to resume from, unless HEADGAS_SAVE_SECONDS says otherwise
_FIRST_SHOWN = 0.25  # of the time between two avatars of a live run: nobody likes to wait for the first
_SHOWN_SHARE = 0.025  # of the time that writing live avatars may take; else they come later,
_LATEST_SHOWN = 6.0  # but at most so many times: the first may have had to wait for kernels to be compiled
_PAUSED_LOOK = 0.2  # seconds
_SAME = "Resume with the options that the run was started with, or start anew without --resume."
_SPACE = "Free some space on the disk; --resume then goes on from the last saved state."


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
        live: float | None = None,
        heeds: bool = True,
    ) -> None:
        """A run that is not begun.

        Args:
            writes: False in all but one of the processes that share a run.
            compact: how to save the avatar.
            live: seconds from one avatar, written while it trains, to the next; None writes it at the end alone.
            heeds: whether it does what control.json says.
        """
        self.folder = folder
        self._writes = writes
        self._compact = compact
        self._capture = capture
        self._preset = preset
        self._config = config
        self._live = live
        self._control = Control(folder) if heeds else None
        self._status = Status(folder, capture=str(capture.path.resolve()), preset=preset)

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
        Control(self.folder).forget()
        self._status.tell(State.STARTING)
        if not resume:
            for name in (RESUME, METRICS, CORRECTED):
                (self.folder / name).unlink(missing_ok=True)

    def train(
        self,
        trainer: Trainer,
        on_progress: Callable[[Progress], Any],
        preview: Callable[[Avatar, Path], Any],
    ) -> None:
        """Trains to the end of the budget, or until it is told to stop; then writes the avatar and its preview.

        Raises:
            HeadGaSError: a file cannot be written.
        """
        if not self._writes:
            trainer.train()
            return
        first = trainer.iteration
        try:
            self._train(trainer, on_progress)
            stopped = not trainer.finished
            log.info("trained %d steps in %.0f s", trainer.iteration - first, trainer.elapsed)
            self._status.tell(State.FINISHING)
            self.finish(trainer, preview)
        except OSError as error:
            raise HeadGaSError(f"{self.folder}: cannot be written ({error.strerror or error}).", _SPACE) from None
        self._status.tell(State.STOPPED if stopped else State.FINISHED)

    @contextmanager
    def failures_told(self) -> Iterator[None]:
        """Whatever ends the run early is in its status."""
        try:
            yield
        except BaseException as error:
            message = "interrupted" if isinstance(error, KeyboardInterrupt) else str(error) or type(error).__name__
            if self._writes:
                self._status.tell(State.FAILED, message=message)
            raise

    def _train(self, trainer: Trainer, on_progress: Callable[[Progress], Any]) -> None:
        saved = logged = time.monotonic()
        every = float(os.environ.get("HEADGAS_SAVE_SECONDS", _SAVE_EVERY))
        show_at = math.inf if self._live is None else saved + _FIRST_SHOWN * self._live
        recent: list[Step] = []
        with (self.folder / METRICS).open("a", encoding="utf-8") as metrics:
            while not trainer.finished and self._may_go_on(trainer):
                recent.append(trainer.step())
                now = time.monotonic()
                if now - logged >= _LOG_EVERY or trainer.finished:
                    self._log(recent, trainer.budget, metrics, on_progress)
                    recent, logged = [], now
                if now - saved >= every and not trainer.finished:
                    self.save_state(trainer)
                    saved = time.monotonic()
                if now >= show_at and not trainer.finished:
                    show_at = self._show(trainer)

    def _may_go_on(self, trainer: Trainer) -> bool:
        """Waits while it is told to pause; False when it is told to stop."""
        wish = self._control.wish() if self._control else Wish.TRAIN
        if self._control and wish == Wish.PAUSE:
            self.save_state(trainer)  # a pause may outlast the machine
            self._status.tell(State.PAUSED)
            while (wish := self._control.wish()) == Wish.PAUSE:
                time.sleep(_PAUSED_LOOK)
            self._status.tell(State.TRAINING)
        return wish != Wish.STOP

    def _show(self, trainer: Trainer) -> float:
        """Writes the avatar as it is now; returns when to do so again, on the monotonic clock.

        Where it cannot be written, the next one may be: nothing that training needs is lost.
        """
        assert self._live is not None
        started = time.monotonic()
        try:
            self._save(trainer, trainer.snapshot(), unfinished=True)
        except HeadGaSError as error:
            log.warning("%s", error)
        now = time.monotonic()
        return now + self._live * min(max(1.0, (now - started) / _SHOWN_SHARE / self._live), _LATEST_SHOWN)

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
        self._status.tell(State.TRAINING, **line.__dict__)
        on_progress(line)

    def finish(self, trainer: Trainer, preview: Callable[[Avatar, Path], Any]) -> None:
        """Writes the avatar; only then the state to resume from goes."""
        avatar = trainer.finish()
        self._save(trainer, avatar)
        self._save_corrections(trainer)
        preview(avatar, self.folder / PREVIEW)
        (self.folder / RESUME).unlink(missing_ok=True)

    def _save(self, trainer: Trainer, avatar: TrainableAvatar, **said: Any) -> None:
        surface, training = extract_surface(avatar), self._summary(trainer) | said
        save_avatar(self.avatar_path, avatar, self._preset, training, surface, self._compact)
        write_thumbnail(avatar, self.folder / THUMBNAIL)

    def _save_corrections(self, trainer: Trainer) -> None:
        if trainer.refinement is None:
            return
        frames = trainer.refinement.frames(self._capture.split("train"))
        write(self.folder / CORRECTED, json.dumps({"frames": frames}))
        turn, move = trainer.refinement.sizes()
        log.info("heads were turned by %.2f° and moved by %.1f mm (RMS)", math.degrees(turn), 1e3 * move)

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
        """Writes what `resume` needs.

        Raises:
            HeadGaSError: it cannot be written.
        """
        tensors, numbers = trainer.state()
        header = {"preset": self._preset, "recipe": config_to_json(self._config), "numbers": numbers}
        header["refines"] = trainer.refinement is not None
        path = self.folder / RESUME
        unfinished = path.with_name(path.name + ".part")
        tensors = {name: value.cpu().contiguous() for name, value in tensors.items()}
        try:
            save_file(tensors, unfinished, metadata={"headgas-run": json.dumps(header)})
            os.replace(unfinished, path)
        except (SafetensorError, OSError) as error:
            raise HeadGaSError(f"{path}: cannot be written ({error}).", _SPACE) from None

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
                        _SAME,
                    )
                if header.get("refines", False) != (trainer.refinement is not None):
                    raise HeadGaSError(f"{path}: belongs to a run that treats the frames' poses otherwise.", _SAME)
                tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 - no mapping
            trainer.restore(tensors, header["numbers"])
        except (SafetensorError, OSError, KeyError, TypeError, ValueError, RuntimeError) as error:
            raise HeadGaSError(f"{path}: the state to resume from is damaged ({error}).") from None
        return True
