# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What needs no Blender: avatar files, expressions and the mathematics of cameras and images. numpy only."""
