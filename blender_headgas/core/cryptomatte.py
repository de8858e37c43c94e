# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cryptomatte (Friedman and Jones, specification 1.2.0): mattes by name from any compositor that reads it."""

import json
from collections.abc import Sequence

import numpy as np

_MASK = 0xFFFFFFFF


def name_hash(name: str) -> int:
    """MurmurHash3_x86_32 (Appleby, public domain) of a name in UTF-8, seed 0."""
    data, state = name.encode(), 0
    for start in range(0, len(data), 4):
        block = int.from_bytes(data[start : start + 4], "little") * 0xCC9E2D51 & _MASK
        state ^= _rotated(block, 15) * 0x1B873593 & _MASK
        if start + 4 <= len(data):
            state = _rotated(state, 13) * 5 + 0xE6546B64 & _MASK
    state ^= len(data)
    state = (state ^ state >> 16) * 0x85EBCA6B & _MASK
    state = (state ^ state >> 13) * 0xC2B2AE35 & _MASK
    return state ^ state >> 16


def _rotated(value: int, bits: int) -> int:
    return (value << bits | value >> 32 - bits) & _MASK


def identifier(name: str) -> np.float32:
    """A name's hash as a float32 that is neither denormal, infinite nor NaN."""
    bits = name_hash(name)
    if bits >> 23 & 255 in (0, 255):
        bits ^= 1 << 23
    return np.uint32(bits).view(np.float32)


def metadata(layer: str, names: Sequence[str]) -> dict[str, str]:
    """What a file says about the passes that are called `layer` and a number."""
    prefix = f"cryptomatte/{name_hash(layer):08x}"[:19]  # seven digits
    manifest = {name: f"{int(identifier(name).view(np.uint32)):08x}" for name in names}
    return {
        f"{prefix}/name": layer,
        f"{prefix}/hash": "MurmurHash3_32",
        f"{prefix}/conversion": "uint32_to_float32",
        f"{prefix}/manifest": json.dumps(manifest, ensure_ascii=False, separators=(",", ":")),
    }


def ranked(names: Sequence[str], coverage: np.ndarray, levels: int) -> list[np.ndarray]:
    """The passes [H,W,4] of coverages [A,H,W] of so many names: two identifiers and coverages each, most first."""
    _, height, width = coverage.shape
    planes = np.zeros((levels, height, width, 4), np.float32)
    order = np.argsort(-coverage, axis=0, kind="stable")[: 2 * levels]
    identifiers = np.array([identifier(name) for name in names], np.float32)
    for rank, which in enumerate(order):
        covered = np.take_along_axis(coverage, which[None], axis=0)[0]
        level, place = divmod(rank, 2)
        planes[level, ..., 2 * place] = np.where(covered > 0, identifiers[which], 0)
        planes[level, ..., 2 * place + 1] = covered
    return list(planes)
