# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gives the seam's tests a Blender, the real backend, and what the backend alone makes of a small capture."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.blender import *  # noqa: F403

_ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Material:
    """What `material.py` wrote."""

    folder: Path
    frames: list[dict[str, Any]]  # of capture.json
    names: list[str]  # of the expression space
    expected: dict[str, np.ndarray]  # reference.npz

    def avatar(self, name: str = "a") -> str:
        """The path of one of the two avatars."""
        return str(self.folder / f"{name}.safetensors")


@pytest.fixture(scope="session")
def material(tmp_path_factory: pytest.TempPathFactory) -> Material:
    """A capture, two random avatars and the backend's own pictures of them."""
    if "HEADGAS_PYTHON" not in os.environ:
        pytest.skip("HEADGAS_PYTHON does not name the backend's Python; scripts/test.py sets it")
    folder = tmp_path_factory.mktemp("material")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    command = [os.environ["HEADGAS_PYTHON"], str(_ROOT / "tests/contract/material.py"), str(folder)]
    subprocess.run(command, check=True, env=environment, timeout=300)
    capture = json.loads((folder / "capture" / "capture.json").read_text("utf-8"))
    expected = dict(np.load(folder / "reference.npz"))
    return Material(folder, capture["frames"], capture["expression_space"]["names"], expected)


@pytest.fixture
def real_service(material: Material):
    """The client of the real backend, which is ended after the test."""
    from bl_ext.user_default.headgas import client

    yield client
    client.stop()
