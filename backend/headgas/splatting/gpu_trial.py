# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The smallest Triton kernel: whether it runs tells whether others will."""

import triton
import triton.language as tl


@triton.jit
def count_up(numbers, COUNT: tl.constexpr):
    """numbers [COUNT]: 0, 1, 2, …"""
    at = tl.arange(0, COUNT)
    tl.store(numbers + at, at.to(tl.float32))
