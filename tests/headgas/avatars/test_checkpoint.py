# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Avatar files: round trips, and what is said about broken, foreign and newer ones."""

import json
import struct
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from headgas.avatars import HeadGaS, load_avatar, read_header, save_avatar
from headgas.avatars.surface import extract_surface
from headgas.errors import HeadGaSError
from tests.headgas.avatars.test_headgas import camera
from tests.headgas.conftest import small_avatar

_BASIS = ("neutral", "values", "scales")


@pytest.fixture
def avatar_file(tmp_path: Path) -> Path:
    path = tmp_path / "avatar.safetensors"
    save_avatar(path, small_avatar(), "headgas", {"iterations": 1})
    return path


def rewrite(path: Path, **changes: Any) -> None:
    header = read_header(path)
    save_file(load_file(path), path, metadata={"headgas": json.dumps(header | changes)})


def test_round_trip_keeps_every_number(avatar_file: Path) -> None:
    """Opening an int8 file and saving it again changes nothing; float32 keeps what was trained."""
    before, expression = small_avatar(), torch.tensor([0.2, 0.9, 0.4])
    compact = load_avatar(avatar_file)
    save_avatar(avatar_file.with_name("again.safetensors"), compact.avatar, "headgas", {"iterations": 1})
    assert avatar_file.with_name("again.safetensors").read_bytes() == avatar_file.read_bytes()
    save_avatar(avatar_file, before, "headgas", {}, compact=False)
    loaded = load_avatar(avatar_file)
    for name, value in vars(before.gaussians(expression, camera())).items():
        assert torch.equal(value, getattr(loaded.avatar.gaussians(expression, camera()), name)), name
    assert loaded.avatar.expression_space == before.expression_space
    assert not list(avatar_file.parent.glob("*.part"))


def test_the_file_is_safetensors_with_our_header(avatar_file: Path) -> None:
    """Read byte by byte, as a foreign program would."""
    content = avatar_file.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    outer = json.loads(content[8 : 8 + length])
    header = json.loads(outer["__metadata__"]["headgas"])
    assert (header["format"], header["version"], header["model"]) == ("headgas-avatar", 2, "HeadGaS")
    assert header["expression_space"]["names"] == ["jawOpen", "eyeBlinkLeft", "browInnerUp"]
    assert header["basis"] == "int8" and "basis" not in outer
    layout = {name: (outer[f"basis.{name}"]["dtype"], outer[f"basis.{name}"]["shape"]) for name in _BASIS}
    assert layout == {"neutral": ("F32", [60, 4]), "values": ("I8", [3, 60, 4]), "scales": ("F32", [3, 4])}
    start, end = outer["means"]["data_offsets"]
    means = struct.unpack(f"<{(end - start) // 4}f", content[8 + length + start : 8 + length + end])
    assert means[:3] == tuple(small_avatar().means[0].tolist())


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"format": "other"}, "not a HeadGaS avatar"),
        ({"version": 99}, "newer"),
        ({"version": "1"}, "'version'"),
        ({"model": "FutureNet"}, "FutureNet"),
        ({"color_encoding": "linear"}, "linear"),
        ({"expression_space": {"names": [""]}}, "names"),
        ({"expression_space": {"names": ["a", "b"]}}, "damaged"),
        ({"config": {"features": 4}}, "damaged"),
        ({"config": {}}, "damaged"),
    ],
)
def test_a_wrong_header_is_refused(avatar_file: Path, changes: dict[str, Any], word: str) -> None:
    rewrite(avatar_file, **changes)
    with pytest.raises(HeadGaSError, match=word) as caught:
        load_avatar(avatar_file)
    assert "avatar.safetensors" in str(caught.value)


@pytest.mark.parametrize("degree", [4, 20, -1, 1.5, None])
def test_harmonics_that_the_file_does_not_hold_are_refused(avatar_file: Path, degree: Any) -> None:
    """The kernels would read beyond the end of their arrays."""
    config = read_header(avatar_file)["config"]
    rewrite(avatar_file, config=config | {"sh_degree_in_use": degree})
    with pytest.raises(HeadGaSError, match=r"avatar\.safetensors: is damaged"):
        load_avatar(avatar_file)


@pytest.mark.parametrize("keep", [0, 4, 100, 2000, -10])
def test_a_truncated_file_is_refused(avatar_file: Path, keep: int) -> None:
    avatar_file.write_bytes(avatar_file.read_bytes()[:keep])
    with pytest.raises(HeadGaSError, match="damaged"):
        load_avatar(avatar_file)


def test_foreign_files_are_refused(tmp_path: Path) -> None:
    foreign = tmp_path / "model.safetensors"
    save_file({"weight": torch.zeros(3)}, foreign)
    with pytest.raises(HeadGaSError, match="not a HeadGaS avatar"):
        load_avatar(foreign)
    foreign.write_bytes(b"PK\x03\x04 a zip, say, that is long enough to look at")
    with pytest.raises(HeadGaSError, match="not an avatar"):
        load_avatar(foreign)
    with pytest.raises(HeadGaSError, match="no such file"):
        load_avatar(tmp_path / "missing.safetensors")


def test_missing_and_broken_tensors_are_refused(avatar_file: Path) -> None:
    tensors, header = load_file(avatar_file), {"headgas": json.dumps(read_header(avatar_file))}
    save_file({name: value for name, value in tensors.items() if name != "means"}, avatar_file, metadata=header)
    with pytest.raises(HeadGaSError, match="means"):
        load_avatar(avatar_file)
    for name, wrong in (
        ("values", tensors["basis.values"][:, :5].contiguous()),
        ("values", tensors["basis.values"].int()),
        ("neutral", tensors["basis.neutral"][:5].contiguous()),
        ("neutral", tensors["basis.neutral"] * torch.inf),
        ("scales", tensors["basis.scales"][:, :2].contiguous()),
        ("scales", tensors["basis.scales"] * torch.nan),
    ):
        save_file(tensors | {f"basis.{name}": wrong}, avatar_file, metadata=header)
        with pytest.raises(HeadGaSError, match=r"damaged.*basis"):
            load_avatar(avatar_file)
    rest = {name: value for name, value in tensors.items() if name != "basis.scales"}
    save_file(rest, avatar_file, metadata=header)
    with pytest.raises(HeadGaSError, match=r"damaged.*basis.scales"):
        load_avatar(avatar_file)
    save_file(tensors | {"means": torch.full_like(tensors["means"], torch.nan)}, avatar_file, metadata=header)
    with pytest.raises(HeadGaSError, match=r"means.*not finite"):
        load_avatar(avatar_file)


def test_files_of_version_1_open_as_before(avatar_file: Path) -> None:
    avatar = small_avatar()
    save_avatar(avatar_file, avatar, "headgas", {}, compact=False)
    header = {name: value for name, value in read_header(avatar_file).items() if name != "basis"} | {"version": 1}
    tensors = load_file(avatar_file)
    assert torch.equal(tensors["basis"], avatar.basis)
    save_file(tensors, avatar_file, metadata={"headgas": json.dumps(header)})
    assert torch.equal(load_avatar(avatar_file).avatar.tensors()["basis"], avatar.basis)
    short = tensors | {"basis": tensors["basis"][:, :5].contiguous()}
    save_file(short, avatar_file, metadata={"headgas": json.dumps(header)})
    with pytest.raises(HeadGaSError, match=r"damaged.*basis"):
        load_avatar(avatar_file)


def test_the_surface_is_a_closed_mesh_around_the_avatar() -> None:
    """Opaque Gaussians on a sphere of 10 cm: the mesh has its radius, and every edge belongs to two triangles."""
    surface = extract_surface(_opaque_ball())
    radius = surface["vertices"].norm(dim=1)
    assert len(radius) > 500
    assert 0.09 < radius.mean() < 0.115
    faces = surface["faces"].long()
    assert _is_closed(faces)
    corners = surface["vertices"][faces]
    normals = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    outward = (normals * corners.mean(1)).sum(1) > 0
    assert outward.float().mean() > 0.98


def test_the_surface_of_a_head_without_a_back_is_one_closed_body() -> None:
    """Many captures show the front only: half a ball, and a speck that floats beside it."""
    avatar = _opaque_ball()
    with torch.no_grad():
        avatar.means[:, 1] = -avatar.means[:, 1].abs()
        avatar.means[:60] = torch.tensor([0.2, 0.0, 0.0]) + 0.01 * avatar.means[:60]
    surface = extract_surface(avatar)
    assert len(surface["vertices"]) > 300 and surface["vertices"][:, 0].max() < 0.15
    assert _is_closed(surface["faces"].long())


def _opaque_ball() -> HeadGaS:
    avatar = small_avatar(count=3000)
    with torch.no_grad():
        avatar.decoder.output_layer.weight[-1] = 0
        avatar.decoder.output_layer.bias[-1] = 8
        avatar.log_scales.fill_(-5.0)
    return avatar


def _is_closed(faces: torch.Tensor) -> bool:
    """Whether every edge of the triangles [T,3] belongs to two of them."""
    edges = torch.cat([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]).sort(1).values
    return bool((torch.unique(edges, dim=0, return_counts=True)[1] == 2).all())
