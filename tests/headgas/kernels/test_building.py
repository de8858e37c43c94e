# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Triton compiles each kernel for cards that this machine need not have, and the hot ones keep to their registers."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

COMPILE = Path(__file__).with_name("compile_kernels.py")


@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="Triton is not installed")
@pytest.mark.parametrize("architecture", [75, 80, 90])
def test_kernels_compile(architecture: int) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    finished = subprocess.run(
        [sys.executable, str(COMPILE), str(architecture)], env=environment, capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stderr
    kernels = json.loads(finished.stdout)
    assert set(kernels) == {
        "count_up", "_finish", "_appear", "_blend_and_decode", "_blend_and_decode of bytes", "_step",
        "_average_columns", "_compare", "_spread_columns", "_differentiate",
    }  # fmt: skip
    assert all(kernel["shared"] <= 48 * 1024 for kernel in kernels.values())  # what a program has on every card
    if architecture >= 80:
        spilled = {name: kernel["spilled"] for name, kernel in kernels.items() if kernel["spilled"]}
        assert not spilled, f"registers spilled to memory, bytes: {spilled}"
