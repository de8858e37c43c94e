# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The benchmark runs, and writes figures that other machines' can be compared with."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT / "backend")}
    command = [sys.executable, "scripts/bench.py", "--quick", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def test_rows_have_time_ratio_and_ceiling(tmp_path: Path) -> None:
    finished = bench("--only", "similarity,decoder", "--json", str(tmp_path / "out.json"))
    assert finished.returncode == 0, finished.stderr
    result = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert result["machine"]["torch"] == torch.__version__
    assert "GFLOP/s" in result["machine"]["1 thread"] and "GB/s" in result["machine"]["2 threads"]
    assert [row["row"].split()[0] for row in result["rows"]] == ["SSIM", "SSIM", "decode"]
    for row in result["rows"]:
        assert row["device"] == "cpu" and row["unit"] == "ms" and row["against"] == "torch"
        assert row["value"] > 0 and row["ratio"] > 0 and row["of_ceiling"] > 0
        assert row["per_second"] == pytest.approx(1e3 / row["value"])
        assert row["row"] in finished.stdout


def test_what_is_missing_is_said() -> None:
    finished = bench("--only", "teapots")
    assert finished.returncode == 2 and "teapots" in finished.stderr and "rasterizer" in finished.stderr
    if not torch.cuda.is_available():
        finished = bench("--device", "cuda")
        assert finished.returncode == 2 and "NVIDIA card" in finished.stderr
