# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""`.spz` files of every version and `.splat` files, packed here number by number, and real ones."""

import gzip
import math
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
import zstandard

from headgas.errors import HeadGaSError
from headgas.exchange import ReadingOptions, read_avatar
from headgas.exchange.axes import into_head_space
from headgas.exchange.spz import write_spz
from headgas.splatting.rotations import matrices_of
from headgas.splatting.splats import Splats
from tests.headgas.avatars.test_splats import NOTHING, some_splats

AS_IT_IS = ReadingOptions(axes="blender")
SAMPLES = Path(__file__).resolve().parents[4] / "shared" / "samples" / "splats"
BITS = 12


def extension(kind: int = 0xADBE0002, payload: bytes = b"....") -> bytes:
    """A record of the format's extensions; this one limits cameras."""
    return struct.pack("<II", kind, len(payload)) + payload


def packed(splats: Splats, version: int, flags: int = 0, extensions: bytes = b"") -> bytes:
    """Header and attributes, one number after the other, as the format's README has them."""
    degree = math.isqrt(splats.harmonics.shape[1]) - 1
    out = struct.pack("<IIIBBBB", 0x5053474E, version, len(splats), degree, BITS, flags, 0)
    return out + b"".join(attributes(splats, version)) + extensions


def attributes(splats: Splats, version: int) -> list[bytes]:
    positions = b""
    for value in splats.means.flatten().tolist():
        positions += struct.pack("<e", value) if version == 1 else struct.pack("<i", round(value * 2**BITS))[:3]
    alphas = bytes(round(255 / (1 + math.exp(-logit))) for logit in splats.logits.tolist())
    colors = bytes(round(255 * (0.15 * value + 0.5)) for value in splats.harmonics[:, 0].flatten().tolist())
    scales = bytes(round((value + 10) * 16) for value in splats.log_scales.flatten().tolist())
    rotations = b"".join(rotation(wxyz, version) for wxyz in splats.quaternions.tolist())
    rest = bytes(min(255, max(0, round(value * 128 + 128))) for value in splats.harmonics[:, 1:].flatten().tolist())
    return [positions, alphas, colors, scales, rotations, rest]


def rotation(wxyz: list[float], version: int) -> bytes:
    length = math.sqrt(sum(v * v for v in wxyz))
    w, x, y, z = (v / length for v in wxyz)
    if version < 3:
        return bytes(round((v if w >= 0 else -v) * 127.5 + 127.5) for v in (x, y, z))
    xyzw = [x, y, z, w]
    largest = max(range(4), key=lambda i: abs(xyzw[i]))
    bits = f"{largest:02b}"
    for i in range(4):
        if i != largest:
            value = xyzw[i] * math.copysign(1, xyzw[largest])
            bits += f"{int(value < 0):01b}{int(511 * abs(value) / math.sqrt(0.5) + 0.5):09b}"
    return int(bits, 2).to_bytes(4, "little")


def version_4(splats: Splats, flags: int = 0, extensions: bytes = b"") -> bytes:
    degree = math.isqrt(splats.harmonics.shape[1]) - 1
    streams = [part for part in attributes(splats, 4) if part]
    start = 32 + len(extensions)
    header = struct.pack("<IIIBBBBI12x", 0x5053474E, 4, len(splats), degree, BITS, flags, len(streams), start)
    compressed = [zstandard.ZstdCompressor().compress(part) for part in streams]
    contents = b"".join(struct.pack("<QQ", len(c), len(p)) for c, p in zip(compressed, streams, strict=True))
    return header + extensions + contents + b"".join(compressed)


def spz_bytes(splats: Splats, version: int, flags: int = 0, extensions: bytes | None = None) -> bytes:
    if extensions is None:
        extensions = extension() if flags & 2 else b""
    if version == 4:
        return version_4(splats, flags, extensions)
    return gzip.compress(packed(splats, version, flags, extensions))


def assert_close(got: Splats, wanted: Splats, version: int = 3) -> None:
    """Within what the format's steps allow."""
    torch.testing.assert_close(got.means, wanted.means, rtol=0, atol=1e-4 if version == 1 else 0.51 / 2**BITS)
    torch.testing.assert_close(got.log_scales, wanted.log_scales, rtol=0, atol=0.51 / 16)
    torch.testing.assert_close(got.logits.sigmoid(), wanted.logits.sigmoid(), rtol=0, atol=0.51 / 255)
    torch.testing.assert_close(got.harmonics[:, 0], wanted.harmonics[:, 0], rtol=0, atol=0.51 / 255 / 0.15)
    torch.testing.assert_close(got.harmonics[:, 1:], wanted.harmonics[:, 1:].clamp(-1, 127 / 128), rtol=0, atol=0.004)
    turned, expected = (torch.nn.functional.normalize(s.quaternions, dim=1) for s in (got, wanted))
    if version < 3:  # w is what x, y and z leave: where it is small, nothing is known of it
        expected = expected * expected[:, :1].sign()
        torch.testing.assert_close(turned[:, 1:], expected[:, 1:], rtol=0, atol=0.01)
        assert (turned[:, 0] >= 0).all()
    else:
        torch.testing.assert_close(matrices_of(turned), matrices_of(expected), rtol=0, atol=0.005)


@pytest.mark.parametrize("degree", [0, 1, 3])
@pytest.mark.parametrize("version", [1, 2, 3, 4])
def test_every_version_is_read(tmp_path: Path, version: int, degree: int) -> None:
    splats = some_splats(40, degree)
    (tmp_path / "a.spz").write_bytes(spz_bytes(splats, version))
    imported = read_avatar(tmp_path / "a.spz", AS_IT_IS)
    assert not imported.warnings and str(version) in imported.format
    assert_close(imported.avatar.splats(NOTHING), splats, version)


def test_an_uncompressed_file_is_read_and_the_name_does_not_matter(tmp_path: Path) -> None:
    splats = some_splats(5)
    (tmp_path / "download.bin").write_bytes(packed(splats, 3))
    assert_close(read_avatar(tmp_path / "download.bin", AS_IT_IS).avatar.splats(NOTHING), splats)


def test_the_axes_are_right_up_back(tmp_path: Path) -> None:
    splats = some_splats(20)
    (tmp_path / "a.spz").write_bytes(spz_bytes(splats, 3))
    got = read_avatar(tmp_path / "a.spz").avatar.splats(NOTHING)
    torch.testing.assert_close(got.means, into_head_space(splats, "opengl").means, rtol=0, atol=0.51 / 2**BITS)


@pytest.mark.parametrize("version", [3, 4])
def test_flags_say_antialiased_and_extended(tmp_path: Path, version: int) -> None:
    for flags in range(4):
        (tmp_path / "a.spz").write_bytes(spz_bytes(some_splats(5), version, flags))
        imported = read_avatar(tmp_path / "a.spz", AS_IT_IS)
        assert imported.avatar.antialiased == bool(flags & 1)
        assert ["extensions" in warning for warning in imported.warnings] == [True] * bool(flags & 2)


def test_degree_4_is_read_to_degree_3_with_a_warning(tmp_path: Path) -> None:
    splats = some_splats(5, 4)
    (tmp_path / "a.spz").write_bytes(spz_bytes(splats, 4))
    imported = read_avatar(tmp_path / "a.spz", AS_IT_IS)
    assert "degree 4" in imported.warnings[0]
    harmonics = imported.avatar.splats(NOTHING).harmonics
    torch.testing.assert_close(harmonics[:, 1:], splats.harmonics[:, 1:16].clamp(-1, 127 / 128), rtol=0, atol=0.004)


@pytest.mark.parametrize("degree", [0, 2, 3])
def test_what_is_written_is_version_3_and_stays_the_same_when_written_again(tmp_path: Path, degree: int) -> None:
    splats = Splats(**(vars(some_splats(60, degree)) | {"antialiased": True}))
    write_spz(tmp_path / "a.spz", splats)
    head = struct.unpack_from("<IIIBBBB", gzip.decompress((tmp_path / "a.spz").read_bytes()))
    assert head == (0x5053474E, 3, 60, degree, 18, 1, 0)
    got = read_avatar(tmp_path / "a.spz", AS_IT_IS).avatar.splats(NOTHING)
    assert_close(got, splats)
    torch.testing.assert_close(got.means, splats.means, rtol=0, atol=2e-6)
    write_spz(tmp_path / "b.spz", got)
    again = read_avatar(tmp_path / "b.spz", AS_IT_IS).avatar.splats(NOTHING)
    for name in ("means", "log_scales", "logits", "harmonics"):
        torch.testing.assert_close(getattr(again, name), getattr(got, name), rtol=0, atol=1e-5)


def test_far_splats_are_written_with_fewer_fractional_bits(tmp_path: Path) -> None:
    splats = some_splats(5)
    splats.means[0, 0] = -1000.0
    write_spz(tmp_path / "a.spz", splats)
    got = read_avatar(tmp_path / "a.spz", AS_IT_IS).avatar.splats(NOTHING)
    torch.testing.assert_close(got.means, splats.means, rtol=0, atol=1e-4)


def spz_errors() -> dict[str, tuple[bytes, str]]:
    plain, new = packed(some_splats(30), 3), version_4(some_splats(30))
    return {
        "a truncated gzip": (gzip.compress(plain)[:-200], "ends too early"),
        "a damaged gzip": (gzip.compress(plain)[:40] + b"\xff" * 200, "damaged|ends too early"),
        "a cut within": (gzip.compress(plain[:-50]), "within the sh"),
        "only a header": (gzip.compress(plain[:16]), "within the positions"),
        "a cut header": (plain[:9], "within its header"),
        "a hostile count": (gzip.compress(plain[:8] + b"\xff\xff\xff\xff" + plain[12:]), "4,294,967,295 Gaussians"),
        "a bomb": (gzip.compress(plain[:8] + struct.pack("<I", 9_999_999) + bytes(1 << 20)), "too many for"),
        "nothing": (gzip.compress(plain[:8] + bytes(4) + plain[12:]), "0 Gaussians"),
        "version 5": (plain[:4] + b"\x05" + plain[5:], "version 5"),
        "degree 9": (plain[:12] + b"\x09" + plain[13:], "degree 9"),
        "80 fractional bits": (plain[:13] + b"\x50" + plain[14:], "80 fractional bits"),
        "a truncated version 4": (new[:-5], "sh ends too early|ends too early"),
        "a damaged version 4": (b"????".join(new.rsplit(b"\x28\xb5\x2f\xfd", 1)), "sh is damaged"),
        "contents elsewhere": (new[:16] + b"\xff\xff\0\0" + new[20:], "table of contents"),
        "too few streams": (new[:15] + b"\x02" + new[16:], "2 streams"),
        "a stream of another size": (new[:40] + b"\xff" + new[41:], "another size"),
        "a bomb of version 4": (new[:8] + struct.pack("<I", 9_999_999) + new[12:], "too many for"),
    }


@pytest.mark.parametrize("version", [2, 3, 4])
@pytest.mark.parametrize(("system", "axes"), [(4, "opengl"), (6, "opencv"), (12, "blender"), (1, None)])
def test_the_axes_that_a_file_names_are_its_axes(tmp_path: Path, version: int, system: int, axes: str | None) -> None:
    """RUB, RDF and RFU of the extension SPZ_ADOBE_coordinate_system; LDB is not read, which is said."""
    splats = some_splats(6, 1)
    named = extension() + extension(0xADBE0003, struct.pack("<I", system))
    (tmp_path / "a.spz").write_bytes(spz_bytes(splats, version, 2, named))
    imported = read_avatar(tmp_path / "a.spz")
    got, wanted = imported.avatar.splats(NOTHING), into_head_space(splats, axes or "opengl")
    torch.testing.assert_close(got.means, wanted.means, rtol=0, atol=0.51 / 2**BITS)
    torch.testing.assert_close(got.harmonics[:, 1:], wanted.harmonics[:, 1:].clamp(-1, 1), rtol=0, atol=0.01)
    said = ["extensions are left out", "axes are of a kind that is not read"]
    assert [text in warning for text, warning in zip(said, imported.warnings, strict=axes is None)]
    told = read_avatar(tmp_path / "a.spz", AS_IT_IS).avatar.splats(NOTHING)
    torch.testing.assert_close(told.means, splats.means, rtol=0, atol=0.51 / 2**BITS)


@pytest.mark.parametrize("what", spz_errors())
def test_broken_files_are_refused_and_named(tmp_path: Path, what: str) -> None:
    content, message = spz_errors()[what]
    (tmp_path / "a.spz").write_bytes(content)
    with pytest.raises(HeadGaSError, match=message) as caught:
        read_avatar(tmp_path / "a.spz")
    assert str(tmp_path / "a.spz") in caught.value.message


def splat_bytes(splats: Splats) -> bytes:
    out = b""
    for n in range(len(splats)):
        quaternion = torch.nn.functional.normalize(splats.quaternions[n], dim=0)
        color = [255 * (0.5 + 0.28209479177387814 * value) for value in splats.harmonics[n, 0].tolist()]
        color.append(255 / (1 + math.exp(-splats.logits[n].item())))
        out += struct.pack("<3f3f", *splats.means[n].tolist(), *splats.log_scales[n].exp().tolist())
        out += bytes(round(min(255, max(0, value))) for value in color)
        out += bytes(min(255, round(128 * value + 128)) for value in quaternion.tolist())
    return out


def test_splat_files_are_read(tmp_path: Path) -> None:
    splats = some_splats(20, 0)
    (tmp_path / "a.splat").write_bytes(splat_bytes(splats))
    got = read_avatar(tmp_path / "a.splat", AS_IT_IS).avatar.splats(NOTHING)
    torch.testing.assert_close(got.means, splats.means)
    torch.testing.assert_close(got.log_scales, splats.log_scales, rtol=0, atol=1e-5)
    torch.testing.assert_close(got.logits.sigmoid(), splats.logits.sigmoid(), rtol=0, atol=0.51 / 255)
    wanted = splats.harmonics.clamp(-0.5 / 0.2821, 0.5 / 0.2821)
    torch.testing.assert_close(got.harmonics, wanted, rtol=0, atol=0.01)
    turned, expected = (matrices_of(torch.nn.functional.normalize(s.quaternions, dim=1)) for s in (got, splats))
    torch.testing.assert_close(turned, expected, rtol=0, atol=0.02)


def test_what_a_splat_file_does_not_turn_is_not_turned(tmp_path: Path) -> None:
    """The viewer's own converter writes 128 for 0 and 255 for 1."""
    content = splat_bytes(some_splats(1, 0))[:28] + bytes([255, 128, 128, 128])
    (tmp_path / "a.splat").write_bytes(content)
    quaternion = read_avatar(tmp_path / "a.splat", AS_IT_IS).avatar.splats(NOTHING).quaternions[0]
    assert quaternion[1:].tolist() == [0, 0, 0] and quaternion[0] > 0


def test_broken_splat_files_are_refused(tmp_path: Path) -> None:
    good = splat_bytes(some_splats(3, 0))
    errors = {
        good[:-1]: "no multiple of the 32",
        b"": "is empty",
        struct.pack("<f", math.nan) + good[4:]: "Gaussian 0 has the position nan",
        good[:12] + struct.pack("<f", -1.0) + good[16:]: "scale nan",
    }
    for content, message in errors.items():
        (tmp_path / "a.splat").write_bytes(content)
        with pytest.raises(HeadGaSError, match=message):
            read_avatar(tmp_path / "a.splat")


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="the shared samples do not lie beside this checkout")
@pytest.mark.parametrize("name", [f"minimal{kind}" for kind in ("-raw.spz", "-v2.spz", "-v3.spz", "-v4.spz", ".splat")])
def test_real_files_agree_with_each_other(name: str) -> None:
    """Four Gaussians of 0.1 units at the corners of a square, which all of the files hold."""
    splats = read_avatar(SAMPLES / name, AS_IT_IS).avatar.splats(NOTHING)
    corners = sorted(tuple(round(abs(value), 3) for value in mean) for mean in splats.means.tolist())
    assert corners == [(0, 0, 0), (0, 0, 1), (1, 0, 0), (1, 0, 1)]  # not all of them in the same axes
    np.testing.assert_allclose(splats.log_scales.exp(), 0.1, rtol=0.04)
    np.testing.assert_allclose(splats.logits.sigmoid(), 230 / 255, atol=0.01)
