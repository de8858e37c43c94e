# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pickles: what models need is read; what would run something is refused and named, and does not run."""

import builtins
import io
import os
import pickle
import subprocess
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from headgas.errors import HeadGaSError
from headgas.pickles import Held, read_array, read_npz, read_objects, read_pickle, read_torch


class Calls:
    """Pickles as a call of `function`."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


def malicious(marker: Path) -> dict[str, tuple[Calls, str]]:
    """Objects that make a file when they are unpickled, and the name of what they call."""
    posix = os.system.__module__
    return {
        "system": (Calls(os.system, f"touch '{marker}'"), f"{posix}.system"),
        "eval": (Calls(builtins.eval, f"open({str(marker)!r}, 'w')"), "builtins.eval"),
        "exec": (Calls(builtins.exec, f"open({str(marker)!r}, 'w')"), "builtins.exec"),
        "open": (Calls(io.open, str(marker), "w"), "io.open"),
        "popen": (Calls(subprocess.Popen, ["touch", str(marker)]), "subprocess.Popen"),
        "getattr": (Calls(getattr, os, "system"), "builtins.getattr"),
    }


@pytest.mark.parametrize("which", ["system", "eval", "exec", "open", "popen", "getattr"])
@pytest.mark.parametrize("kind", ["pickle", "pickle0", "torch", "legacy torch", "objects"])
def test_a_malicious_file_is_refused_and_named(which: str, kind: str, tmp_path: Path) -> None:
    marker, path = tmp_path / "marker", tmp_path / "model.pth"
    bad, name = malicious(marker)[which]
    content = {"weights": [1, 2, 3], "bad": bad}
    if which == "getattr":
        content["bad"] = Calls(getattr, "text", "upper")  # modules cannot be pickled
    if kind.startswith("pickle"):
        path.write_bytes(pickle.dumps(content, protocol=0 if kind == "pickle0" else 4))
        read = read_pickle
    elif kind == "objects":
        path = path.with_suffix(".npy")
        np.save(path, np.array(content, object), allow_pickle=True)
        read = read_objects
    else:
        torch.save(content, path, _use_new_zipfile_serialization=kind == "torch")
        read = read_torch
    with pytest.raises(HeadGaSError) as caught:
        read(path)
    said = str(caught.value)
    assert str(path) in said and "refused" in said
    assert name.rpartition(".")[2] in said
    assert not marker.exists()


def test_the_marker_would_be_made(tmp_path: Path) -> None:
    """The test above could not fail if these pickles did nothing."""
    marker = tmp_path / "marker"
    pickle.loads(pickle.dumps(malicious(marker)["system"][0]))
    assert marker.exists()


def test_a_handwritten_pickle_by_another_name_is_refused(tmp_path: Path) -> None:
    """Byte by byte: GLOBAL 'os system', a text, a tuple, REDUCE; and builtins through a chain of dots."""
    marker, path = tmp_path / "marker", tmp_path / "x.pkl"
    path.write_bytes(b"cos\nsystem\n(S'touch " + str(marker).encode() + b"'\ntR.")
    with pytest.raises(HeadGaSError, match=r"refused.*os\.system"):
        read_pickle(path)
    text = b"touch " + str(marker).encode()
    dotted = b"\x80\x04\x8c\x05numpy\x8c\x0ados.system\x93\x8c" + bytes([len(text)]) + text + b"\x85R."
    path.write_bytes(dotted)
    with pytest.raises(HeadGaSError, match="refused"):
        read_pickle(path)
    assert not marker.exists()


@pytest.mark.parametrize("zipped", [True, False])
def test_torch_files_of_both_layouts_are_read(zipped: bool, tmp_path: Path) -> None:
    content = (
        (OrderedDict(weight=torch.arange(6.0).view(2, 3)), {"state": {}, "param_groups": [{"lr": 0.1}]}),
        (3, torch.nn.Parameter(torch.ones(4)), None, 5.0),
        {"array": np.arange(4, dtype=np.float32), "number": np.float64(2.5), "size": np.array([256, 256]), "id": "01"},
        30000,
    )
    torch.save(content, tmp_path / "x.pth", _use_new_zipfile_serialization=zipped)
    (weights, _), (degree, ones, _, _), frame, iteration = read_torch(tmp_path / "x.pth")
    assert torch.equal(weights["weight"], content[0][0]["weight"])
    assert (degree, iteration, frame["id"], frame["number"]) == (3, 30000, "01", 2.5)
    assert torch.equal(ones, torch.ones(4)) and np.array_equal(frame["array"], np.arange(4))


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_plain_pickles_hold_arrays(protocol: int, tmp_path: Path) -> None:
    content = {"v": np.arange(6.0).reshape(2, 3), "f": np.arange(3, dtype=np.uint32), "s": np.float32(1.5), "b": b"ab"}
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(content, protocol=protocol))
    found = read_pickle(tmp_path / "x.pkl")
    assert np.array_equal(found["v"], content["v"]) and np.array_equal(found["f"], content["f"])
    assert found["s"] == 1.5 and found["b"] == b"ab"


def test_objects_of_absent_programs_are_held(tmp_path: Path) -> None:
    """A chumpy array as Python 2 pickled it: the global chumpy.ch.Ch, and a dict for its state."""
    array = pickle.dumps(np.array([1.0, 2.0]), protocol=2)[2:-1]  # without the protocol and the end
    path = tmp_path / "flame.pkl"
    path.write_bytes(b"\x80\x02}U\x01vcchumpy.ch\nCh\n)\x81}U\x01x" + array + b"sbs.")
    found = read_pickle(path)["v"]
    assert isinstance(found, Held) and found.state["x"].tolist() == [1.0, 2.0]


def test_arrays_are_read_without_pickles(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.arange(3.0))
    assert read_array(tmp_path / "a.npy").tolist() == [0, 1, 2]
    np.save(tmp_path / "o.npy", np.array({"x": np.arange(2)}, object), allow_pickle=True)
    assert read_objects(tmp_path / "o.npy")["x"].tolist() == [0, 1]
    with pytest.raises(HeadGaSError, match="Python objects"):
        read_array(tmp_path / "o.npy")
    np.savez(tmp_path / "z.npz", x=np.arange(2), y=np.ones(1))
    assert read_npz(tmp_path / "z.npz")["y"].tolist() == [1]
    np.savez(tmp_path / "bad.npz", x=np.array([{}], object))
    with pytest.raises(HeadGaSError, match="Python objects"):
        read_npz(tmp_path / "bad.npz")


@pytest.mark.parametrize("read", [read_pickle, read_torch, read_array, read_objects, read_npz])
def test_broken_and_missing_files_are_named(read: Any, tmp_path: Path) -> None:
    with pytest.raises(HeadGaSError, match=r"gone.*cannot be read"):
        read(tmp_path / "gone")
    for content in (b"", b"\x80\x04", b"PK\x03\x04 and then nothing", b"\x93NUMPY\x01\x00", os.urandom(300)):
        (tmp_path / "x").write_bytes(content)
        with pytest.raises(HeadGaSError, match="x: is"):
            read(tmp_path / "x")
    torch.save({"a": torch.ones(1000)}, tmp_path / "x")
    (tmp_path / "x").write_bytes((tmp_path / "x").read_bytes()[:-200])
    with pytest.raises(HeadGaSError, match="x: (is|cannot)"):
        read(tmp_path / "x")


def test_a_zip_that_unpacks_to_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile(tmp_path / "x.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", bytes(100_000))
    monkeypatch.setattr("headgas.pickles._LARGEST", 1000)
    with pytest.raises(HeadGaSError, match="unpacks to 100,000 bytes"):
        read_npz(tmp_path / "x.npz")
