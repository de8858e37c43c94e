# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""LAM's avatars: a zip whose GLB and PLY are written byte by byte, and a real one where it lies beside the checkout."""

import json
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from headgas.avatars import load_avatar, save_avatar
from headgas.avatars.framing import camera_around, visible_bounds
from headgas.errors import HeadGaSError
from headgas.exchange import read_avatar
from tests.headgas.avatars.test_headgas import camera
from tests.headgas.exchange.flame_files import splat_columns, write_ply

SAMPLE = Path(__file__).parents[3].parent / "shared/samples/lam/p2-1.zip"
COUNT = 5
Y_UP = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]], np.float32)  # glTF's axes to head space


def glb(points: np.ndarray, targets: dict[str, np.ndarray], change: Any = None) -> bytes:
    """A mesh of `COUNT` points and one triangle, half of it on the joint `head` at (0, 1.5, 0); a target is sparse."""
    binary, views, accessors = bytearray(), [], []

    def view(content: bytes) -> int:
        binary.extend(b"\0" * (-len(binary) % 4))
        views.append({"buffer": 0, "byteOffset": len(binary), "byteLength": len(content)})
        binary.extend(content)
        return len(views) - 1

    def accessor(content: bytes, kind: int, count: int, shape: str) -> int:
        accessors.append({"bufferView": view(content), "componentType": kind, "count": count, "type": shape})
        return len(accessors) - 1

    def floats(array: np.ndarray) -> bytes:
        return struct.pack(f"<{array.size}f", *array.ravel().tolist())

    position = accessor(floats(points), 5126, COUNT, "VEC3")
    joints = accessor(bytes([0, 1, 0, 0] * COUNT), 5121, COUNT, "VEC4")
    weights = accessor(struct.pack(f"<{4 * COUNT}f", *[0.5, 0.5, 0, 0] * COUNT), 5126, COUNT, "VEC4")
    indices = accessor(struct.pack("<3H", 0, 1, 2), 5123, 3, "SCALAR")
    moved = []
    for number, target in enumerate(targets.values()):
        if number == 0:
            rows = np.flatnonzero(target.any(1))
            sparse = {
                "count": len(rows),
                "indices": {"bufferView": view(struct.pack(f"<{len(rows)}H", *rows.tolist())), "componentType": 5123},
                "values": {"bufferView": view(floats(target[rows]))},
            }
            accessors.append({"componentType": 5126, "count": COUNT, "type": "VEC3", "sparse": sparse})
            moved.append({"POSITION": len(accessors) - 1})
        else:
            moved.append({"POSITION": accessor(floats(target), 5126, COUNT, "VEC3")})
    body, head = np.eye(4), np.eye(4)
    head[:3, 3] = (0, -1.5, 0)  # the inverse of the rest pose
    inverse = accessor(floats(np.stack([body.T, head.T])), 5126, 2, "MAT4")  # by columns
    description: dict[str, Any] = {
        "asset": {"version": "2.0"}, "buffers": [{"byteLength": len(binary)}], "bufferViews": views,
        "accessors": accessors, "nodes": [{"mesh": 0, "skin": 0}, {"name": "body"}, {"name": "head"}],
        "skins": [{"joints": [1, 2], "inverseBindMatrices": inverse}],
        "meshes": [{
            "extras": {"targetNames": list(targets)},
            "primitives": [{
                "attributes": {"POSITION": position, "JOINTS_0": joints, "WEIGHTS_0": weights},
                "indices": indices, "targets": moved,
            }],
        }],
    }  # fmt: skip
    if change:
        change(description)
    text = json.dumps(description).encode()
    text += b" " * (-len(text) % 4)
    binary.extend(b"\0" * (-len(binary) % 4))
    chunks = struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(binary), b"BIN\0") + bytes(binary)
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks


Written = tuple[Path, np.ndarray, dict[str, np.ndarray], dict[str, np.ndarray]]


def write_zip(folder: Path, change: Any = None) -> Written:
    """The zip, the mesh's points and targets, and the properties of the PLY file."""
    random = np.random.default_rng(0)
    points = random.normal(size=(COUNT, 3)).astype(np.float32)
    targets = {name: 0.1 * random.normal(size=(COUNT, 3)).astype(np.float32) for name in ("jawOpen", "eyeBlinkLeft")}
    targets["jawOpen"][2:] = 0
    columns = splat_columns(COUNT)
    for channel in range(3):
        columns[f"f_dc_{channel}"] = random.random(COUNT).astype(np.float32)
    write_ply(folder / "offset.ply", columns)
    path = folder / "avatar.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("__MACOSX/p/._skin.glb", b"not this one")
        archive.writestr("p/skin.glb", glb(points, targets, change))
        archive.write(folder / "offset.ply", "p/offset.ply")
        archive.writestr("p/vertex_order.json", json.dumps(list(range(COUNT))))
    return path, points, targets, columns


def test_splats_follow_shapes_and_the_head(tmp_path: Path) -> None:
    path, points, targets, columns = write_zip(tmp_path)
    imported = read_avatar(path)
    avatar = imported.avatar
    assert imported.format == "LAM avatar" and not imported.warnings
    assert avatar.expression_space.names == ("eyeBlinkLeft", "jawOpen", "head_x", "head_y", "head_z")
    offsets = np.stack([columns[axis] for axis in "xyz"], 1)
    middle = (points @ Y_UP.T).max(0) / 2 + (points @ Y_UP.T).min(0) / 2
    found = avatar.gaussians(torch.tensor([0.4, 0.7, 0, 0, 0]), camera())
    moved = points + offsets + 0.4 * targets["eyeBlinkLeft"] + 0.7 * targets["jawOpen"]
    assert np.allclose(found.means, moved @ Y_UP.T - middle, atol=1e-5)
    colors = np.stack([columns[f"f_dc_{channel}"] for channel in range(3)], 1)
    assert np.allclose(found.colors, colors, atol=1e-5)
    turned = avatar.gaussians(torch.tensor([0, 0, 0, 0, 0.6]), camera()).means.numpy() + middle
    c, s = np.cos(0.6), np.sin(0.6)
    pivot = np.array([0, 0, 1.5])
    rest = (points + offsets) @ Y_UP.T
    about = (rest - pivot) @ np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]).T + pivot
    assert np.allclose(turned, (rest + about) / 2, atol=1e-5)


def test_broken_zips_are_named(tmp_path: Path) -> None:
    def removed(*keys: str) -> Any:
        def change(description: dict) -> None:
            for key in keys[:-1]:
                description = description[key] if key in description else description[int(key)]  # type: ignore[index]
            del description[keys[-1]]

        return change

    def far(description: dict) -> None:
        description["bufferViews"][0]["byteOffset"] = 10**6

    def many(description: dict) -> None:
        description["accessors"][0]["count"] = 10**12

    def unnamed(description: dict) -> None:
        description["meshes"][0]["extras"] = {}

    def skinless(description: dict) -> None:
        del description["nodes"][0]["skin"]

    def same(description: dict) -> None:
        description["meshes"][0]["extras"]["targetNames"] = ["jawOpen", "jawOpen"]

    def text(description: dict) -> None:
        description["meshes"][0]["extras"] = "jawOpen"

    def endless(description: dict) -> None:
        description["accessors"][0]["count"] = 1e400

    def swollen(description: dict) -> None:
        """Gigabytes of points and targets that no byte of the file holds."""
        description["accessors"][0] = {"componentType": 5126, "count": 10_000_000, "type": "VEC3"}
        description["meshes"][0]["primitives"][0]["targets"] = [{}] * 2000
        description["meshes"][0]["extras"]["targetNames"] = [str(number) for number in range(2000)]

    cases = ((removed("accessors"), "accessors"), (far, "beyond"), (many, "1,000,000,000,000"), (unnamed, "0 names"),
             (skinless, "no mesh with a skin"), (removed("skins"), "skins"), (same, "a name twice"),
             (text, "attribute"), (endless, "infinity"), (swollen, "targets claims 2,000 x 30,000,000"))  # fmt: skip
    for change, word in cases:
        path = write_zip(tmp_path, change)[0]
        with pytest.raises(HeadGaSError, match=rf"avatar\.zip: skin\.glb.*{word}"):
            read_avatar(path)
    path = write_zip(tmp_path)[0]
    content = path.read_bytes()
    path.write_bytes(content[:300] + bytes(40) + content[340:])
    with pytest.raises(HeadGaSError, match=r"avatar\.zip"):
        read_avatar(path)
    path.write_bytes(content[:-30])
    with pytest.raises(HeadGaSError, match=r"avatar\.zip"):
        read_avatar(path)
    write_zip(tmp_path)
    columns = splat_columns(COUNT + 1)
    write_ply(tmp_path / "offset.ply", columns)
    for members, word in ((("skin.glb", "offset.ply"), "6 Gaussians"), (("skin.glb",), "not a .zip file of the kind")):
        with zipfile.ZipFile(path, "w") as archive:
            targets = {"jawOpen": np.ones((COUNT, 3), np.float32)}
            contents = {"skin.glb": glb(np.zeros((COUNT, 3), np.float32), targets),
                        "offset.ply": (tmp_path / "offset.ply").read_bytes()}  # fmt: skip
            for name in members:
                archive.writestr(name, contents[name])
        with pytest.raises(HeadGaSError, match=word) as caught:
            read_avatar(path)
        assert "/tmp" not in str(caught.value).replace(str(tmp_path), "")


def test_a_zip_that_is_cut_or_has_a_damaged_directory_is_named(tmp_path: Path) -> None:
    path = write_zip(tmp_path)[0]
    content = path.read_bytes()
    at = content.index(b"PK\x01\x02")  # of the first member: the version that it needs, its flags and its name
    newer, no_text = bytearray(content), bytearray(content)
    newer[at + 6] = 0xFF
    no_text[at + 9], no_text[at + 46] = 0x08, 0xFF  # UTF-8, which it is not
    for damaged in (newer, no_text, *(content[:place] for place in range(0, len(content), 97))):
        path.write_bytes(damaged)
        with pytest.raises(HeadGaSError, match=r"avatar\.zip"):
            read_avatar(path)


def test_a_member_that_unpacks_to_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headgas.exchange.lam._PLAUSIBLE", 10_000)
    with zipfile.ZipFile(tmp_path / "avatar.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../../skin.glb", bytes(5_000_000))
        archive.writestr("offset.ply", b"")
    with pytest.raises(HeadGaSError, match=r"avatar\.zip: skin\.glb claims 5,000,000 bytes, too many for"):
        read_avatar(tmp_path / "avatar.zip")


@pytest.mark.skipif(not SAMPLE.exists(), reason=f"the sample {SAMPLE} is not there")
def test_a_real_avatar_is_driven(tmp_path: Path) -> None:
    """jawOpen changes the lower face, eyeBlinkLeft one side; a file keeps all of it, and the face looks along -Y."""
    imported = read_avatar(SAMPLE)
    avatar, names = imported.avatar, imported.avatar.expression_space.names
    assert (avatar.count, len(names)) == (20018, 54)
    save_avatar(tmp_path / "a.safetensors", avatar, "imported", {})
    avatar = load_avatar(tmp_path / "a.safetensors").avatar
    low, high = visible_bounds(avatar)
    view = camera_around((low + high) / 2, float((high - low).norm()), 0, 0, 96)

    def shown(**values: float) -> np.ndarray:
        e = avatar.neutral()
        for name, value in values.items():
            e[names.index(name)] = value
        return avatar.render(e, view, torch.ones(3)).color.detach().numpy()

    rest = shown()
    jaw, blink, turn = (np.abs(shown(**{name: 1.0}) - rest).sum(2) for name in ("jawOpen", "eyeBlinkLeft", "head_z"))
    rows, columns = np.mgrid[0:96, 0:96]
    mouth, eye = (np.array([(rows * d).sum(), (columns * d).sum()]) / d.sum() for d in (jaw, blink))
    assert mouth[0] > eye[0] + 5 and abs(mouth[1] - 48) < 4  # the mouth is below the eyes and in the middle
    assert eye[1] > 50  # the subject's left is on the image's right
    assert turn.sum() > 5 * blink.sum()
    assert 0.15 < float(high[2] - low[2]) < 0.6  # metres
