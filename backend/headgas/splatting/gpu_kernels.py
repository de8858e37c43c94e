# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether our own CUDA kernels, written in Triton, can be compiled and run on this machine.

Triton comes with torch's CUDA builds for Linux and compiles for the card at first use; it needs no CUDA toolkit. Each
kernel has a twin in plain torch, which runs wherever this says no.
"""

import functools
import logging
import sys
from typing import Any

import torch
from torch import Tensor

log = logging.getLogger(__name__)


def kernels_work(tensor: Tensor) -> bool:
    """Whether kernels can work on this tensor: it is on a CUDA device, and Triton works there."""
    return tensor.is_cuda and triton_problem(tensor.device) is None


@functools.cache
def triton_problem(device: torch.device) -> str | None:
    """Why kernels cannot be compiled for that CUDA device, and None when they can; said once in the log."""
    problem = _trial(device)
    if problem is not None:
        log.warning("Our CUDA kernels cannot be used, torch's slower operations take their place: %s", problem)
    return problem


def launch(kernel: Any, programs: int, on: Tensor, *arguments: Any, **options: Any) -> None:
    """Runs so many programs of a Triton kernel on the device of the tensor `on`."""
    with torch.cuda.device_of(on):
        kernel[(programs,)](*arguments, **options)


def triton_command() -> str:
    """What installs Triton where torch did not bring it."""
    return f"{sys.executable} -m pip install {'triton-windows' if sys.platform == 'win32' else 'triton'}"


def _trial(device: torch.device) -> str | None:
    """Runs the smallest kernel."""
    try:
        from headgas.splatting.gpu_trial import count_up
    except ImportError as error:
        return f"Triton is not installed ({error}); run: {triton_command()}"
    try:
        numbers = torch.empty(16, device=device)
        launch(count_up, 1, numbers, numbers, 16)
        if numbers.tolist() != list(range(16)):
            return "a trial kernel gave wrong numbers"
    except Exception as error:  # compilers, linkers and drivers fail in ways of their own
        return f"a trial kernel failed ({type(error).__name__}: {str(error).strip() or 'no reason given'})"
    return None
