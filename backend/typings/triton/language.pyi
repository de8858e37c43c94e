# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Triton is a language of its own that only looks like Python: its types are not checked."""

from typing import Any

def __getattr__(name: str) -> Any: ...
