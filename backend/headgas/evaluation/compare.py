# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""`headgas compare`: presets trained and evaluated under one protocol, in one folder that outlives a kill."""

import dataclasses
import hashlib
import json
import logging
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

import torch

import headgas
from headgas.avatars import Avatar, Checkpoint, load_avatar
from headgas.captures import Capture
from headgas.errors import HeadGaSError
from headgas.evaluation.metrics import evaluate, evaluation_row
from headgas.evaluation.report import write_comparison
from headgas.evaluation.sheet import avatars_sheet, preview_writer
from headgas.files import save_image, write
from headgas.perceptual import find_weights
from headgas.training.config import PRESETS, config_to_json
from headgas.training.job import Job, train
from headgas.training.processes import Processes
from headgas.training.run import AVATAR, RESUME, Progress

log = logging.getLogger(__name__)

_ORDER = "order.json"  # in a preset's folder: what it was asked to train


def check_presets(names: Sequence[str]) -> None:
    """Refuses an empty list, and names that are unknown or given twice.

    Raises:
        HeadGaSError: naming the known presets.
    """
    known = f"Presets: {', '.join(PRESETS)}."
    if not names:
        raise HeadGaSError("There is no preset to compare.", known)
    for name in names:
        if name not in PRESETS:
            raise HeadGaSError(f"There is no preset {name!r}.", known)
        if names.count(name) > 1:
            raise HeadGaSError(f"The preset {name!r} is given more than once.", known)


def compare(
    capture: Capture,
    names: Sequence[str],
    job: Job,
    out: Path,
    on_progress: Callable[[str, Progress], Any],
) -> list[dict[str, Any]]:
    """Trains each preset into `out/NAME`, evaluates all of them and writes comparison.json, .png and .html.

    A preset that is trained already, on the same capture in the same way, is not trained again; a killed one goes on.

    Args:
        on_progress: receives the preset's name and a line of its progress.

    Returns:
        A row for each preset: what `headgas evaluate --json` prints, `training_seconds` and `iterations`.

    Raises:
        HeadGaSError: a preset, the capture or the folder cannot be used.
    """
    check_presets(names)
    frames = capture.split("test")
    fingerprint = _fingerprint(capture)
    paths = []
    for number, name in enumerate(names, 1):
        log.info("%s (%d of %d)", name, number, len(names))
        paths.append(_trained(capture, fingerprint, name, job, out / name, on_progress))
    log.info("evaluating")
    # One after the other once all training is done: every preset's speed is taken from the same quiet machine.
    refine = job.refines(capture)
    rows = [_row(load_avatar(path, job.device), capture, refine) for path in paths]
    avatars = {name: load_avatar(path, job.device).avatar for name, path in zip(names, paths, strict=True)}
    write_comparison(out, rows, avatars_sheet(avatars, frames), capture, job)
    return rows


def compare_avatars(
    capture: Capture, paths: Sequence[Path], device: torch.device, out: Path, refine: bool | None = None
) -> list[dict[str, Any]]:
    """Evaluates avatars that were trained already and writes comparison.json and .png.

    Args:
        refine: as `evaluate` has it.

    Returns:
        A row for each as `compare` has it; `preset` is the avatar's name, after which its preset follows in brackets.

    Raises:
        HeadGaSError: an avatar, the capture or the folder cannot be used.
    """
    frames = capture.split("test")
    rows: list[dict[str, Any]] = []
    avatars: dict[str, Avatar] = {}
    for path in paths:
        checkpoint = load_avatar(path, device)
        name = _unique(path.resolve().parent.name if path.name == AVATAR else path.stem, avatars)
        row = _row(checkpoint, capture, refine)
        rows.append(row | {"preset": f"{name} ({row['preset']})"})
        avatars[name] = checkpoint.avatar
    write(out / "comparison.json", json.dumps(rows, indent=1) + "\n")
    save_image(out / "comparison.png", avatars_sheet(avatars, frames))
    return rows


def _unique(name: str, taken: Collection[str]) -> str:
    """The name, with a number where it is taken."""
    names = [name, *(f"{name} {number}" for number in range(2, len(taken) + 2))]
    return next(other for other in names if other not in taken)


def _row(checkpoint: Checkpoint, capture: Capture, refine: bool | None) -> dict[str, Any]:
    training = checkpoint.header["training"]
    row = evaluation_row(checkpoint, evaluate(checkpoint, capture, refine=refine))
    return row | {"training_seconds": training.get("seconds"), "iterations": training.get("iterations")}


def _trained(
    capture: Capture,
    fingerprint: str,
    name: str,
    job: Job,
    folder: Path,
    on_progress: Callable[[str, Progress], Any],
) -> Path:
    """The avatar file of a preset, trained now unless it was trained before."""
    order = _order(fingerprint, name, job) | {"refined poses": job.refines(capture)}
    before = _read_order(folder)
    avatar, state = folder / AVATAR, folder / RESUME
    if before == order and avatar.is_file() and not state.is_file():
        log.info("%s: already trained", folder)
        return avatar
    if before != order:
        if avatar.is_file() or state.is_file():
            others = [key for key in order if before and before.get(key) != order[key]]
            log.info("%s: holds a run with another %s; training anew", folder, " and ".join(others) or "command")
            avatar.unlink(missing_ok=True)
            state.unlink(missing_ok=True)
        write(folder / _ORDER, json.dumps(order, indent=1))
    elif state.is_file():
        log.info("%s: going on with the killed run", folder)
    return train(
        job,
        name,
        capture,
        folder,
        resume=state.is_file(),
        on_progress=lambda line: on_progress(name, line),
        preview=preview_writer(capture),
        processes=Processes(),
    )


def _order(fingerprint: str, name: str, job: Job) -> dict[str, Any]:
    """All that decides what training makes of a preset; JSON."""
    config = job.config(name)
    return {
        "capture": fingerprint,
        "recipe": config_to_json(config),
        "budget": dataclasses.asdict(job.budget),
        "seed": job.seed,
        "device": job.device.type,
        "perceptual loss": bool(config.perceptual_weight and find_weights("vgg16-*.pth")),
        "version": headgas.__version__,
    }


def _read_order(folder: Path) -> dict[str, Any] | None:
    """What the folder was asked to train; None when that is unknown."""
    try:
        order = json.loads((folder / _ORDER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return order if isinstance(order, dict) else None


def _fingerprint(capture: Capture) -> str:
    """A hash of everything in a capture that training can see."""
    digest = hashlib.sha256(json.dumps(capture.expression_space.to_json()).encode())
    files = [capture.points]
    for frame in capture.frames:
        numbers = (frame.width, frame.height, frame.depth_unit, sorted(frame.boxes.items()))
        digest.update(repr((frame.name, frame.split, numbers)).encode())
        for array in (frame.viewmat, frame.K, frame.expression):
            digest.update(array.tobytes())
        files += [frame.image, frame.depth, *(matte.path for matte in frame.mattes)]
    for path in files:
        try:
            digest.update(path.read_bytes() if path else b"-")
        except OSError as error:
            raise HeadGaSError(f"{path}: cannot be read ({error.strerror or error}).") from None
    return digest.hexdigest()
