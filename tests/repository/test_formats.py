# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What both programs must agree on without importing each other: the formats that are read, and versions of ours."""

import ast
from pathlib import Path
from typing import Any

from headgas.avatars.checkpoint import VERSION
from headgas.evaluation import fitting
from headgas.exchange import shots
from headgas.exchange.axes import AXES
from headgas.exchange.reading import READERS

EXTENSION = Path(__file__).resolve().parents[2] / "blender_headgas"


def constant(path: str, name: str) -> Any:
    """What a module of the extension assigns to a name."""
    for node in ast.parse((EXTENSION / path).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == name for t in node.targets):
            return ast.literal_eval(node.value)
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Tuple):
            names = [target.id for target in node.targets[0].elts if isinstance(target, ast.Name)]
            if name in names:
                return ast.literal_eval(node.value)[names.index(name)]
    raise AssertionError(f"{path} assigns no {name}")


def test_blender_offers_every_format_that_the_backend_reads() -> None:
    read = {suffix for reader in READERS for suffix in reader.suffixes} - {".safetensors"}
    assert set(constant("operators/import_avatar.py", "_FOREIGN")) == read


def test_both_read_the_same_versions_of_our_own() -> None:
    assert constant("core/checkpoint.py", "VERSION") == VERSION


def test_both_write_the_same_mappings() -> None:
    for name in ("FORMAT", "VERSION"):
        assert constant("core/mapping.py", name) == getattr(fitting, name)


def test_both_mean_the_same_shots() -> None:
    for name in ("TAKE", "CAMERAS", "VERSION"):
        assert constant("core/shot_files.py", name) == getattr(shots, name)


def test_blender_offers_every_way_that_a_head_can_lie() -> None:
    source = (EXTENSION / "operators/import_avatar.py").read_text(encoding="utf-8")
    assert all(f"('{axes.upper()}', " in source for axes in AXES)
