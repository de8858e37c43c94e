# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""`headgas doctor`: what is installed, what works, what is missing and how to get it."""

import importlib.metadata
import json
import platform
import sys
import time
from typing import Any

import torch

import headgas
from headgas.captures.tracking import is_ready
from headgas.devices import cuda_problem, rasterizer_name
from headgas.perceptual import WEIGHTS_VARIABLE, find_weights, weight_folders
from headgas.splatting import Camera, Gaussians, get_threads, rasterize
from headgas.splatting.gpu_kernels import triton_command, triton_problem

_PACKAGES = ("torch", "numpy", "numba", "safetensors", "pillow", "torchmetrics", "scikit-image")
_PACKAGES += ("zstandard", "deflate", "gsplat", "triton")
_TEST_SECONDS = 2.0
_TEST_GAUSSIANS, _TEST_SIZE = 5_000, 128


def examine(as_json: bool) -> None:
    """Prints the findings to standard output."""
    findings = _findings()
    if as_json:
        print(json.dumps(findings))
        return
    print(f"HeadGaS {findings['headgas']}, Python {findings['python']} on {findings['platform']}")
    for name, version in findings["packages"].items():
        print(f"  {name:<14} {version or 'not installed'}")
    print(f"Device: {findings['device']}; rasterizer: {findings['rasterizer']}; {findings['threads']} threads")
    test = findings["self_test"]
    speed = f"{test['frames_per_second']:.0f} frames/s at {_TEST_SIZE}², {_TEST_GAUSSIANS} Gaussians"
    print(f"Self-test: {test['result']}, {speed}")
    for missing in findings["missing"]:
        print(f"- {missing['what']}\n  {missing['fix']}")


def _findings() -> dict[str, Any]:
    device = torch.device("cuda" if torch.cuda.is_available() and cuda_problem() is None else "cpu")
    return {
        "headgas": headgas.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "executable": sys.executable,
        "packages": {name: _version(name) for name in _PACKAGES},
        "device": torch.cuda.get_device_name() if device.type == "cuda" else "cpu",
        "rasterizer": rasterizer_name(device),
        "threads": get_threads(),
        "self_test": _self_test(device),
        "missing": _missing(device),
    }


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _self_test(device: torch.device) -> dict[str, Any]:
    """Rasterizes for two seconds, against the reference once."""
    generator = torch.Generator().manual_seed(0)

    def random(*shape: int) -> torch.Tensor:
        return torch.rand(*shape, generator=generator).to(device)

    n = _TEST_GAUSSIANS
    gaussians = Gaussians(random(n, 3) - 0.5, random(n, 4) + 0.1, random(n, 3) * 0.02 + 0.005, random(n), random(n, 3))
    viewmat = torch.eye(4)
    viewmat[2, 3] = 2.0
    K = torch.tensor([[150.0, 0, 64], [0, 150, 64], [0, 0, 1]])
    camera = Camera(viewmat, K, _TEST_SIZE, _TEST_SIZE).to(device)
    few = Gaussians(*(value[:200] for value in vars(gaussians).values()))
    with torch.inference_mode():
        error = (rasterize(few, camera).color - rasterize(few, camera, implementation="reference").color).abs().max()
        rasterize(gaussians, camera)
        frames, started = 0, time.perf_counter()
        while time.perf_counter() - started < _TEST_SECONDS:
            rasterize(gaussians, camera)
            frames += 1
        if device.type == "cuda":
            torch.cuda.synchronize()
        speed = frames / (time.perf_counter() - started)
    result = "passed" if error < 1e-3 else f"FAILED (differs from the reference by {error:.3g})"
    return {"result": result, "frames_per_second": speed}


def _missing(device: torch.device) -> list[dict[str, str]]:
    missing = []
    problem = cuda_problem()
    if problem is not None:
        missing.append({"what": f"{problem.message} Until then, everything runs on the CPU.", "fix": problem.hint})
    reason = triton_problem(device) if device.type == "cuda" else None
    if reason is not None:
        what = f"Triton, which makes rendering and training on the GPU faster, does not work: {reason}"
        missing.append({"what": what, "fix": f"Run: {triton_command()}"})
    if not is_ready():
        fix = "Nothing: the first `headgas track` downloads about 130 MB for it."
        missing.append({"what": "The face tracker: only captures from videos need it.", "fix": fix})
    folders = " or ".join(map(str, weight_folders()))
    if find_weights("vgg16-*.pth") is None:
        fix = f"Put torchvision's vgg16-397923af.pth into {folders} (or a folder that {WEIGHTS_VARIABLE} names)."
        missing.append({"what": "Weights of VGG16: training runs without its perceptual loss.", "fix": fix})
    if find_weights("vgg.pth") is None:
        fix = f"Put LPIPS's vgg.pth (weights/v0.1 of richzhang/PerceptualSimilarity) into {folders}."
        missing.append({"what": "Weights of LPIPS: evaluation leaves it out.", "fix": fix})
    return missing
