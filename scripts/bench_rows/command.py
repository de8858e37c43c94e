# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Chooses the rows, measures them one after the other, and writes what came out."""

import argparse
import importlib.metadata
import json
import logging
import platform
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from bench_rows import blender, cuda, large_captures, refinement, rendering, sequences, training, viewport
from bench_rows.measuring import Bench, Row, measure_ceilings
from headgas.devices import choose_device
from headgas.errors import HeadGaSError
from headgas.splatting.gpu_kernels import triton_problem

log = logging.getLogger(__name__)

Rows = Callable[[Bench], Iterator[Row]]
EVERYWHERE: dict[str, Rows] = {
    "rasterizer": rendering.rasterizer_rows,
    "frames": rendering.frame_rows,
    "models": rendering.model_rows,
    "decoder": rendering.decoder_rows,
    "similarity": training.similarity_rows,
    "optimizer": training.optimizer_rows,
    "steps": training.step_rows,
    "memory": training.memory_rows,
    "captures": large_captures.rows,
    "refinement": refinement.rows,
}
ON_CPU: dict[str, Rows] = {
    "busy": rendering.loaded_rows,
    "blending": rendering.blending_rows,
    "rig": blender.rig_rows,
    "sequences": sequences.sequence_rows,
    "viewport": viewport.viewport_rows,
}
ON_CUDA: dict[str, Rows] = {
    "fused": cuda.fused_rows,
    "agreement": cuda.agreement_rows,
    "quality": training.quality_rows,
}
SLOW = {"quality"}  # left out of --quick
ASKED = {"captures", "refinement", "viewport"}  # minutes each, or a window: measured only where they are named


def run(arguments: argparse.Namespace) -> int:
    """Returns the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        device = choose_device(arguments.device)
    except HeadGaSError as error:
        print(f"bench.py: {error}", file=sys.stderr)
        return 2
    subjects = EVERYWHERE | (ON_CUDA if device.type == "cuda" else ON_CPU)
    usual = [name for name in subjects if name not in ASKED and not (arguments.quick and name in SLOW)]
    chosen = arguments.only.split(",") if arguments.only else usual
    unknown = [name for name in chosen if name not in subjects]
    if unknown:
        print(f"bench.py: no rows {', '.join(unknown)}; there are: {', '.join(subjects)}", file=sys.stderr)
        return 2
    started = time.monotonic()
    threads = (1,) if device.type == "cuda" else (1, 2)
    bench = Bench(
        device, threads, 0.4 if arguments.quick else 1.5, arguments.quick, arguments.prototype,
        measure_ceilings(device, threads), arguments.capture,
    )  # fmt: skip
    machine = _machine(bench)
    for name, value in machine.items():
        print(f"{name:<12} {value}")
    rows: list[Row] = []
    failures: dict[str, str] = {}
    for name in chosen:
        try:
            for row in subjects[name](bench):
                rows.append(row)
                print(_line(row), flush=True)
        except Exception as error:  # a GPU is precious: what else can be measured is measured, and the failure told
            log.exception("%s cannot be measured", name)
            failures[name] = f"{type(error).__name__}: {error}"
        if arguments.json:
            content = {"machine": machine, "rows": [asdict(row) for row in rows], "failures": failures}
            _write(arguments.json, content)
    print(f"{time.monotonic() - started:.0f} seconds" + (f"; failed: {', '.join(failures)}" if failures else ""))
    return 1 if failures else 0


def _machine(bench: Bench) -> dict[str, Any]:
    """What figures of different machines are compared by."""
    facts: dict[str, Any] = {"python": platform.python_version(), "torch": torch.__version__, "cpu": platform.machine()}
    if bench.device.type == "cuda":
        facts |= {"gpu": torch.cuda.get_device_name(), "cuda": torch.version.cuda}
        facts["gsplat"] = importlib.metadata.version("gsplat")
        facts["our kernels"] = triton_problem(bench.device) or f"Triton {_triton_version()}"
    for threads, ceiling in bench.ceilings.items():
        facts[f"{threads} thread{'s' if threads > 1 else ''}"] = (
            f"reads {ceiling.read:.1f} GB/s, multiplies {ceiling.product:.0f} GFLOP/s"
        )
    return facts


def _triton_version() -> str:
    import triton  # on Windows the package has another name than the module

    return triton.__version__


def _line(row: Row) -> str:
    parts = [f"{row.row:<78} {row.threads} thr {row.value:10.3f} {row.unit}"]
    if row.per_second is not None:
        parts.append(f"{row.per_second:9.1f} /s")
    if row.ratio is not None:
        parts.append(f"{row.ratio:6.2f} × {row.against}")
    if row.of_ceiling is not None:
        parts.append(f"{row.of_ceiling:4.0%} of the ceiling")
    return "  ".join(parts)


def _write(path: Path, content: dict[str, Any]) -> None:
    beside = path.with_name(path.name + ".part")
    beside.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    beside.replace(path)

