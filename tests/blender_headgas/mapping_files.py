# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mappings for tests."""

import json
from pathlib import Path
from typing import Any


def mapping_json(**changes: Any) -> dict[str, Any]:
    """From ARKit's jaw and a smile to the parameters of `header_of(["expr_000", "jaw_x", "jaw_y", "jaw_z"])`."""
    return {
        "format": "headgas-mapping",
        "version": 1,
        "names_in": ["jawOpen", "smile"],
        "names_out": ["expr_000", "jaw_x"],
        "matrix": [[0.0, 0.5], [0.25, 0.0]],
    } | changes


def write_mapping(path: Path, **changes: Any) -> Path:
    """The file of `mapping_json`."""
    path.write_text(json.dumps(mapping_json(**changes), indent=1), encoding="utf-8")
    return path
