# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows about training: the similarity of images, the basis' optimizer, steps, memory, and the time to a good avatar."""

import importlib.util
import multiprocessing
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch

from bench_rows import scenes
from bench_rows.measuring import Bench, Row, Work
from bench_rows.scenes import ACTIVE, FEATURES, PARAMETERS, expressions
from headgas.avatars import Avatar
from headgas.splatting import set_threads
from headgas.training.config import TrainingConfig
from headgas.training.rank_one_adam import RankOneAdam
from headgas.training.ssim import ssim, ssim_torch
from headgas.training.trainer import Budget, Trainer

_LONG, _SHORT = 120.0, (20.0, 40.0, 80.0)  # seconds of training
_DEFAULT_RUN = 300.0  # seconds
_MANY = 50_000  # Gaussians
_GOOD = 0.2  # dB below the long run


def similarity_rows(bench: Bench) -> Iterator[Row]:
    for size in (256, 512):
        image, target = (torch.rand(size, size, 3, device=bench.device) for _ in range(2))
        image.requires_grad_()
        values = image.numel()
        # 8 maps in two directions of 11 products; two images are read, five maps and a gradient written and read
        work = Work(lambda: ssim(image, target).backward(), 4.0 * 14 * values, 2.0 * 8 * 2 * 11 * values,  # noqa: B023
                    {"torch": lambda: ssim_torch(image, target).backward()})  # noqa: B023  # fmt: skip
        yield from bench.timed(f"SSIM {size}², forward + backward", work)


def optimizer_rows(bench: Bench) -> Iterator[Row]:
    count = 10_000 if bench.quick else 50_000
    optimizer = RankOneAdam(torch.randn(1 + PARAMETERS, count, FEATURES, device=bench.device))
    coefficients = torch.cat([torch.ones(1), expressions(1)[0]])[None].to(bench.device)
    gradient = torch.randn(1, count, FEATURES, device=bench.device)
    dense = torch.randn(1 + PARAMETERS, count, FEATURES, device=bench.device, requires_grad=True)
    adam = torch.optim.Adam([dense], lr=1e-3, fused=True)

    def densely() -> None:
        dense.grad = torch.einsum("kr,knf->rnf", coefficients, gradient)
        adam.step()

    size = (1 + ACTIVE) * count * FEATURES  # values and first moments are read and written
    work = Work(lambda: optimizer.step(coefficients, gradient, 1e-3), 16.0 * size, 12.0 * size, {"dense Adam": densely})
    yield from bench.timed(f"rank-one Adam {count}, {1 + ACTIVE} of {1 + PARAMETERS} rows", work)


def _trainer(bench: Bench, size: int, count: int, budget: Budget, batch: int = 1) -> Trainer:
    config = replace(TrainingConfig(), initial_gaussians=count, max_gaussians=count, batch=batch)
    return Trainer(scenes.capture(size, gaussians=min(count, 10_000)), config, budget, device=bench.device)


def _steps(bench: Bench, trainer: Trainer, seconds: float) -> tuple[int, float, float]:
    """Steps taken, their seconds, and the slowest in milliseconds."""
    bench.wait()
    start, slowest, count = time.perf_counter(), 0.0, 0
    while time.perf_counter() - start < seconds and not trainer.finished:
        before = time.perf_counter()
        trainer.step()
        slowest, count = max(slowest, time.perf_counter() - before), count + 1
    bench.wait()
    return count, time.perf_counter() - start, slowest * 1e3


def step_rows(bench: Bench) -> Iterator[Row]:
    """The beginning of a run of the default length, and the first half of a short one, where all densification is."""
    size, count = (512, 50_000) if bench.device.type == "cuda" else (256, 10_000)
    seconds = 3.0 if bench.quick else 8.0
    set_threads(bench.most)
    for batch in (1, 4, 8) if bench.device.type == "cuda" else (1,):
        title = f"training step {size}² {count}" + (f", {batch} frames" if batch > 1 else "")
        for budget, when in ((_DEFAULT_RUN, ""), (2 * seconds, ", densifying at every tenth step or so")):
            trainer = _trainer(bench, size, count, Budget(seconds=budget), batch)
            for _ in range(5):
                trainer.step()
            steps, taken, slowest = _steps(bench, trainer, seconds)
            yield bench.row(title + when, taken / steps * 1e3, "ms", per_second=steps / taken)
        yield bench.row(f"{title}, the slowest", slowest, "ms")


def _to_the_end(trainer: Trainer) -> None:
    while not trainer.finished:
        trainer.step()


def _peak_memory() -> tuple[float, float]:
    """The most GB of this process before and after it trained 50,000 Gaussians for some steps."""
    before = most_memory()
    cpu = Bench(torch.device("cpu"), (1,), 1.0, True, None, {})
    _grow(cpu, 128)
    return before, most_memory()


def _grow(bench: Bench, size: int) -> None:
    """Trains from some Gaussians to 50,000, as they come to be in a run."""
    config = replace(TrainingConfig(), initial_gaussians=5_000, max_gaussians=_MANY, prune_opacity=0.0)
    capture = scenes.capture(size, train=4, gaussians=2_000)
    trainer = Trainer(capture, config, Budget(iterations=150), device=bench.device)
    _to_the_end(trainer)
    if trainer.avatar.count < 0.9 * _MANY:
        raise RuntimeError(f"only {trainer.avatar.count} of {_MANY} Gaussians came to be")


def most_memory() -> float:
    """GB that this process held at most, so far."""
    status = Path("/proc/self/status")
    if status.is_file():  # Linux' getrusage counts the parent's memory, too
        lines = dict(line.split(":", 1) for line in status.read_text(encoding="ascii").splitlines())
        return float(lines["VmHWM"].split()[0]) * 1024e-9
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1e-9


def memory_rows(bench: Bench) -> Iterator[Row]:
    name = f"training {_MANY} × {PARAMETERS} × {FEATURES}, peak memory"
    if bench.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        _grow(bench, 512)
        yield bench.row(name, torch.cuda.max_memory_allocated() / 1e9, "GB")
        return
    if importlib.util.find_spec("resource") is None:
        return  # Windows does not tell
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        before, peak = pool.apply(_peak_memory)
    yield bench.row(f"{name}, Python and torch included", peak, "GB")
    yield bench.row(f"{name}, Python and torch alone", before, "GB")


@torch.inference_mode()
def _quality(avatar: Avatar, capture: scenes.PaintedCapture) -> float:
    """Mean PSNR in dB over the test frames, over black."""
    errors = []
    for frame in capture.split("test"):
        camera, expression = frame.camera.to(avatar.device), torch.from_numpy(frame.expression).to(avatar.device)
        rgba = torch.from_numpy(frame.load_rgba()).to(avatar.device)
        shown = avatar.render(expression, camera).color.clamp(0, 1)
        errors.append((shown - rgba[..., :3] * rgba[..., 3:]).square().mean())
    return (-10 * torch.stack(errors).log10()).mean().item()


def quality_rows(bench: Bench) -> Iterator[Row]:
    """The shortest of some budgets that comes within 0.2 dB of a long run."""
    capture = scenes.capture(256, 96, 8)

    def trained(seconds: float) -> float:
        trainer = Trainer(capture, TrainingConfig(), Budget(seconds=seconds), device=bench.device)
        _to_the_end(trainer)
        return _quality(trainer.finish(), capture)

    best = trained(_LONG)
    yield bench.row(f"quality after {_LONG:.0f} s", best, "dB")
    for seconds in _SHORT:
        quality = trained(seconds)
        yield bench.row(f"quality after {seconds:.0f} s", quality, "dB")
        if quality >= best - _GOOD:
            yield bench.row(f"time to within {_GOOD} dB of {_LONG:.0f} s", seconds, "s")
            return
    yield bench.row(f"time to within {_GOOD} dB of {_LONG:.0f} s", _LONG, "s")
