# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pickles: what models need is read; what would run something is refused and named, and does not run."""

import builtins
import io
import os
import pickle
import re
import struct
import subprocess
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from headgas.errors import HeadGaSError
from headgas.pickles import Held, as_array, read_array, read_npz, read_objects, read_pickle, read_torch


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
    for content in (b"", b"\x80\x04", b"PK\x03\x04 and then nothing", b"\x93NUMPY\x01\x00", os.urandom(300),
                    b"\x93NUMPY\x01\x00\x10\x00{'descr': '<f4', \n"):
        (tmp_path / "x").write_bytes(content)
        with pytest.raises(HeadGaSError, match="x: is"):
            read(tmp_path / "x")
    torch.save({"a": torch.ones(1000)}, tmp_path / "x")
    (tmp_path / "x").write_bytes((tmp_path / "x").read_bytes()[:-200])
    with pytest.raises(HeadGaSError, match="x: (is|cannot)"):
        read(tmp_path / "x")


@pytest.mark.parametrize("read", [read_npz, read_torch])
def test_a_zip_that_unpacks_to_too_much_is_refused(
    read: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with zipfile.ZipFile(tmp_path / "x.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", bytes(100_000))
    monkeypatch.setattr("headgas.pickles._PLAUSIBLE", 1000)
    with pytest.raises(HeadGaSError, match="unpacks to 100,000 bytes, too many for its"):
        read(tmp_path / "x.npz")


def named(module: str, name: str) -> bytes:
    """GLOBAL of protocol 2."""
    return f"c{module}\n{name}\n".encode()


def text(value: str) -> bytes:
    """BINUNICODE."""
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def whole(value: int) -> bytes:
    """LONG1."""
    return b"\x8a\x09" + value.to_bytes(9, "little")


TERA = whole(1 << 40)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (named("builtins", "bytearray") + TERA + b"\x85R.", "bytes that are not there"),
        (named("numpy", "ndarray") + TERA + b"\x85\x85R.", "an array without its numbers"),
        (named("numpy.core.multiarray", "_reconstruct") + named("builtins", "list") + b"K\0K\0\x87R.", "array that is"),
        (b"Nr\xff\xff\xff\xff.", "by the number 4294967295"),  # LONG_BINPUT: Python makes room for as many
        (b"})" + b"\x85" * 500_000 + b"Ns.", "tuples too deep"),  # as a key, whose hash would overrun the stack
        (b"}" + b"0}" * 50_000 + b".", "10,000 operations"),
        (named("builtins", "tuple") + b")\x85\x85R.", "tuples of tuples"),
    ],
)
def test_what_calls_nothing_but_would_exhaust_the_machine_is_refused(
    content: bytes, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headgas.unpickling._MOST_OPERATIONS", 10_000)
    (tmp_path / "x.pkl").write_bytes(b"\x80\x02" + content)
    with pytest.raises(HeadGaSError, match=said):
        read_pickle(tmp_path / "x.pkl")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"fortran": b"\x89", "data": b"U\x03abc"}, "of another size"),
        ({"shape": TERA + whole(1 << 20) + b"\x86"}, "of another size"),
        ({"shape": b"J\xff\xff\xff\xff\x85"}, "whose state is none"),
        ({"kind": b"U\x02O8"}, "of another size"),  # bytes would be taken for the places of objects
        ({"kind": b"U\x02V8"}, "numbers of the kind"),
        ({"names": b"(U\x01at"}, "no plain one"),
    ],
)
def test_an_array_has_the_numbers_that_the_file_holds(change: dict[str, bytes], said: str, tmp_path: Path) -> None:
    """numpy's own layout, operation by operation, and what a hostile hand would change of it."""
    parts = {"shape": b"K\x01\x85", "kind": b"U\x02f8", "names": b"N", "fortran": b"\x89"}
    parts |= {"data": b"U\x08" + struct.pack("<d", 2.5)}

    def content(parts: dict[str, bytes]) -> bytes:
        empty = named("numpy.core.multiarray", "_reconstruct") + named("numpy", "ndarray") + b"K\0\x85U\x01b\x87R"
        kind = named("numpy", "dtype") + parts["kind"] + b"\x85R(K\x03U\x01<N" + parts["names"] + b"N"
        kind += b"J\xff\xff\xff\xff" * 2 + b"K\0tb"
        return b"\x80\x02" + empty + b"(K\x01" + parts["shape"] + kind + parts["fortran"] + parts["data"] + b"tb."

    (tmp_path / "good.pkl").write_bytes(content(parts))
    assert read_pickle(tmp_path / "good.pkl").tolist() == [2.5]
    (tmp_path / "bad.pkl").write_bytes(content(parts | change))
    with pytest.raises(HeadGaSError, match=said):
        read_pickle(tmp_path / "bad.pkl")


def torch_zip(path: Path, size: int, stride: int, offset: int = 0, held: int = 4, rebuild: str = "_tensor_v2") -> Path:
    """A tensor [size] of a storage of four floats as torch.save writes it, byte by byte; `held` of them are there."""
    storage = b"(" + text("storage") + named("torch", "FloatStorage") + text("0") + text("cpu") + whole(4) + b"tQ"
    content = b"\x80\x02" + named("torch._utils", f"_rebuild{rebuild}") + b"(" + storage + whole(offset)
    content += whole(size) + b"\x85" + whole(stride) + b"\x85\x89" + named("collections", "OrderedDict") + b")RtR."
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x/data.pkl", content)
        archive.writestr("x/data/0", struct.pack(f"<{held}f", *range(held)))
    return path


def test_a_tensor_has_the_numbers_that_the_file_holds(tmp_path: Path) -> None:
    assert read_torch(torch_zip(tmp_path / "x.pth", 2, 2, 1)).tolist() == [1, 3]
    bad: dict[str, dict[str, Any]] = {
        "more than the 4": {"size": 1 << 40, "stride": 0},
        r"tensor \[3\] of more": {"size": 3, "stride": 2},
        r"tensor \[1\] of more": {"size": 1, "stride": 1, "offset": 4},
        "holds 12 bytes for 4": {"size": 4, "stride": 1, "held": 3},
        "_rebuild_meta_tensor_no_storage": {"size": 4, "stride": 1, "rebuild": "_meta_tensor_no_storage"},
    }
    for said, given in bad.items():
        with pytest.raises(HeadGaSError, match=said):
            read_torch(torch_zip(tmp_path / "x.pth", **given))


def test_the_older_layout_has_the_numbers_that_it_claims(tmp_path: Path) -> None:
    path = tmp_path / "x.pth"
    torch.save([torch.ones(3), torch.arange(4)], path, _use_new_zipfile_serialization=False)
    content = path.read_bytes()
    assert [value.tolist() for value in read_torch(path)] == [[1, 1, 1], [0, 1, 2, 3]]
    for place in range(2, len(content), 7):
        path.write_bytes(content[:place])
        with pytest.raises(HeadGaSError, match="is damaged"):
            read_torch(path)
    path.write_bytes(re.sub(rb"(cpuq.)K\x03", b"\\1M\xff\xff", content))
    with pytest.raises(HeadGaSError, match="claims 262,140 bytes"):
        read_torch(path)


def test_lists_that_hold_each_other_are_no_arrays() -> None:
    """numpy would count 2^60 numbers."""
    nested: list[Any] = [1]
    for _ in range(60):
        nested = [nested, nested]
    assert as_array(nested).dtype == object and as_array(nested).shape == ()
