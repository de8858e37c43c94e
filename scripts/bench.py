# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures rendering and training: each row beside its slow twin, and against what the machine can do at best.

    python3 scripts/bench.py [--quick] [--device cuda] [--json out.json] [--only WORDS] [--prototype DIR]

Needs nothing from the network. Exit codes: 0 done, 2 something is missing, and which.
"""

import argparse
import json
import platform
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "backend"))

from bench_rows import cuda, rendering, training
from bench_rows.measuring import Bench, Row, measure_ceilings
from headgas.devices import choose_device
from headgas.errors import HeadGaSError

Rows = Callable[[Bench], Iterator[Row]]
EVERYWHERE: dict[str, Rows] = {
    "rasterizer": rendering.rasterizer_rows,
    "frames": rendering.frame_rows,
    "decoder": rendering.decoder_rows,
    "similarity": training.similarity_rows,
    "optimizer": training.optimizer_rows,
    "steps": training.step_rows,
    "memory": training.memory_rows,
}
ON_CPU: dict[str, Rows] = {"busy": rendering.loaded_rows, "blending": rendering.blending_rows}
ON_CUDA: dict[str, Rows] = {
    "fused": cuda.fused_rows,
    "agreement": cuda.agreement_rows,
    "quality": training.quality_rows,
}
SLOW = {"quality"}  # left out of --quick


def main() -> int:
    arguments = _arguments()
    try:
        device = choose_device(arguments.device)
    except HeadGaSError as error:
        print(f"bench.py: {error}", file=sys.stderr)
        return 2
    subjects = EVERYWHERE | (ON_CUDA if device.type == "cuda" else ON_CPU)
    usual = [name for name in subjects if not (arguments.quick and name in SLOW)]
    chosen = arguments.only.split(",") if arguments.only else usual
    unknown = [name for name in chosen if name not in subjects]
    if unknown:
        print(f"bench.py: no rows {', '.join(unknown)}; there are: {', '.join(subjects)}", file=sys.stderr)
        return 2
    started = time.monotonic()
    threads = (1,) if device.type == "cuda" else (1, 2)
    bench = Bench(
        device, threads, 0.4 if arguments.quick else 1.5, arguments.quick, arguments.prototype,
        measure_ceilings(device, threads),
    )  # fmt: skip
    machine = _machine(bench)
    for name, value in machine.items():
        print(f"{name:<12} {value}")
    rows: list[Row] = []
    for name in chosen:
        for row in subjects[name](bench):
            rows.append(row)
            print(_line(row), flush=True)
            if arguments.json:
                _write(arguments.json, machine, rows)
    print(f"{time.monotonic() - started:.0f} seconds")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--quick", action="store_true", help="shorter, and smaller where size does not matter")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write machine and rows to this file, too")
    names = ", ".join(EVERYWHERE | ON_CPU | ON_CUDA)
    parser.add_argument("--only", metavar="NAMES", help=f"some of these, with commas between: {names}")
    parser.add_argument("--prototype", type=Path, metavar="DIR", help="another rasterizer, nbsplat.py, to compare with")
    return parser.parse_args()


def _machine(bench: Bench) -> dict[str, Any]:
    """What figures of different machines are compared by."""
    facts: dict[str, Any] = {"python": platform.python_version(), "torch": torch.__version__, "cpu": platform.machine()}
    if bench.device.type == "cuda":
        import gsplat

        facts |= {"gpu": torch.cuda.get_device_name(), "cuda": torch.version.cuda, "gsplat": gsplat.__version__}
    for threads, ceiling in bench.ceilings.items():
        facts[f"{threads} thread{'s' if threads > 1 else ''}"] = (
            f"reads {ceiling.read:.1f} GB/s, multiplies {ceiling.product:.0f} GFLOP/s"
        )
    return facts


def _line(row: Row) -> str:
    parts = [f"{row.row:<78} {row.threads} thr {row.value:10.3f} {row.unit}"]
    if row.per_second is not None:
        parts.append(f"{row.per_second:9.1f} /s")
    if row.ratio is not None:
        parts.append(f"{row.ratio:6.2f} × {row.against}")
    if row.of_ceiling is not None:
        parts.append(f"{row.of_ceiling:4.0%} of the ceiling")
    return "  ".join(parts)


def _write(path: Path, machine: dict[str, Any], rows: list[Row]) -> None:
    beside = path.with_name(path.name + ".part")
    content = {"machine": machine, "rows": [asdict(row) for row in rows]}
    beside.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    beside.replace(path)


if __name__ == "__main__":
    sys.exit(main())
