# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""In Blender with a window: starts a walk: `blender --python main.py -- WALK FOLDER`."""

import importlib
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.gui import harness

walk, folder = sys.argv[sys.argv.index("--") + 1 :]
harness.start(importlib.import_module(f"tests.gui.walk_{walk}").walk, Path(folder))
