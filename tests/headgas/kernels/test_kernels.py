# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Triton kernels: in Triton's interpreter on any machine, and compiled where there is CUDA."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

CHECKS = Path(__file__).with_name("checks.py")
ROOT = CHECKS.parents[3]


def check(variables: dict[str, str]) -> None:
    """The interpreter is chosen when Triton is imported, so each run has its own process."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", str(CHECKS)]
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"} | variables
    finished = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stdout + finished.stderr


@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="Triton is not installed")
def test_in_the_interpreter() -> None:
    check({"TRITON_INTERPRET": "1", "CUDA_VISIBLE_DEVICES": ""})


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_compiled() -> None:
    check({})
