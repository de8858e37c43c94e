# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The extension's menu of presets is the backend's list."""

from blender_headgas.core.presets import PRESETS as SHOWN
from headgas.training.config import DEFAULT_PRESET, PRESETS


def test_the_menu_has_every_preset_and_begins_with_the_default() -> None:
    assert sorted(name for name, _, _ in SHOWN) == sorted(PRESETS)
    assert SHOWN[0][0] == DEFAULT_PRESET
    assert all(label and description and not description.endswith(".") for _, label, description in SHOWN)
