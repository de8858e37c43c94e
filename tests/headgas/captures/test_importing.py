# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Published layouts become capture folders: the same frames, whole or not at all, and gone on with."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from headgas.captures import ImportOptions, check_capture, import_capture, load_capture
from headgas.captures.expressions import frame_splits, other_names, read_expressions
from headgas.cli import main
from headgas.errors import HeadGaSError
from tests.headgas.captures.layouts import datasets
from tests.headgas.captures.layouts.head import HEIGHT, WIDTH, check_cameras, photograph, save, shots
from tests.headgas.captures.layouts.moving_flame import flame_file, moments, write_gaussian_avatars, write_imavatar

DEFAULT = ImportOptions()


class Stopped(Exception):
    """Somebody ends the program."""


def test_an_imported_capture_is_the_same(tmp_path: Path) -> None:
    truth = shots(parameters=46)
    source = datasets.write_gaussian_head(tmp_path / "id", truth)
    made = import_capture(source, tmp_path / "out", DEFAULT)
    assert (made.layout, made.train, made.test, made.parameters, made.problems) == ("GaussianHead", 5, 1, 46, [])
    assert made.height == pytest.approx(0.28, abs=0.03)  # 52 of 96 pixels' focal length, half a metre away
    capture, problems = check_capture(tmp_path / "out")
    assert capture is not None and not problems
    check_cameras(capture, truth)
    original = load_capture(source)
    assert capture.expression_space == original.expression_space
    for ours, theirs in zip(capture.frames, original.frames, strict=True):
        assert (ours.name, ours.split) == (theirs.name, theirs.split)
        for name in ("viewmat", "K", "expression"):
            np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name))
        np.testing.assert_allclose(ours.load_rgba(), theirs.load_rgba(), atol=0.51 / 255)


def test_layouts_that_move_flame_are_imported_with_boxes(tmp_path: Path) -> None:
    flame = flame_file(tmp_path / "flame")
    for write in (write_imavatar, write_gaussian_avatars):
        source = write(tmp_path / write.__name__, *moments(4))
        import_capture(source, tmp_path / f"{write.__name__}_out", ImportOptions(flame=flame))
        ours, theirs = load_capture(tmp_path / f"{write.__name__}_out"), load_capture(source, flame)
        for one, other in zip(ours.frames, theirs.frames, strict=True):
            np.testing.assert_array_equal(one.viewmat, other.viewmat)
            assert one.boxes == other.boxes


def test_an_interrupted_import_is_no_capture_and_is_gone_on_with(tmp_path: Path) -> None:
    source, out = datasets.write_nerf_blendshape(tmp_path / "id", shots()), tmp_path / "out"

    def stop(done: int, count: int) -> None:
        assert count == 6
        if done == 3:
            raise Stopped

    with pytest.raises(Stopped):
        import_capture(source, out, DEFAULT, stop)
    assert not (out / "capture.json").exists() and len(list((out / "images").iterdir())) == 3
    with pytest.raises(HeadGaSError, match="not a capture"):
        load_capture(out)
    with pytest.raises(HeadGaSError, match="another import"):
        import_capture(source, out, ImportOptions(scale=2.0))
    before = (out / "images/1.png").stat().st_mtime_ns
    import_capture(source, out, DEFAULT)
    assert (out / "images/1.png").stat().st_mtime_ns == before
    assert not (out / "import.json").exists()
    check_cameras(load_capture(out), shots())
    with pytest.raises(HeadGaSError, match="already holds a capture"):
        import_capture(source, out, DEFAULT)


def test_foreign_folders_are_left_alone(tmp_path: Path) -> None:
    source = datasets.write_insta(tmp_path / "id", shots())
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine.txt").write_text("mine")
    with pytest.raises(HeadGaSError, match="not empty"):
        import_capture(source, tmp_path / "out", DEFAULT)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]
    with pytest.raises(HeadGaSError, match="none of the published layouts"):
        import_capture(tmp_path / "out", tmp_path / "new", DEFAULT)
    with pytest.raises(HeadGaSError, match="scale"):
        import_capture(source, tmp_path / "new", ImportOptions(scale=0))
    assert not (tmp_path / "new").exists()


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege on Windows")
def test_images_that_need_no_change_are_linked(tmp_path: Path) -> None:
    import_capture(datasets.write_insta(tmp_path / "id", shots()), tmp_path / "a", ImportOptions(link=True))
    assert all(path.is_symlink() for path in (tmp_path / "a/images").iterdir())
    check_cameras(load_capture(tmp_path / "a"), shots())
    source = datasets.write_nerf_blendshape(tmp_path / "jpegs", shots())
    import_capture(source, tmp_path / "b", ImportOptions(link=True))
    assert not any(path.is_symlink() for path in (tmp_path / "b/images").iterdir())


def test_copies_are_the_same_bytes(tmp_path: Path) -> None:
    source = datasets.write_insta(tmp_path / "id", shots())
    import_capture(source, tmp_path / "out", DEFAULT)
    name = "images/00003.png"
    assert (tmp_path / "out" / name).read_bytes() == (source / name).read_bytes()


def test_mattes_come_from_another_folder(tmp_path: Path) -> None:
    source = datasets.write_insta(tmp_path / "id", shots())
    for shot in shots():
        save(source / f"images/{shot.number:05d}.png", photograph(shot.viewmat)[0])  # without alpha
        save(tmp_path / f"mattes/{shot.number:05d}.png", photograph(shot.viewmat)[1])
    with pytest.raises(HeadGaSError, match="--mattes"):
        import_capture(source, tmp_path / "out", DEFAULT)
    assert not (tmp_path / "out/capture.json").exists()
    import_capture(source, tmp_path / "out", ImportOptions(mattes=tmp_path / "mattes"))  # nothing was written before
    check_cameras(load_capture(tmp_path / "out"), shots())


def test_a_head_of_unlikely_size_is_reported_and_scaled(tmp_path: Path) -> None:
    truth = shots()
    source = datasets.write_nerface(tmp_path / "id", truth, units=0.031, mirrored=False)
    made = import_capture(source, tmp_path / "a", DEFAULT)
    (said,) = made.problems
    scale = float(said.split("--scale ")[1].split()[0])
    made = import_capture(source, tmp_path / "b", ImportOptions(scale=scale))
    assert not made.problems and made.height == pytest.approx(0.25, abs=0.01)
    grown = load_capture(tmp_path / "b").frames[0].viewmat
    np.testing.assert_allclose(grown[:3, 3], truth[0].viewmat[:3, 3] * scale / 10, rtol=1e-5, atol=1e-6)


def test_cameras_that_look_elsewhere_are_reported(tmp_path: Path) -> None:
    source = datasets.write_insta(tmp_path / "id", shots())
    for name in ("train", "test"):
        path = source / f"transforms_{name}.json"
        path.write_text(path.read_text().replace('"transform_matrix"', '"pose"'))
        data = json.loads(path.read_text())
        for frame in data["frames"]:
            frame["transform_matrix"] = (np.array(frame["pose"]) @ np.diag([1, -1, -1, 1])).tolist()  # as OpenGL has it
        path.write_text(json.dumps(data))
    made = import_capture(source, tmp_path / "out", DEFAULT)
    assert any("other axes" in problem for problem in made.problems)


def test_broken_frames_are_left_out_where_that_is_wanted(tmp_path: Path) -> None:
    source = datasets.write_insta(tmp_path / "id", shots())
    (source / "images/00002.png").unlink()
    (source / "flame/exp/00001.txt").write_text("nan")
    with pytest.raises(HeadGaSError, match=r"00001\.txt[\s\S]*--skip-broken"):
        import_capture(source, tmp_path / "out", DEFAULT)
    made = import_capture(source, tmp_path / "out", ImportOptions(skip=True))
    assert [name for problem in made.problems for name in ("00001.txt", "00002.png") if name in problem] == [
        "00001.txt", "00002.png",
    ]  # fmt: skip
    assert [frame.name for frame in load_capture(tmp_path / "out").frames] == ["00000", "00003", "00004", "00005"]
    for path in (source / "images").iterdir():
        path.unlink()
    with pytest.raises(HeadGaSError, match="no frame to train on"):
        import_capture(source, tmp_path / "none", ImportOptions(skip=True))


def test_the_command_line_imports(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = datasets.write_insta(tmp_path / "id", shots())
    assert main(["import-capture", str(source)]) == 0
    printed = capsys.readouterr()
    assert "INSTA: 4 training and 2 test frames" in printed.out and "id_capture" in printed.out
    assert "frame 6 of 6" in printed.err
    check_cameras(load_capture(tmp_path / "id_capture"), shots())
    assert main(["import-capture", str(tmp_path / "id_capture")]) == 2
    assert main(["import-capture", str(tmp_path / "gone"), "--out", str(tmp_path / "x")]) == 2


def test_expressions_of_published_layouts_are_described(tmp_path: Path) -> None:
    truth = shots(parameters=46)
    source = datasets.write_nerf_blendshape(tmp_path, truth)
    assert list(frame_splits(source).values()).count("test") == 1 and other_names(source) == []
    described = read_expressions(source, "expression")
    assert described.space.kind == "FaceWarehouse"
    np.testing.assert_allclose(described.values["3"], truth[3].expression, atol=1e-6)
    with pytest.raises(HeadGaSError, match="'arkit'"):
        read_expressions(source, "arkit")


def test_mattes_of_another_size_are_refused(tmp_path: Path) -> None:
    source = datasets.write_gaussian_head(tmp_path, shots())
    save(source / "mask/1.png", np.zeros((HEIGHT, WIDTH + 1), np.uint8))
    with pytest.raises(HeadGaSError, match=r"1\.png.*65×60.*64×60"):
        load_capture(source).frames[0].load_rgba()


def test_a_full_disk_is_no_broken_frame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = datasets.write_nerf_blendshape(tmp_path / "id", shots())
    write = Path.write_bytes

    def full(path: Path, content: bytes) -> int:
        if path.name.startswith("3.png"):
            raise OSError(28, "No space left on device")
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(HeadGaSError, match="No space left"):
        import_capture(source, tmp_path / "out", ImportOptions(skip=True))
    assert not (tmp_path / "out/capture.json").exists()
