# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""PLY files, written here byte by byte as 3D Gaussian Splatting's code lays them out."""

import math
import struct
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from headgas.errors import HeadGaSError
from headgas.exchange import Imported, ReadingOptions, read_avatar
from headgas.exchange.axes import into_head_space, out_of_head_space
from headgas.exchange.ply import AXES, write_ply
from headgas.splatting.splats import Splats
from tests.headgas.avatars.test_splats import NOTHING, some_splats

AS_IT_IS = ReadingOptions(axes="blender")
SAMPLE = Path(__file__).resolve().parents[4] / "shared" / "samples" / "lam" / "p2-1.zip"


def names_of(degree: int) -> list[str]:
    rest = [f"f_rest_{i}" for i in range(3 * ((degree + 1) ** 2 - 1))]
    return [*"xyz", "nx", "ny", "nz", *(f"f_dc_{i}" for i in range(3)), *rest, "opacity",
            *(f"scale_{i}" for i in range(3)), *(f"rot_{i}" for i in range(4))]  # fmt: skip


def rows_of(splats: Splats) -> list[dict[str, float]]:
    """The properties of each splat by name, in plain Python."""
    rows = []
    for n in range(len(splats)):
        row = {axis: splats.means[n, i].item() for i, axis in enumerate("xyz")} | {"nx": 0.0, "ny": 0.0, "nz": 0.0}
        bands = splats.harmonics.shape[1]
        for channel in range(3):
            row[f"f_dc_{channel}"] = splats.harmonics[n, 0, channel].item()
            for k in range(1, bands):  # all of red, then all of green, then all of blue
                row[f"f_rest_{channel * (bands - 1) + k - 1}"] = splats.harmonics[n, k, channel].item()
        row["opacity"] = splats.logits[n].item()
        row |= {f"scale_{i}": splats.log_scales[n, i].item() for i in range(3)}
        rows.append(row | {f"rot_{i}": splats.quaternions[n, i].item() for i in range(4)})
    return rows


def ply_bytes(
    rows: Sequence[dict[str, float]], names: Sequence[str], order: str = "binary_little_endian",
    kind: str = "float", comments: Sequence[str] = (), count: int | None = None,
) -> bytes:  # fmt: skip
    header = ["ply", f"format {order} 1.0", *(f"comment {c}" for c in comments)]
    header += [f"element vertex {len(rows) if count is None else count}", *(f"property {kind} {n}" for n in names)]
    text = ("\n".join([*header, "end_header"]) + "\n").encode()
    values = [[row[name] for name in names] for row in rows]
    if order == "ascii":
        return text + "".join(" ".join(repr(v) for v in line) + "\n" for line in values).encode()
    code = (">" if order == "binary_big_endian" else "<") + {"float": "f", "double": "d"}[kind] * len(names)
    return text + b"".join(struct.pack(code, *line) for line in values)


def assert_same(imported: Imported, splats: Splats, tolerance: float = 0.0) -> None:
    got = imported.avatar.splats(NOTHING)
    for name in ("means", "quaternions", "log_scales", "logits", "harmonics"):
        torch.testing.assert_close(getattr(got, name), getattr(splats, name), rtol=0, atol=tolerance, msg=name)


def written(folder: Path, content: bytes) -> Path:
    path = folder / "point_cloud.ply"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
@pytest.mark.parametrize("order", ["binary_little_endian", "binary_big_endian", "ascii"])
def test_every_format_and_degree_is_read(tmp_path: Path, order: str, degree: int) -> None:
    splats = some_splats(7, degree)
    path = written(tmp_path, ply_bytes(rows_of(splats), names_of(degree), order))
    imported = read_avatar(path, AS_IT_IS)
    assert not imported.warnings and not len(imported.avatar.expression_space)
    assert_same(imported, splats, 1e-6)


def test_properties_come_in_any_order_and_type_and_others_are_ignored(tmp_path: Path) -> None:
    splats = some_splats(5)
    more = {"red": 1.0, "f_extra": 2.0, "f_rest_" + "4" * 5000: 3.0}
    names = [*reversed(names_of(3)), *more]
    rows = [row | more for row in rows_of(splats)]
    assert_same(read_avatar(written(tmp_path, ply_bytes(rows, names, kind="double")), AS_IT_IS), splats, 1e-6)


def test_elements_around_the_vertices_are_passed_over(tmp_path: Path) -> None:
    splats = some_splats(4, 0)
    content = ply_bytes(rows_of(splats), names_of(0))
    start = content.index(b"end_header\n")
    before = b"element camera 2\nproperty int id\nproperty uchar kind\n"
    place = content.index(b"element vertex")
    after = b"element face 1\nproperty list uchar int vertex_indices\n"
    header = content[:place] + before + content[place:start] + after
    data = struct.pack("<iBiB", 1, 2, 3, 4) + content[start + 11 :] + struct.pack("<Biii", 3, 0, 1, 2)
    assert_same(read_avatar(written(tmp_path, header + b"end_header\n" + data), AS_IT_IS), splats, 1e-6)


def test_windows_line_ends_in_the_header(tmp_path: Path) -> None:
    splats = some_splats(4, 0)
    text, data = ply_bytes(rows_of(splats), names_of(0)).split(b"end_header\n", 1)
    crlf = text.replace(b"\n", b"\r\n") + b"end_header\r\n"
    assert_same(read_avatar(written(tmp_path, crlf + data), AS_IT_IS), splats, 1e-6)


def test_the_default_axes_are_those_of_colmap(tmp_path: Path) -> None:
    splats = some_splats(5)
    imported = read_avatar(written(tmp_path, ply_bytes(rows_of(splats), names_of(3))), ReadingOptions(scale=2.0))
    assert_same(imported, into_head_space(splats, "opencv", 2.0), 1e-6)


@pytest.mark.parametrize(
    ("comments", "antialiased"),
    [([], False), (["SplatRenderMode: mip"], True), (["antialiased 1"], True), (["SplatRenderMode: default"], False)],
)
def test_antialiasing_is_read_from_comments(tmp_path: Path, comments: list[str], antialiased: bool) -> None:
    path = written(tmp_path, ply_bytes(rows_of(some_splats(3, 0)), names_of(0), comments=comments))
    assert read_avatar(path).avatar.antialiased == antialiased


def test_discs_are_flat_gaussians(tmp_path: Path) -> None:
    names = [name for name in names_of(0) if name != "scale_2"]
    imported = read_avatar(written(tmp_path, ply_bytes(rows_of(some_splats(3, 0)), names)), AS_IT_IS)
    assert (imported.avatar.splats(NOTHING).log_scales[:, 2].exp() < 1e-9).all()


def test_mip_splatting_s_filter_is_applied(tmp_path: Path) -> None:
    """As its code does when it draws: s' = √(s² + f²), and α' = α √(∏ s² / ∏ s'²)."""
    rows = [row | {"filter_3D": 0.02 * (n + 1)} for n, row in enumerate(rows_of(some_splats(5, 0)))]
    rows[4] |= {"filter_3D": 0.0}
    avatar = read_avatar(written(tmp_path, ply_bytes(rows, [*names_of(0), "filter_3D"])), AS_IT_IS).avatar
    splats = avatar.splats(NOTHING)
    assert avatar.antialiased
    for n, row in enumerate(rows):
        before = [math.exp(row[f"scale_{axis}"]) for axis in range(3)]
        after = [math.hypot(scale, row["filter_3D"]) for scale in before]
        opacity = math.prod(before) / math.prod(after) / (1 + math.exp(-row["opacity"]))
        np.testing.assert_allclose(splats.log_scales[n].exp(), after, rtol=1e-5)
        np.testing.assert_allclose(splats.logits[n].sigmoid(), opacity, rtol=1e-4)


def test_what_is_exactly_opaque_flat_or_unrotated_becomes_usable(tmp_path: Path) -> None:
    rows = rows_of(some_splats(3, 0))
    rows[0]["opacity"], rows[1]["opacity"], rows[0]["scale_1"] = float("inf"), -float("inf"), -float("inf")
    rows[2] |= {f"rot_{i}": 0.0 for i in range(4)}
    splats = read_avatar(written(tmp_path, ply_bytes(rows, names_of(0))), AS_IT_IS).avatar.splats(NOTHING)
    assert splats.logits.sigmoid()[0] > 0.9999 and splats.logits.sigmoid()[1] < 1e-4
    assert all(torch.isfinite(getattr(splats, name)).all() for name in ("log_scales", "logits"))
    assert splats.quaternions[2].tolist() == [1, 0, 0, 0]


def test_degree_4_is_read_to_degree_3_with_a_warning(tmp_path: Path) -> None:
    rows = [row | {f"f_rest_{i}": i / 100 for i in range(72)} for row in rows_of(some_splats(3, 0))]
    imported = read_avatar(written(tmp_path, ply_bytes(rows, names_of(4))), AS_IT_IS)
    assert "degree 4" in imported.warnings[0]
    harmonics = imported.avatar.splats(NOTHING).harmonics
    assert harmonics.shape == (3, 16, 3)
    np.testing.assert_allclose(harmonics[0, 1:3], [[0, 0.24, 0.48], [0.01, 0.25, 0.49]], atol=1e-6)


@pytest.mark.parametrize("antialiased", [False, True])
def test_what_is_written_is_the_published_layout(tmp_path: Path, antialiased: bool) -> None:
    splats = Splats(**(vars(some_splats(6)) | {"antialiased": antialiased}))
    write_ply(tmp_path / "out.ply", splats)
    comments = ["SplatRenderMode: mip"] if antialiased else []
    assert (tmp_path / "out.ply").read_bytes() == ply_bytes(rows_of(splats), names_of(3), comments=comments)
    imported = read_avatar(tmp_path / "out.ply", AS_IT_IS)
    assert_same(imported, splats)
    assert imported.avatar.antialiased == antialiased


def test_a_round_trip_through_the_file_s_own_axes_keeps_everything(tmp_path: Path) -> None:
    splats = some_splats(6)
    write_ply(tmp_path / "out.ply", out_of_head_space(splats, AXES))
    assert_same(read_avatar(tmp_path / "out.ply"), splats, 1e-5)


def broken() -> dict[str, tuple[bytes, str]]:
    rows, names = rows_of(some_splats(4, 0)), names_of(0)
    good = ply_bytes(rows, names)
    text = ply_bytes(rows, names, "ascii")
    nan = [rows[0], rows[1] | {"y": float("nan")}, *rows[2:]]
    return {
        "truncated": (good[:-3], "ends too early"),
        "truncated text": (text[: len(text) - 60], "vertex 3|ends too early"),
        "text that is no number": (text.replace(b"0.0", b"zero", 1), "vertex 0 is not"),
        "a hostile count": (ply_bytes(rows, names, count=4_000_000_000), "4,000,000,000"),
        "a large count": (ply_bytes(rows, names, count=9_000_000), "ends too early"),
        "a large count of text": (ply_bytes(rows, names, "ascii", count=9_000_000), "ends too early"),
        "no Gaussians": (ply_bytes([], names), "0 Gaussians"),
        "not a number": (ply_bytes(nan, names), "Gaussian 1 has the position nan"),
        "far away": (ply_bytes([rows[0] | {"x": 1e30}], names), "position 1e"),
        "huge": (ply_bytes([rows[0] | {"scale_0": 50.0}], names), "scale 50"),
        "a count of many digits": (good.replace(b"vertex 4", b"vertex " + b"4" * 5000), "cannot be understood"),
        "a double that is too large": (ply_bytes([rows[0] | {"x": 1e300}], names, kind="double"), "position inf"),
        "a compressed file": (ply_bytes([{"packed_position": 0.0}], ["packed_position"]), "compressed PLY file of"),
        "no opacity": (ply_bytes(rows, [n for n in names if n != "opacity"]), "'opacity'"),
        "a mesh": (ply_bytes([{"x": 0, "y": 0, "z": 0}], ["x", "y", "z"]), "'f_dc_0'"),
        "half of a degree": (ply_bytes([r | {"f_rest_0": 0.0} for r in rows], [*names, "f_rest_0"]), r"f_rest_\*"),
        "no end of header": (good[:60], "header has no end"),
        "an unknown format": (good.replace(b"binary_little_endian", b"binary_middle"), "binary_middle"),
        "an unknown type": (good.replace(b"float x", b"quad x"), "property quad x"),
        "a property twice": (good.replace(b"float y", b"float x"), "twice"),
        "lists": (good.replace(b"float nx", b"list uchar int nx"), "lists"),
        "no vertices": (good.replace(b"element vertex", b"element points"), "no element 'vertex'"),
    }


@pytest.mark.parametrize("what", broken())
def test_broken_files_are_refused_and_named(tmp_path: Path, what: str) -> None:
    content, message = broken()[what]
    path = written(tmp_path, content)
    with pytest.raises(HeadGaSError, match=message) as caught:
        read_avatar(path)
    assert str(path) in caught.value.message


@pytest.mark.skipif(not SAMPLE.is_file(), reason="the shared samples do not lie beside this checkout")
def test_a_real_file_is_read(tmp_path: Path) -> None:
    """The Gaussians of a LAM avatar: 20,018 of about a millimetre, relative to a mesh that lies in another file."""
    with zipfile.ZipFile(SAMPLE) as archive:
        path = written(tmp_path, archive.read("p2-1/offset.ply"))
    splats = read_avatar(path, AS_IT_IS).avatar.splats(NOTHING)
    assert len(splats) == 20018 and splats.harmonics.shape == (20018, 1, 3)
    assert splats.means.abs().max() < 0.11 and 0.0005 < splats.log_scales.exp().median() < 0.002
