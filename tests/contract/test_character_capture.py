# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Both real programs: what Blender captures of a character, the backend's check finds nothing wrong with."""

import json
import os
import subprocess

import pytest

from blender_headgas.capture.capture import render_capture
from tests.blender_headgas.captured import order_for, white_character


def test_a_captured_character_passes_the_check(scene, tmp_path):
    if "HEADGAS_PYTHON" not in os.environ:
        pytest.skip("HEADGAS_PYTHON does not name the backend's Python; scripts/test.py sets it")
    folder = render_capture(order_for(white_character(scene), frames=12, test_frames=4), tmp_path / "capture")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    command = [os.environ["HEADGAS_PYTHON"], "-m", "headgas", "check", str(folder), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert found["problems"] == [] and found["frames"] == {"train": 12, "test": 4} and found["kind"] == "ARKit"
    assert found["views"]["yaw"][1] - found["views"]["yaw"][0] > 50
    assert 0.1 < found["matte"][0] <= found["matte"][1] < 0.9
    assert all(parameter["frames"] for parameter in found["parameters"])
