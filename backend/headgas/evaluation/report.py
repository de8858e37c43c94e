# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table and the page of a comparison of presets."""

import json
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from headgas.captures import Capture
from headgas.evaluation import page
from headgas.files import save_image, write
from headgas.perceptual import find_weights
from headgas.splatting import get_threads
from headgas.training.job import Job

Row = dict[str, Any]


@dataclass(frozen=True)
class _Column:
    title: str
    value: Callable[[Row], float | None]
    form: str  # of a number
    best: Callable[..., float] | None = None  # min or max
    missing: str = "–"


_REFINED = _Column("refined dB", lambda row: (row.get("refined") or {}).get("psnr"), ".2f", max)
_COLUMNS = (
    _Column("PSNR dB", lambda row: row["psnr"], ".2f", max),
    _REFINED,
    _Column("SSIM", lambda row: row["ssim"], ".4f", max),
    _Column("LPIPS", lambda row: row["lpips"], ".4f", min, "weights not found"),
    _Column("eyes dB", lambda row: (row["regions"] or {}).get("eyes"), ".2f", max),
    _Column("mouth dB", lambda row: (row["regions"] or {}).get("mouth"), ".2f", max),
    _Column("MB", lambda row: row["bytes"] / 1e6, ".1f", min),
    _Column("frames/s", lambda row: row["frames_per_second"], ".1f", max),
    _Column("training s", lambda row: row["training_seconds"], ".1f", min),
    _Column("steps", lambda row: row["iterations"], ",d"),
    _Column("Gaussians", lambda row: row["gaussians"], ",d", min),
)


def table_text(rows: Sequence[Row]) -> str:
    """The table in aligned columns."""
    columns = _columns(rows)
    lines = [_titles(columns), *(_cells(row, columns) for row in rows)]
    widths = [max(len(line[c]) for line in lines) for c in range(len(lines[0]))]
    return "\n".join(
        "  ".join([line[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(line[1:], widths[1:], strict=True))])
        for line in lines
    )


def write_comparison(out: Path, rows: Sequence[Row], sheet: np.ndarray, capture: Capture, job: Job) -> None:
    """Writes comparison.json (the rows), comparison.png (the sheet) and comparison.html (all of it)."""
    write(out / "comparison.json", json.dumps(rows, indent=1) + "\n")
    save_image(out / "comparison.png", sheet)
    columns = _columns(rows)
    document = page.page(
        f"Presets compared on {capture.path.resolve().name}",
        page.paragraph(_protocol(capture, job, _REFINED in columns)),
        page.table(_titles(columns), [_cells(row, columns) for row in rows], _best(rows)),
        page.paragraph(
            "Marked: the best of a column (the smallest LPIPS, size, time and number of Gaussians; else the largest)."
        ),
        page.picture(out / "comparison.png", "Frames spread over the test split: captured, and each preset's avatar."),
        page.heading("To repeat this"),
        page.command(_command(out, rows, capture, job)),
        page.paragraph(page.machine(job.device)),
    )
    write(out / "comparison.html", document)


def _protocol(capture: Capture, job: Job, refined: bool) -> str:
    """One sentence, and one more where poses were refined."""
    budget = job.budget
    length = f"{budget.iterations:,} steps" if budget.iterations else f"{budget.seconds:g} s"
    most = f", at most {job.max_gaussians:,} Gaussians" if job.max_gaussians else ""
    perceptual = "" if find_weights("vgg16-*.pth") else ", without the perceptual loss (its weights were not found)"
    train, test = (len(capture.split(name)) for name in ("train", "test"))
    return (
        f"Each preset was trained for {length} with seed {job.seed}{most} on the {train} training frames{perceptual} "
        f"and rendered for the {test} test frames, which training never saw; avatar and photograph lie over white, "
        "values clipped to 0..1, and PSNR, SSIM and LPIPS of the whole frame, and PSNR in the boxes around eyes and "
        "mouth, are means over these frames; frames/s count from expression to picture, one preset after the other "
        "when all training was done."
        + (" Refined: once more, each frame from the pose in which the avatar fits it best." if refined else "")
    )


def _command(out: Path, rows: Sequence[Row], capture: Capture, job: Job) -> str:
    """The command line that does all of it."""
    budget = job.budget
    length = ("--iterations", budget.iterations) if budget.iterations else ("--budget", f"{budget.seconds:g}s")
    most = ("--gaussians", job.max_gaussians) if job.max_gaussians else ()
    most += ("--batch", job.batch) if job.batch > 1 else ()
    most += () if job.refine is None else ("--refine-poses" if job.refine else "--no-refine-poses",)
    presets = ",".join(row["preset"] for row in rows)
    machine = ("--device", job.device.type, "--threads", get_threads())
    words = ("headgas", "compare", capture.path, "--presets", presets, *length, *most, "--seed", job.seed, *machine)
    return shlex.join(map(str, (*words, "--out", out)))


def _columns(rows: Sequence[Row]) -> list[_Column]:
    """Those of the table: refined poses only where there are some."""
    return [column for column in _COLUMNS if column is not _REFINED or any(column.value(row) for row in rows)]


def _titles(columns: Sequence[_Column]) -> list[str]:
    return ["preset", *(column.title for column in columns)]


def _cells(row: Row, columns: Sequence[_Column]) -> list[str]:
    values = ((column, column.value(row)) for column in columns)
    return [row["preset"], *(c.missing if value is None else format(value, c.form) for c, value in values)]


def _best(rows: Sequence[Row]) -> set[tuple[int, int]]:
    """(row, column) of each column's best value as it is shown; a column of equal values has none."""
    marked = set()
    for c, column in enumerate(_columns(rows), 1):
        values = {r: value for r, row in enumerate(rows) if (value := column.value(row)) is not None}
        shown = {r: format(value, column.form) for r, value in values.items()}
        if column.best is None or len(set(shown.values())) < 2:
            continue
        best = format(column.best(values.values()), column.form)
        marked |= {(r, c) for r, text in shown.items() if text == best}
    return marked
