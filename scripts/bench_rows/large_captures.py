# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows about captures that do not fit into memory: opening them, training from the disk, and the memory it takes.

The frames are links to a few pictures, so that no disk is filled: each is decoded as any other, but the system reads
it from its memory, as it does with real files that were read before.
"""

import importlib.util
import json
import multiprocessing
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from bench_rows import scenes
from bench_rows.measuring import Bench, Row
from bench_rows.training import most_memory
from headgas.captures import Capture, load_for_training
from headgas.captures.png import read_png
from headgas.splatting import set_threads
from headgas.training.config import preset
from headgas.training.frames import usual_cache
from headgas.training.trainer import Budget, Trainer

_SIZE, _PICTURES = 512, 32
_PAINTED = 400  # pixels of it that are painted: a head fills half of its picture, as in real captures
_FEW, _MANY, _MOST = 100, 5_000, 10_000  # frames
_GAUSSIANS = 12_000
_STEPS = 1_000_000  # of the budget: nothing is densified while it is measured
_TURNS = 4  # of each trainer
_NO_CACHE, _SMALL_CACHE = 40_000_000, 200_000_000  # bytes
_FILLING = 250  # steps: more frames than that cache holds


def _write(folder: Path, frames: int) -> Path:
    """A capture of so many frames, all training frames but one."""
    painted, margin = scenes.capture(_PAINTED, _PICTURES, 1, gaussians=4_000), (_SIZE - _PAINTED) // 2
    images = folder / "images"
    images.mkdir()
    for number, frame in enumerate(painted.frames):
        pixels = np.pad((frame.load_rgba() * 255).astype(np.uint8), ((margin, margin), (margin, margin), (0, 0)))
        Image.fromarray(pixels).save(folder / f"{number}.png")
    entries = []
    for number in range(frames):
        source = painted.frames[number % _PICTURES]
        name = f"{number:05d}"
        os.link(folder / f"{number % _PICTURES}.png", images / f"{name}.png")
        entry = {"name": name, "split": "train" if number else "test", "image": f"images/{name}.png"}
        arrays = {key: getattr(source, key).tolist() for key in ("viewmat", "expression")}
        arrays["K"] = (source.K + [[0, 0, margin], [0, 0, margin], [0, 0, 0]]).tolist()
        entries.append(entry | arrays | {"width": _SIZE, "height": _SIZE})
    np.save(folder / "points.npy", painted.load_points())
    space = {"kind": "custom", "names": list(painted.expression_space.names)}
    data = {"format": "headgas-capture", "version": 1, "points": "points.npy", "expression_space": space}
    (folder / "capture.json").write_text(json.dumps(data | {"frames": entries}), encoding="utf-8")
    return folder


def _few(capture: Capture, count: int) -> Capture:
    return replace(capture, frames=capture.frames[: count + 1])


def _trainer(capture: Capture, cache: int | None, device: torch.device) -> Trainer:
    config = replace(preset("modes"), initial_gaussians=_GAUSSIANS, max_gaussians=_GAUSSIANS)
    return Trainer(capture, config, Budget(iterations=_STEPS), device=device, cache=cache)


def _rates(bench: Bench, trainers: list[Trainer]) -> list[float]:
    """The most steps per second of each, measured in turns: while one runs the others have nothing to decode."""
    best = [0.0] * len(trainers)
    for _ in range(_TURNS):
        for i, trainer in enumerate(trainers):
            for _ in range(3):
                trainer.step()
            bench.wait()
            started, steps = time.perf_counter(), 0
            while time.perf_counter() - started < 4 * bench.seconds:
                trainer.step()
                steps += 1
            bench.wait()
            best[i] = max(best[i], steps / (time.perf_counter() - started))
    return best


def _peaks(folder: Path, counts: tuple[int, ...]) -> list[float]:
    """GB that this process held at most after training on so many frames each."""
    peaks = []
    for count in counts:
        trainer = _trainer(_few(load_for_training(folder), count), _SMALL_CACHE, torch.device("cpu"))
        for _ in range(_FILLING):
            trainer.step()
        peaks.append(most_memory())
    return peaks


def _by_pillow(file: Path) -> np.ndarray:
    with Image.open(file) as picture:
        return np.asarray(picture)


def rows(bench: Bench) -> Iterator[Row]:
    set_threads(bench.most)
    with tempfile.TemporaryDirectory() as temporary:
        folder = _write(Path(temporary), _MOST)
        picture = folder / "0.png"
        ours, pillows = bench.times([lambda: read_png(picture, _SIZE, _SIZE), lambda: _by_pillow(picture)])
        yield bench.row(f"decoding a picture {_SIZE}²", ours, "ms", 1, ratio=pillows / ours, against="Pillow")
        opened = time.perf_counter()
        capture = load_for_training(folder)
        yield bench.row(f"opening {_MOST:,} frames", time.perf_counter() - opened, "s")
        memory = _trainer(_few(capture, _FEW), 2 * _SIZE * _SIZE * 4 * _FEW, bench.device)
        disk, usual = (_trainer(_few(capture, _MANY), cache, bench.device) for cache in (_NO_CACHE, None))
        for number in range(len(usual.frames)):  # as a first epoch does: what fits stays
            usual.frames[number]
        in_memory, *from_disk = _rates(bench, [memory, usual, disk])
        title = f"training step {_SIZE}² {_GAUSSIANS}"
        yield bench.row(f"{title}, {_FEW} frames in memory", 1e3 / in_memory, "ms", per_second=in_memory)
        usually = f"cache {usual_cache(bench.device) // 1_000_000:,} MB"
        for told, rate in zip((usually, "each decoded every time"), from_disk, strict=True):
            yield bench.row(
                f"{title}, {_MANY:,} frames, {told}", 1e3 / rate, "ms", per_second=rate,
                ratio=rate / in_memory, against="in memory",
            )  # fmt: skip
        if bench.device.type == "cuda" or importlib.util.find_spec("resource") is None:
            return
        del memory, usual, disk
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            few, many = pool.apply(_peaks, (folder, (_FILLING, _MOST - 1)))
        megabytes = _SMALL_CACHE // 1_000_000
        yield bench.row(f"training {_FILLING} frames {_SIZE}², cache {megabytes} MB, peak memory", few, "GB")
        yield bench.row(f"training {_MOST:,} frames {_SIZE}², cache {megabytes} MB, peak memory", many, "GB")
