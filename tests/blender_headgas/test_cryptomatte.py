# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mattes by name: the published hash, identifiers that are numbers, and coverages in the order of their size."""

import numpy as np
import pytest

from blender_headgas.core.cryptomatte import identifier, metadata, name_hash, ranked


@pytest.mark.parametrize(
    ("name", "value"), [("", 0), ("a", 0x3C2569B2), ("Küb é", 0xAD50D228), ("ViewLayer.CryptoObject", 0x542CAFA5)]
)
def test_hashes_are_murmur_3(name, value):
    """As Cycles writes them (the last one in seven digits)."""
    assert f"{name_hash(name):08x}"[:7] == f"{value:08x}"[:7]


def test_identifiers_are_finite_numbers():
    values = np.array([identifier(f"object {number}") for number in range(20000)])
    assert np.isfinite(values).all() and (np.abs(values) >= np.finfo(np.float32).tiny).all()


def test_metadata_name_the_objects():
    data = metadata("ViewLayer.CryptoObject", ["Küb é"])
    assert data["cryptomatte/542cafa/manifest"] == '{"Küb é":"ad50d228"}'
    assert data["cryptomatte/542cafa/name"] == "ViewLayer.CryptoObject" and len(data) == 4


def test_coverages_come_largest_first():
    coverage = np.array([[[0.1, 0.0]], [[0.6, 0.0]], [[0.3, 1.0]]], np.float32)
    first, second = ranked(["a", "b", "c"], coverage, 2)
    assert first[0, 0].tolist() == pytest.approx([identifier("b"), 0.6, identifier("c"), 0.3])
    assert second[0, 0].tolist() == pytest.approx([identifier("a"), 0.1, 0.0, 0.0])
    assert first[0, 1].tolist() == pytest.approx([identifier("c"), 1.0, 0.0, 0.0])
