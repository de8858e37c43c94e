# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""HTML pages that hold everything they show in one file, and are readable in light and dark."""

import base64
import importlib.metadata
import io
import platform
from collections.abc import Collection, Sequence
from html import escape
from pathlib import Path

import torch
from PIL import Image

import headgas
from headgas.devices import rasterizer_name
from headgas.splatting import get_threads

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --best: #2a7d4626; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 82rem; margin: 2rem auto; padding: 0 1rem; }
h1, h2 { line-height: 1.2; }
p { max-width: 46rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .7rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
td.best { font-weight: 700; background: var(--best); }
img { max-width: 100%; height: auto; border: 1px solid var(--line); background: white; }
figure { margin: 1rem 0; }
figcaption, footer { opacity: .8; }
pre { padding: .7rem; border: 1px solid var(--line); white-space: pre-wrap; overflow-wrap: anywhere; }
"""


def page(title: str, *parts: str) -> str:
    """A whole document from HTML parts."""
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{escape(title)}</title>'
    body = "\n".join((f"<h1>{escape(title)}</h1>", *parts))
    head += f"<style>{_STYLE}</style>"
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n{body}\n</body></html>\n'


def heading(text: str) -> str:
    return f"<h2>{escape(text)}</h2>"


def paragraph(text: str) -> str:
    return f"<p>{escape(text)}</p>"


def command(text: str) -> str:
    return f"<pre>{escape(text)}</pre>"


def table(titles: Sequence[str], rows: Sequence[Sequence[str]], best: Collection[tuple[int, int]] = ()) -> str:
    """A table; `best` are the (row, column) of the cells to mark."""
    head = "".join(f"<th>{escape(title)}</th>" for title in titles)
    lines = []
    for r, row in enumerate(rows):
        marks = (' class="best"' if (r, c) in best else "" for c in range(len(row)))
        lines.append("".join(f"<td{mark}>{escape(cell)}</td>" for mark, cell in zip(marks, row, strict=True)))
    body = "\n".join(f"<tr>{line}</tr>" for line in lines)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>'


def picture(file: Path, caption: str) -> str:
    """A PNG file, embedded."""
    data = file.read_bytes()
    width, height = Image.open(io.BytesIO(data)).size
    source = f'src="data:image/png;base64,{base64.b64encode(data).decode()}" width="{width}" height="{height}"'
    return f'<figure><img {source} alt="{escape(caption)}"><figcaption>{escape(caption)}</figcaption></figure>'


def machine(device: torch.device) -> str:
    """What was computed on, and with which versions, in one line."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {get_threads()} threads"
    packages = ("torch", "numpy", "numba", *(("gsplat",) if device.type == "cuda" else ()))
    versions = ", ".join(f"{package} {importlib.metadata.version(package)}" for package in packages)
    system = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    return f"HeadGaS {headgas.__version__} on {name} ({rasterizer_name(device)}); {system}, {versions}."
