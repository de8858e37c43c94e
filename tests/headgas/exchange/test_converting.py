# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""`headgas convert`: from a driven avatar to splats and back, and everything that does not go together."""

from pathlib import Path

import numpy as np
import pytest
import torch

from headgas import cli
from headgas.avatars import load_avatar, read_header, save_avatar
from headgas.avatars.checkpoint import load_surface
from headgas.captures import load_capture
from headgas.errors import HeadGaSError
from headgas.exchange import convert
from headgas.exchange.axes import out_of_head_space
from headgas.exchange.ply import read_table, write_ply
from headgas.splatting.splats import Splats
from tests.headgas.avatars.test_headgas import camera
from tests.headgas.avatars.test_modes import avatar as small_modes
from tests.headgas.avatars.test_splats import NOTHING, some_splats
from tests.headgas.conftest import NAMES, small_avatar, write_capture


@pytest.fixture
def ours(tmp_path: Path) -> Path:
    path = tmp_path / "head.safetensors"
    save_avatar(path, small_avatar(), "headgas", {"iterations": 7})
    return path


def run(*arguments: object) -> int:
    return cli.main(["convert", *map(str, arguments)])


@pytest.mark.parametrize("suffix", ["ply", "spz"])
@pytest.mark.parametrize("axes", [[], ["--axes", "blender", "--scale", "0.01"]])
def test_an_expression_looks_the_same_after_a_round_trip(
    ours: Path, tmp_path: Path, suffix: str, axes: list[str]
) -> None:
    """Also from the side: colours stay view-dependent."""
    foreign, back = tmp_path / f"out.{suffix}", tmp_path / "back.safetensors"
    assert run(ours, foreign, "--expression", "jawOpen=0.9,browInnerUp=0.4", *axes) == 0
    assert run(foreign, back, *axes) == 0
    avatar, again = load_avatar(ours).avatar, load_avatar(back).avatar
    assert again.antialiased == avatar.antialiased
    for view in (camera(), camera(0.8)):
        expected = avatar.render(torch.tensor([0.9, 0.0, 0.4]), view)
        got = again.render(NOTHING, view)
        assert expected.alpha.max() > 0.3
        if suffix == "ply":
            torch.testing.assert_close(got.color, expected.color, rtol=0, atol=1e-4)
        else:  # harmonics are held from -1 to 1, and some of this random avatar's are larger
            assert (got.color - expected.color).abs().mean() < 0.03


def test_an_imported_avatar_has_a_header_a_surface_and_its_origin(tmp_path: Path) -> None:
    write_ply(tmp_path / "scan.ply", out_of_head_space(some_splats(2000), "opencv"))
    converted = convert(tmp_path / "scan.ply", tmp_path / "scan.safetensors")
    header, surface = read_header(tmp_path / "scan.safetensors"), load_surface(tmp_path / "scan.safetensors")
    assert (header["model"], header["expression_space"]["names"]) == ("Splats", [])
    assert header["training"] == {"source": "scan.ply", "format": converted.format, "gaussians": 2000}
    assert surface is not None and len(surface["faces"]) > 100


def test_splats_too_few_for_a_surface_get_a_box(tmp_path: Path) -> None:
    few = some_splats(4, 0)
    write_ply(tmp_path / "few.ply", Splats(**(vars(few) | {"log_scales": few.log_scales - 5})))
    convert(tmp_path / "few.ply", tmp_path / "few.safetensors")
    surface = load_surface(tmp_path / "few.safetensors")
    assert surface is not None and len(surface["vertices"]) == 8
    corners, faces = surface["vertices"].numpy(), surface["faces"].numpy()
    normals = np.cross(corners[faces[:, 1]] - corners[faces[:, 0]], corners[faces[:, 2]] - corners[faces[:, 0]])
    outward = corners[faces].mean(1) - corners.mean(0)
    assert ((normals * outward).sum(1) > 0).all()


def test_a_capture_gives_a_file_for_each_frame(ours: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capture = write_capture(tmp_path / "capture", frames=3, test=2)
    assert run(ours, tmp_path / "out.ply", "--capture", capture) == 0
    printed = capsys.readouterr().out.split()
    assert printed == [str(tmp_path / f"out_{n:04d}.ply") for n in range(1, 6)]
    assert run(ours, tmp_path / "test.ply", "--capture", capture, "--split", "test") == 0
    assert [path.name for path in sorted(tmp_path.glob("test*.ply"))] == ["test_0001.ply", "test_0002.ply"]
    assert run(ours, tmp_path / "one.ply", "--capture", capture, "--frame", 3) == 0
    fourth = (tmp_path / "out_0004.ply").read_bytes()
    assert (tmp_path / "one.ply").read_bytes() == fourth == (tmp_path / "test_0001.ply").read_bytes()
    avatar = load_avatar(ours).avatar
    expected = avatar.splats(torch.from_numpy(load_capture(capture).frames[3].expression))
    np.testing.assert_array_equal(read_table(tmp_path / "one.ply").columns["opacity"], expected.logits)


def test_our_own_files_are_made_smaller(tmp_path: Path) -> None:
    plain, small, again = (tmp_path / f"{name}.safetensors" for name in ("plain", "small", "again"))
    save_avatar(plain, small_avatar(400), "mine", {"iterations": 7}, compact=False)
    assert run(plain, small) == 0 and run(plain, again, "--basis", "float32") == 0
    assert read_header(small)["basis"] == "int8" and read_header(again)["basis"] == "float32"
    for path in (small, again):
        assert (read_header(path)["preset"], read_header(path)["training"]) == ("mine", {"iterations": 7})
    expression = torch.tensor([0.2, 0.9, 0.4])
    before, after = (load_avatar(path).avatar.gaussians(expression, camera()) for path in (plain, again))
    assert torch.equal(before.colors, after.colors)


def test_warnings_reach_the_user(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_ply(tmp_path / "a.ply", some_splats(300, 4))
    assert run(tmp_path / "a.ply", tmp_path / "a.spz") == 0
    assert "warning: a.ply: the harmonics of degree 4" in capsys.readouterr().err


@pytest.mark.parametrize("suffix", ["ply", "glb"])
def test_an_expression_that_no_file_can_hold_is_refused(
    suffix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Far beyond its range the motion is beyond all bounds; a picture of it is empty."""
    save_avatar(tmp_path / "modes.safetensors", small_modes(), "modes", {})
    name = load_avatar(tmp_path / "modes.safetensors").avatar.expression_space.names[0]
    assert run(tmp_path / "modes.safetensors", tmp_path / f"out.{suffix}", "--expression", f"{name}=1e9") == 2
    assert "too far away for a file" in capsys.readouterr().err and not list(tmp_path.glob("out*"))


def test_others_may_read_what_is_written_and_nothing_is_left_where_it_cannot_be(
    ours: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "plain").touch()
    assert ours.stat().st_mode == (tmp_path / "plain").stat().st_mode
    still = tmp_path / "still.ply"
    write_ply(still, some_splats(20, 0))
    before = set(tmp_path.iterdir())

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("headgas.files.os.replace", full)
    for name in ("out.safetensors", "out.spz"):
        with pytest.raises(HeadGaSError, match="No space left"):
            convert(still, tmp_path / name)
    assert set(tmp_path.iterdir()) == before


@pytest.mark.parametrize(("name", "loss"), [("a.spz", "cut off"), ("a.glb", "antialiased"), ("a.ply", "")])
def test_what_a_format_cannot_hold_is_said(tmp_path: Path, name: str, loss: str) -> None:
    splats = Splats(**(vars(some_splats(5)) | {"antialiased": True}))
    splats.harmonics[3, 7, 1] = -1.5
    write_ply(tmp_path / "in.ply", splats)
    warnings = convert(tmp_path / "in.ply", tmp_path / name).warnings
    assert len(warnings) == bool(loss) and all(loss in warning for warning in warnings)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing.ply", "out.safetensors"], "there is no such file"),
        (["notes.txt", "out.ply"], "no format that HeadGaS reads"),
        (["notes.ply", "out.spz"], "is not a .ply file of the kind that HeadGaS reads"),
        (["cut.zip", "out.ply"], "is damaged, or is not a .zip file"),
        (["empty.splat", "out.ply"], "empty.splat: is empty"),
        (["empty", "out.ply"], "empty: is empty"),
        ([".", "out.ply"], "is no folder of an avatar"),
        (["x" * 300 + ".ply", "out.ply"], "cannot be read (File name too long)"),
        (["still.ply", "x" * 300 + ".ply"], "cannot be written (File name too long)"),
        (["head.safetensors", "out.obj"], "must end in one of"),
        (["head.safetensors", "head.safetensors"], "over what is read"),
        (["head.safetensors", "out.ply", "--expression", "smile=1"], "no parameter 'smile'"),
        (["head.safetensors", "out.ply", "--frame", "1"], "without a capture"),
        (["head.safetensors", "out.ply", "--capture", "capture", "--frame", "9"], "frames 0 to"),
        (["head.safetensors", "out.ply", "--scale", "0"], "scale"),
        (["head.safetensors", "other.safetensors", "--axes", "opengl"], "neither axes nor a scale"),
        (["head.safetensors", "other.safetensors", "--expression", "jawOpen=1"], "every expression"),
        (["still.ply", "out.ply", "--expression", "jawOpen=1"], "Nothing drives"),
        (["still.ply", "out.spz", "--capture", "capture"], "Nothing drives"),
        (["still.ply", "out.spz", "--scale", "-1"], "scale"),
        (["still.ply", "nowhere.ply/out.safetensors"], "cannot be written"),
        (["still.ply", "nowhere.ply/out.ply"], "cannot be written"),
        (["other_capture.safetensors", "out.ply", "--capture", "capture"], "lacks brow"),
    ],
)
def test_what_does_not_go_together_is_said(
    ours: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    arguments: list[str], message: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").write_text("a shopping list")
    (tmp_path / "notes.ply").write_text("a shopping list")
    (tmp_path / "cut.zip").write_bytes(b"PK\x03\x04 and no more")
    (tmp_path / "empty.splat").touch()
    (tmp_path / "empty").mkdir()
    (tmp_path / "nowhere.ply").write_text("no folder")
    write_ply(tmp_path / "still.ply", some_splats(20, 0))
    if "capture" in arguments:
        write_capture(tmp_path / "capture", frames=2, test=1)
    save_avatar(tmp_path / "other_capture.safetensors", small_avatar(names=(*NAMES, "brow")), "headgas", {})
    before = set(tmp_path.iterdir())
    assert run(*arguments) == 2
    error = capsys.readouterr().err
    assert message in error and "Traceback" not in error
    assert set(tmp_path.iterdir()) == before


@pytest.mark.parametrize("text", ["jawOpen", "jawOpen=much", "=,="])
def test_an_expression_that_cannot_be_read_is_said(ours: Path, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run(ours, "out.ply", "--expression", text)
    assert "no expression" in capsys.readouterr().err
