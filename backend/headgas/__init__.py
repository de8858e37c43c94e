# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gaussian head avatars: splatting, avatars, captures, training, evaluation and the service behind Blender."""

__version__ = "0.1.0"
