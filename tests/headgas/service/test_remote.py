# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the service does for clients on other machines: packed pixels and avatars that are sent to it."""

import hashlib
import json
import zlib
from multiprocessing import Pipe
from pathlib import Path

import numpy as np
import pytest
import torch

from headgas.errors import HeadGaSError
from headgas.service.encoding import encoded
from headgas.service.memory import memory_in_use
from headgas.service.messages import receive
from headgas.service.uploads import Uploads


def _frame() -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    rgba = generator.random((6, 9, 4), np.float32)
    depth = generator.random((6, 9), np.float32)
    rgba[:3], depth[:3] = 0.0, 1e10  # nothing is hit
    rgba[5, 0, 0] = 1e6  # brighter than half precision can say
    return rgba, depth


def _values(packed: bytes, kind: type) -> np.ndarray:
    return np.frombuffer(packed, np.uint8).reshape(np.dtype(kind).itemsize, -1).T.copy().view(kind).ravel()


def test_raw_and_lossless_pixels_are_the_same_numbers() -> None:
    rgba, depth = _frame()
    numbers = np.concatenate([rgba.ravel(), depth.ravel()])
    assert encoded([rgba, depth], "raw") == numbers.tobytes()
    unpacked = zlib.decompress(encoded([rgba, depth], "lossless"))
    assert (_values(unpacked[: rgba.nbytes], np.float32) == rgba.ravel()).all()
    assert (_values(unpacked[rgba.nbytes :], np.float32) == depth.ravel()).all()
    assert len(encoded([rgba, depth], "lossless")) < numbers.nbytes


def test_half_pixels_lose_at_most_the_last_digits_of_colours() -> None:
    rgba, depth = _frame()
    unpacked = zlib.decompress(encoded([rgba, depth], "half"))
    colours = _values(unpacked[: rgba.nbytes // 2], np.float16).astype(np.float32)
    assert np.isfinite(colours).all() and colours.max() == 65504
    known = rgba.ravel() < 65504
    assert (np.abs(colours - rgba.ravel())[known] <= rgba.ravel()[known] * 2.0**-11 + 2.0**-24).all()
    assert (_values(unpacked[rgba.nbytes // 2 :], np.float32) == depth.ravel()).all()


def test_another_encoding_is_refused() -> None:
    with pytest.raises(HeadGaSError, match="'jpeg'"):
        encoded(_frame(), "jpeg")


def _told(content: bytes) -> dict:
    return {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}


def test_a_file_arrives_in_pieces_and_is_known_from_then_on(tmp_path: Path) -> None:
    content = bytes(range(256)) * 10
    told = _told(content)
    assert Uploads(tmp_path).receive(told) == {"path": None, "have": 0}
    assert Uploads(tmp_path).receive(told | {"offset": 0, "data": content[:1000]}) == {"path": None, "have": 1000}
    repeated = Uploads(tmp_path).receive(told | {"offset": 0, "data": content[:1000]})
    assert repeated == {"path": None, "have": 1000}, "a piece that is here already is not taken twice"
    whole = Uploads(tmp_path).receive(told | {"offset": 1000, "data": content[1000:]})
    assert Path(whole["path"]).read_bytes() == content and Path(whole["path"]).parent == tmp_path
    assert Uploads(tmp_path).receive(told) == whole
    assert [path.suffix for path in tmp_path.iterdir()] == [".safetensors"]


def test_what_arrives_damaged_is_forgotten(tmp_path: Path) -> None:
    told = _told(b"right")
    with pytest.raises(HeadGaSError, match="damaged"):
        Uploads(tmp_path).receive(told | {"offset": 0, "data": b"wrong"})
    assert Uploads(tmp_path).receive(told) == {"path": None, "have": 0}


@pytest.mark.parametrize(
    "told", [{"sha256": "../../x", "bytes": 1}, {"sha256": 7, "bytes": 1}, _told(b"x") | {"bytes": -1}]
)
def test_unfit_uploads_are_refused(tmp_path: Path, told: dict) -> None:
    with pytest.raises(HeadGaSError, match="expected"):
        Uploads(tmp_path).receive(told)
    assert not list(tmp_path.iterdir())


def test_uploads_that_nobody_asks_for_go_when_they_are_too_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headgas.service.uploads._KEPT_BYTES", 25)
    for number in range(4):
        content = bytes([number]) * 10
        Uploads(tmp_path).receive(_told(content) | {"offset": 0, "data": content})
    assert 1 <= len(list(tmp_path.iterdir())) <= 2


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(HeadGaSError, match="cannot be kept"):
        Uploads(tmp_path / "file").receive(_told(b"x"))


def test_a_binary_message_becomes_a_parameter() -> None:
    here, there = Pipe()
    here.send_bytes(json.dumps({"id": 1, "method": "upload", "params": {"offset": 3}, "binary": True}).encode())
    here.send_bytes(b"content")
    assert receive(there)["params"] == {"offset": 3, "data": b"content"}


def test_the_memory_in_use_is_that_of_this_process() -> None:
    before = memory_in_use(torch.device("cpu"))
    held = np.ones(200_000_000, np.uint8)
    after = memory_in_use(torch.device("cpu"))
    assert before["device"] is None and before["process"] and after["process"]
    assert 150e6 < after["process"] - before["process"] < 400e6 and held.all()
