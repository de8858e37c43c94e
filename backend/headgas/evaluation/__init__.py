# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Metrics and comparison pictures: one protocol for every avatar."""

from headgas.evaluation.metrics import Evaluation, evaluate
from headgas.evaluation.sheet import comparison_sheet

__all__ = ["Evaluation", "comparison_sheet", "evaluate"]
