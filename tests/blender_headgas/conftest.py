# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gives the extension's tests a Blender and a stand-in backend."""

from pathlib import Path

import pytest

from tests.blender import *  # noqa: F403


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The stand-in backend, found through HEADGAS_PYTHON as a user's would be; ended after the test."""
    from stand_in import StandIn

    stand_in = StandIn(tmp_path, monkeypatch)
    yield stand_in
    stand_in.stop()
