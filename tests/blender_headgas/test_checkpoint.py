# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Avatar files: the right one is read exactly, and every wrong one is refused by file and field."""

import json
import struct

import numpy as np
import pytest
from avatar_files import NAMES, NEUTRAL, header, tensors, write_avatar
from bl_ext.user_default.headgas.core.checkpoint import read_header, read_surface
from bl_ext.user_default.headgas.core.errors import HeadGaSError


def _header(**changes):
    return header() | changes


def _space(**changes):
    return _header(expression_space=header()["expression_space"] | changes)


def test_a_right_file(tmp_path):
    path = write_avatar(tmp_path / "avatar.safetensors")
    head = read_header(path)
    assert (head.model, head.gaussians, head.bytes) == ("HeadGaS", 7, path.stat().st_size)
    assert head.expression_space.names == tuple(NAMES)
    assert np.allclose(head.expression_space.neutral, NEUTRAL)
    surface = read_surface(path)
    for name, array in (("vertices", surface.vertices), ("faces", surface.faces), ("colors", surface.colors)):
        assert (array == tensors()[f"surface/{name}"]).all()


def test_metadata_of_other_tools_and_other_tensors_are_no_obstacle(tmp_path):
    extra = {"mlp.0.weight": np.zeros((2, 2), np.float32)}
    path = write_avatar(tmp_path / "a.safetensors", _header(future="x"), tensors() | extra)
    assert read_header(path).gaussians == 7 and len(read_surface(path).faces) == 4


def test_a_file_cut_anywhere_is_refused(tmp_path):
    whole = write_avatar(tmp_path / "whole.safetensors").read_bytes()
    path = tmp_path / "cut.safetensors"
    for length in range(0, len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(HeadGaSError) as error:
            read_header(path)
            read_surface(path)
        assert str(path) in error.value.message and error.value.hint


WRONG_HEADERS = {
    "not JSON": ("{", "headgas: is not JSON"),
    "a list": ([], "'format'"),
    "another format": (_header(format="other"), "'format'"),
    "a newer version": (_header(version=3), "version 3"),
    "a version that is text": (_header(version="1"), "version: is '1'"),
    "a version that is true": (_header(version=True), "version: is True"),
    "no model": (_header(model=None), "model:"),
    "no space": (_header(expression_space=None), "expression_space:"),
    "an unknown kind": (_space(kind="mine"), "expression_space.kind"),
    "no list of names": (_space(names=None), "expression_space.names"),
    "no names for four values": (_space(names=[]), "expression_space.neutral"),
    "a number among names": (_space(names=["a", "b", "c", 4]), "expression_space.names"),
    "a name twice": (_space(names=["a", "b", "c", "a"]), "twice"),
    "too few neutral values": (_space(neutral=[0.0]), "expression_space.neutral"),
    "text among numbers": (_space(neutral=[0, 0, 0, "0"]), "expression_space.neutral"),
    "infinity": (_space(high=[1.0, 1.0, 1.0, float("inf")]), "expression_space.high"),
    "a number beyond measure": (_space(high=[1.0, 1.0, 1.0, 10**400]), "expression_space.high"),
    "low above high": (_space(low=[0.0, 0.9, 0.0, 0.0]), "'mouthSmileLeft'"),
}


@pytest.mark.parametrize("name", WRONG_HEADERS)
def test_a_wrong_header_is_refused(tmp_path, name):
    head, message = WRONG_HEADERS[name]
    path = tmp_path / "wrong.safetensors"
    metadata = {"__metadata__": {"headgas": head if isinstance(head, str) else json.dumps(head)}}
    write_avatar(path, entries=metadata)
    with pytest.raises(HeadGaSError) as error:
        read_header(path)
    assert message in error.value.message and str(path) in error.value.message


WRONG_TABLES = {
    "no metadata": ({"__metadata__": {}}, "'headgas'"),
    "metadata that is a list": ({"__metadata__": []}, "__metadata__"),
    "metadata that is no text": ({"__metadata__": {"headgas": {}}}, "'headgas'"),
    "no means": ({"means": None}, "means: this tensor is missing"),
    "no faces": ({"surface/faces": None}, "surface/faces: this tensor is missing"),
    "the wrong type": ({"means": {"dtype": "F16", "shape": [7, 3], "data_offsets": [0, 84]}}, "'F16'"),
    "the wrong shape": ({"means": {"dtype": "F32", "shape": [21], "data_offsets": [0, 84]}}, "[21]"),
    "a negative size": ({"means": {"dtype": "F32", "shape": [-7, 3], "data_offsets": [0, 84]}}, "[-7, 3]"),
    "a place that does not fit": ({"means": {"dtype": "F32", "shape": [7, 3], "data_offsets": [0, 80]}}, "[0, 80]"),
    "a place beyond the end": (
        {"surface/vertices": {"dtype": "F32", "shape": [4, 3], "data_offsets": [10**9, 10**9 + 48]}},
        "the file ends",
    ),
    "vertices beyond memory": (
        {"surface/vertices": {"dtype": "F32", "shape": [2**60, 3], "data_offsets": [0, 12 * 2**60]}},
        "the file ends",
    ),
}


def _without_means():
    return {name: array for name, array in tensors().items() if name != "means"}


def test_gaussians_on_a_rig_are_counted_by_the_summary(tmp_path):
    path = write_avatar(tmp_path / "rigged.safetensors", header() | {"model": "Blendshapes"}, _without_means())
    assert read_header(path).gaussians == 7


@pytest.mark.parametrize("training", [None, [], {}, {"gaussians": "7"}, {"gaussians": -1}, {"gaussians": True}])
def test_gaussians_that_nothing_counts_are_refused(tmp_path, training):
    path = write_avatar(tmp_path / "rigged.safetensors", header() | {"training": training}, _without_means())
    with pytest.raises(HeadGaSError, match="no means to count"):
        read_header(path)


@pytest.mark.parametrize("name", WRONG_TABLES)
def test_a_wrong_table_of_contents_is_refused(tmp_path, name):
    entries, message = WRONG_TABLES[name]
    path = write_avatar(tmp_path / "wrong.safetensors", entries=entries)
    with pytest.raises(HeadGaSError) as error:
        read_header(path)
        read_surface(path)
    assert message in error.value.message and str(path) in error.value.message


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("surface/faces", np.array([[0, 1, 4]], np.int32), "points outside"),
        ("surface/faces", np.array([[0, 1, -1]], np.int32), "points outside"),
        ("surface/vertices", np.full((4, 3), np.nan, np.float32), "not finite"),
        ("surface/colors", np.zeros((3, 3), np.uint8), "3 rows for 4 vertices"),
        ("surface/vertices", np.zeros((4, 3)), "'F64'"),
    ],
)
def test_a_wrong_surface_is_refused(tmp_path, name, array, message):
    path = write_avatar(tmp_path / "wrong.safetensors", arrays=tensors() | {name: array})
    with pytest.raises(HeadGaSError, match="surface") as error:
        read_surface(path)
    assert message in error.value.message


@pytest.mark.parametrize(
    "data",
    [
        b"PK\x03\x04" + bytes(100),
        struct.pack("<Q", 2**63) + b"{}",
        struct.pack("<Q", 2) + b"[]",
        struct.pack("<Q", 4) + b"\xff\xfe\xfd\xfc",
        struct.pack("<Q", 90_000) + b"[" * 90_000,
    ],
)
def test_a_foreign_file_is_refused(tmp_path, data):
    path = tmp_path / "foreign.safetensors"
    path.write_bytes(data)
    with pytest.raises(HeadGaSError, match="foreign.safetensors") as error:
        read_header(path)
    assert "not a HeadGaS avatar" in error.value.message or "broken" in error.value.message


def test_a_folder_or_nothing_is_refused(tmp_path):
    for path in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(HeadGaSError):
            read_header(path)
