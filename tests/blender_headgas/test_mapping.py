# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mapping files: written and read again, and what is said about broken ones."""

import json

import numpy as np
import pytest

from blender_headgas.core.errors import HeadGaSError
from blender_headgas.core.mapping import Mapping, identity, load_mapping, mapping_text, parse_mapping, save_mapping


def example() -> Mapping:
    return Mapping(
        ("jawOpen", "mouthSmile"),
        ("expr_000", "expr_001", "jaw_x"),
        np.array([[0.1, 2.0], [0.0, -1e-7], [0.3, 0.0]], np.float32),
        np.array([0.0, 0.5, 0.25], np.float32),
        np.array([-np.inf, -3.0, 0.0], np.float32),
        np.array([np.inf, 3.0, 0.5], np.float32),
        "fitted \"here\"",
        "CC0-1.0",
    )


def test_a_file_is_read_as_it_was_written(tmp_path):
    path = tmp_path / "a.json"
    save_mapping(path, example())
    back = load_mapping(path)
    for field in ("matrix", "bias", "low", "high"):
        np.testing.assert_array_equal(getattr(back, field), getattr(example(), field))
    assert (back.names_in, back.names_out) == (example().names_in, example().names_out)
    assert (back.source, back.licence) == (example().source, example().licence)
    assert [file.name for file in tmp_path.iterdir()] == ["a.json"]
    assert "[0.1, 2.0]" in path.read_text()  # people read and edit it, a row in a line


def test_values_are_mapped_and_limited():
    np.testing.assert_allclose(example()(np.array([1.0, 2.0])), [4.1, 0.5, 0.5], rtol=1e-5)
    assert example()(np.zeros((7, 2))).shape == (7, 3)
    np.testing.assert_array_equal(identity(("a", "b"))(np.array([-5.0, 9.0])), [-5.0, 9.0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.update(format="other"), "'format'"),
        (lambda d: d.update(version=2), "version 2"),
        (lambda d: d.update(names_in=["a", "a"]), "more than once"),
        (lambda d: d.update(names_out=[]), "list of names in 'names_out'"),
        (lambda d: d["matrix"].pop(), "3 rows"),
        (lambda d: d["matrix"][1].pop(), r"2 finite numbers in 'matrix\[1\]'"),
        (lambda d: d["matrix"][0].__setitem__(0, float("nan")), r"'matrix\[0\]'"),
        (lambda d: d["matrix"][0].__setitem__(0, None), r"'matrix\[0\]'"),
        (lambda d: d.update(bias=[0, 0, "x"]), "'bias'"),
        (lambda d: d.update(low=[9, 9, 9]), "'low' above 'high'"),
    ],
)
def test_wrong_fields_are_named(change, message):
    data = example().to_json()
    change(data)
    with pytest.raises(HeadGaSError, match=message):
        parse_mapping(json.dumps(data), "m.json")


@pytest.mark.parametrize("text", ["", "{", mapping_text(example())[:100], "[1]", "[" * 100000])
def test_what_is_no_mapping_is_refused(text):
    with pytest.raises(HeadGaSError, match="m.json"):
        parse_mapping(text, "m.json")


def test_a_file_that_cannot_be_read_or_written_is_named(tmp_path):
    with pytest.raises(HeadGaSError, match="none.json"):
        load_mapping(tmp_path / "none.json")
    (tmp_path / "b.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(HeadGaSError, match="UTF-8"):
        load_mapping(tmp_path / "b.json")
    with pytest.raises(HeadGaSError, match="cannot be written"):
        save_mapping(tmp_path / "no" / "folder.json", example())
