# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Choosing where to compute, and saying what keeps an NVIDIA card from being used."""

import functools
import logging
import shutil
import subprocess
import sys
from pathlib import Path

import torch

from headgas.errors import HeadGaSError

log = logging.getLogger(__name__)

_WHEELS = "https://download.pytorch.org/whl/cu130"  # torch's own builds for CUDA; on Windows, others are for the CPU
_PATIENCE = 10  # seconds for nvidia-smi


def choose_device(name: str) -> torch.device:
    """The device of `--device auto|cpu|cuda`; "auto" is the CPU where CUDA does not work, and the log says why.

    Raises:
        HeadGaSError: CUDA is asked for and does not work.
    """
    if name == "cpu":
        return torch.device("cpu")
    problem = cuda_problem()
    if problem is None and _cuda_is_available():
        return torch.device("cuda")
    if name == "cuda":
        raise problem or HeadGaSError("This machine has no NVIDIA card that could be found.", "Use --device cpu.")
    if problem is not None:
        log.warning("%s", notice(name))
    return torch.device("cpu")


def notice(name: str) -> str | None:
    """What to tell a user whose NVIDIA card `--device auto` cannot use; None when there is nothing to tell."""
    problem = cuda_problem() if name == "auto" else None
    return problem and f"{problem.message} Until then, everything runs on the CPU. {problem.hint}"


@functools.cache
def cuda_problem() -> HeadGaSError | None:
    """What keeps this machine's NVIDIA card from working, and the command that helps; None when it works or there is
    none. Found out once per process."""
    if _cuda_is_available():
        return _rasterizer_problem()
    card = _card()
    if card is None:
        return None
    if _torch_cuda() is None:
        version = torch.__version__.split("+")[0]
        return HeadGaSError(
            f"This machine has an NVIDIA card ({card}), but its torch {torch.__version__} is built for the CPU alone.",
            f"Run: {sys.executable} -m pip install --force-reinstall torch=={version} --index-url {_WHEELS}",
        )
    return HeadGaSError(
        f"This machine has an NVIDIA card ({card}), but torch {torch.__version__} cannot use it: NVIDIA's driver is "
        f"missing, or too old for CUDA {_torch_cuda()}.",
        "Install the newest driver from https://www.nvidia.com/drivers and restart the machine.",
    )


def rasterizer_name(device: torch.device) -> str:
    """What rasterizes on that device."""
    return "gsplat" if device.type == "cuda" else "numba"


def _cuda_is_available() -> bool:
    return torch.cuda.is_available()


def _torch_cuda() -> str | None:
    """The version of CUDA that torch was built for."""
    return torch.version.cuda


def _card() -> str | None:
    """The name of an NVIDIA card, whether torch can use it or not."""
    command = shutil.which("nvidia-smi")
    if command:
        query = [command, "--query-gpu=name", "--format=csv,noheader"]
        try:
            finished = subprocess.run(query, capture_output=True, text=True, timeout=_PATIENCE, check=True)
        except (OSError, subprocess.SubprocessError) as error:
            log.debug("nvidia-smi failed: %s", error)
        else:
            names = finished.stdout.strip().splitlines()
            return names[0].strip() if names else None
    # without a driver that works: the system's own list of devices (vendor 10de is NVIDIA, class 03 a display)
    for device in Path("/sys/bus/pci/devices").glob("*"):
        try:
            vendor, kind = ((device / name).read_text(encoding="ascii").strip() for name in ("vendor", "class"))
        except OSError:
            continue
        if vendor == "0x10de" and kind.startswith("0x03"):
            return f"PCI {device.name}"
    return None


def _rasterizer_problem() -> HeadGaSError | None:
    """What gsplat lacks; its kernels are built now if they were never built."""
    from headgas.splatting.gsplat_rasterizer import load_gsplat

    try:
        load_gsplat()
    except HeadGaSError as error:
        return error
    return None
