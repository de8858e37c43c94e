# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""`headgas compile` prepares everything that would otherwise be compiled at its first use."""

import os
import re
import subprocess
import sys
from pathlib import Path

import headgas
from headgas.training.warmup import ALL, RENDERING
from tests.headgas.conftest import copy_kernels


def compile_all(cache: Path) -> tuple[str, list[str]]:
    finished = subprocess.run(
        [sys.executable, "-m", "headgas", "compile"], env=os.environ | {"NUMBA_CACHE_DIR": str(cache)},
        capture_output=True, text=True, timeout=600, check=True,
    )  # fmt: skip
    return finished.stdout.strip(), finished.stderr.splitlines()


def test_the_command_compiles_everything_once_and_says_what_it_does(tmp_path: Path) -> None:
    copy_kernels(tmp_path, but="pixels")
    out, messages = compile_all(tmp_path)
    assert len(messages) == len(ALL), messages
    for number, (kernels, message) in enumerate(zip(ALL, messages, strict=True), 1):
        assert message.startswith(f"compiling {number} of {len(ALL)}: {kernels.what}, once per machine, about ")
    assert out == f"{len(ALL)} kernels compiled; all are ready."
    assert len([*tmp_path.rglob("pixels._look*.nbc")]) == 1
    assert compile_all(tmp_path) == ("All kernels are compiled.", [])


def test_no_kernel_is_forgotten() -> None:
    sources = [path.read_text("utf-8") for path in Path(headgas.__file__).parent.rglob("*.py")]
    names = {name for source in sources for name in re.findall(r"with announced\(f?\"([^\"{]+)", source)}
    assert len(names) >= 5
    for name in names:
        assert any(kernels.what.startswith(name) for kernels in ALL), name
    assert set(RENDERING) < set(ALL)
