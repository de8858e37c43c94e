# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Times what a CPU frame and a training step spend their time on."""

import argparse
import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "backend"))

from headgas.splatting import Gaussians, rasterize, set_threads
from headgas.splatting.example import egg
from headgas.training.rank_one_adam import RankOneAdam
from headgas.training.ssim import ssim, ssim_torch

SCENES = ((128, 5_000), (256, 10_000), (512, 50_000))  # pixels along each side, Gaussians


def milliseconds(functions: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """The fastest of several runs of each, taken in turns so that all meet the same disturbances."""
    for function in functions.values():
        function()
    best = dict.fromkeys(functions, float("inf"))
    for _ in range(rounds):
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            best[name] = min(best[name], (time.perf_counter() - start) * 1e3)
    return best


def rasterizer(size: int, count: int) -> dict[str, Callable[[], object]]:
    """RGB and depth of a made-up head, with the gradients of all that it is made of."""
    scene, camera = egg(count, size, size)
    gaussians = Gaussians(*(tensor.requires_grad_() for tensor in vars(scene).values()))
    gradients = torch.randn(size, size, 3), torch.randn(size, size), torch.randn(size, size)

    def forward() -> None:
        with torch.no_grad():
            rasterize(gaussians, camera)

    def forward_and_backward() -> None:
        for tensor in vars(gaussians).values():
            tensor.grad = None
        result = rasterize(gaussians, camera)
        assert result.depth is not None
        torch.autograd.backward((result.color, result.alpha, result.depth), gradients)

    return {"forward": forward, "forward + backward": forward_and_backward}


def other_rasterizer(folder: Path, size: int, count: int) -> dict[str, Callable[[], object]]:
    """The same work by the module `nbsplat` of another folder."""
    os.environ.update(TW="8", TH="32")
    sys.path.insert(0, str(folder))
    module = importlib.import_module("nbsplat")
    scene, camera = egg(count, size, size)
    tensors = [tensor.requires_grad_() for tensor in vars(scene).values()]
    view, K = camera.viewmat[:3].contiguous(), camera.K
    intrinsics = torch.stack([K[0, 0], K[1, 1], K[0, 2], K[1, 2]])
    gradients = torch.randn(4, size, size), torch.randn(size, size)

    def forward() -> None:
        with torch.no_grad():
            module.rasterize(*tensors, view, intrinsics, size, size)

    def forward_and_backward() -> None:
        for tensor in tensors:
            tensor.grad = None
        torch.autograd.backward(module.rasterize(*tensors, view, intrinsics, size, size), gradients)

    return {"prototype forward": forward, "prototype forward + backward": forward_and_backward}


def similarity(size: int) -> dict[str, Callable[[], object]]:
    image, target = torch.rand(size, size, 3).requires_grad_(), torch.rand(size, size, 3)
    return {
        f"{name} forward + backward": lambda f=f: f(image, target).backward()
        for name, f in (("SSIM", ssim), ("SSIM, torch", ssim_torch))
    }


def optimizer(count: int) -> dict[str, Callable[[], object]]:
    """A basis of 53 rows of which 20 are active, 32 features for each Gaussian."""
    optimizer = RankOneAdam(torch.randn(53, count, 32))
    coefficients, gradient = (torch.arange(53) < 20).float(), torch.randn(count, 32)
    return {"rank-one Adam, 20 of 53 rows": lambda: optimizer.step(coefficients, gradient, 1e-3)}


def machine(rounds: int) -> dict[str, float]:
    """What this machine can do now: GFLOP/s of a matrix product, GB/s of reading."""
    matrix, long = torch.randn(1024, 1024), torch.randn(32 * 1024 * 1024)
    best = milliseconds({"product": lambda: matrix @ matrix, "read": long.sum}, rounds)
    return {"SGEMM GFLOP/s": 2 * 1024**3 / best["product"] / 1e6, "read GB/s": long.numel() * 4 / best["read"] / 1e6}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--json", type=Path, help="write the figures to this file, too")
    parser.add_argument("--prototype", type=Path, help="a folder with another rasterizer, nbsplat.py, to compare with")
    arguments = parser.parse_args()
    rounds = 7 if arguments.quick else 30
    figures: list[dict[str, object]] = []
    for threads in (1, 2):
        set_threads(threads)
        work = [(f"rasterize {size}², {count}", rasterizer(size, count)) for size, count in SCENES]
        if arguments.prototype:
            numba_threads = importlib.import_module("numba").set_num_threads
            numba_threads(threads)
            for (_, functions), scene in zip(work, SCENES, strict=True):
                functions.update(other_rasterizer(arguments.prototype, *scene))
        work += [("256²", similarity(256)), ("512²", similarity(512)), ("10000", optimizer(10_000))]
        for title, functions in work:
            best = milliseconds(functions, rounds)
            for name, value in best.items():
                figures.append({"threads": threads, "what": f"{title}, {name}", "ms": round(value, 3)})
                rival = best.get(f"prototype {name}")
                print(
                    f"{threads} threads  {title + ', ' + name:60} {value:8.2f} ms"
                    + (f"  {rival / value:5.2f} x faster" if rival else "")
                )
        for name, value in machine(rounds).items():
            figures.append({"threads": threads, "what": name, "value": round(value, 1)})
            print(f"{threads} threads  {name:60} {value:8.1f}")
    if arguments.json:
        beside = arguments.json.with_suffix(".partial")
        beside.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
        beside.replace(arguments.json)


if __name__ == "__main__":
    main()
