# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Captures as they are found in the wild: pictures of every mode, mattes beside them, sub-folders, odd numbers."""

import json
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from headgas.captures import ImportOptions, check_capture, import_capture, load_capture
from headgas.captures.expressions import frame_splits
from headgas.captures.layouts import find_layout
from headgas.captures.mattes import Matte
from headgas.errors import HeadGaSError
from tests.headgas.captures.layouts.datasets import write_insta
from tests.headgas.captures.layouts.head import shots
from tests.headgas.conftest import SIZE

Edit = Callable[[Callable[[dict], None]], Path]
FRAME: dict[str, Any] = {"transform_matrix": np.eye(4).tolist(), "expression": [0.0, 1.0]}
TOP: dict[str, Any] = {"w": 8, "h": 6, "fl_x": 9.0}


def write_transforms(folder: Path, frames: list[dict[str, Any]], name: str = "transforms.json", **top: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps(TOP | top | {"frames": [FRAME | one for one in frames]}), encoding="utf-8")
    return folder


def head_picture() -> np.ndarray:
    """[SIZE,SIZE,4] with a matte."""
    picture = np.zeros((SIZE, SIZE, 4), np.uint8)
    picture[..., :3] = (200, 120, 80)
    picture[8:-8, 8:-8, 3] = 255
    return picture


def test_pictures_of_every_mode_are_read_or_refused_by_name(capture_folder: Path) -> None:
    rgba = Image.fromarray(head_picture())

    def place(number: int) -> Path:
        return capture_folder / f"images/{number:04d}.png"

    rgba.quantize(16).save(place(0))  # a palette with transparency
    rgba.convert("LA").save(place(1))
    assert not check_capture(capture_folder).problems
    for frame in load_capture(capture_folder).frames[:2]:
        np.testing.assert_array_equal(frame.load_rgba()[..., 3], head_picture()[..., 3] / 255)

    Image.fromarray(np.full((SIZE, SIZE), 40_000, np.uint16)).save(place(2))
    rgba.convert("RGB").quantize(8).save(place(3))
    rgba.convert("L").save(place(4))
    place(5).write_bytes(b"")
    whole = bytearray(place(6).read_bytes())
    whole[whole.index(b"IDAT") + 6] ^= 0xFF  # its checksum is wrong now
    place(6).write_bytes(whole)
    place(7).write_bytes(place(8).read_bytes()[:90])
    header = b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 8, 6, 0, 0, 0)
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    place(8).write_bytes(b"\x89PNG\r\n\x1a\n" + chunk)
    problems = check_capture(capture_folder).problems
    assert len(problems) == 7
    words = ["mode I;16", "mode P", "mode L", *["cannot be read"] * 4]
    for number, word in enumerate(words, 2):
        assert sum(f"frame {number:04d}" in one and word in one for one in problems) == 1, (number, problems)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda f: f["expression"].__setitem__(0, 1e300), ["'expression'", "from -1e+09 to 1e+09"]),
        (lambda f: f["expression"].__setitem__(0, 10**400), ["'expression'", "finite"]),
        (lambda f: f.update(width=10**400), ["'width'", "from -1e+09 to 1e+09"]),
        (lambda f: f["K"][0].__setitem__(1, 2.0), ["'K'", "fx 0 cx"]),
        (lambda f: f["K"][0].__setitem__(0, 0.0), ["'K'", "positive focal lengths"]),
        (lambda f: f.update(depth_unit=0), ["'depth_unit'", "above 0"]),
        (lambda f: f.update(image="images/a\0b.png"), ["'image'", "a path"]),
        (lambda f: f.update(boxes={"mouth": [0, 0, SIZE + 1, 5]}), ["'mouth'", f"x1 ≤ {SIZE}"]),
        (lambda f: f["viewmat"].__setitem__(0, [-v for v in f["viewmat"][0]]), ["'viewmat'", "right-handed"]),
        (lambda f: f.update(viewmat=(1.1 * np.array(f["viewmat"])).tolist()), ["'viewmat'", "orthonormal"]),
    ],
)
def test_numbers_that_no_camera_has_are_refused(
    edit_capture: Edit, change: Callable[[dict], None], words: list[str]
) -> None:
    (problem,) = check_capture(edit_capture(lambda data: change(data["frames"][2]))).problems
    for word in ["capture.json", "frame 2", *words]:
        assert word in problem


@pytest.mark.parametrize(
    "content",
    [b'{"version": ' + b"9" * 5000 + b"}", b"[" * 100_000, b'{"frames": [', b"null", b'{"format": 1}',
     b'{"format": "headgas-capture", "version": 1, "expression_space": {"names": ["a"], "neutral": [1' + b"0" * 400
     + b"]}}"],
)  # fmt: skip
def test_a_file_that_cannot_be_used_is_one_problem(capture_folder: Path, content: bytes) -> None:
    (capture_folder / "capture.json").write_bytes(content)
    (problem,) = check_capture(capture_folder).problems
    assert "capture.json" in problem


def test_images_in_sub_folders_have_names_of_their_own(tmp_path: Path) -> None:
    """As the first datasets of radiance fields have them: each split counts from 0, and names have no ending."""
    for split in ("train", "test"):
        frames = [{"file_path": f"./{split}/r_{number}"} for number in range(2)]
        write_transforms(tmp_path, [*frames, {"file_path": f"{split}/only_{split}.png"}], f"transforms_{split}.json")
        for number, ending in enumerate(("png", "jpg")):
            (tmp_path / split).mkdir(exist_ok=True)
            Image.new("RGB", (8, 6)).save(tmp_path / split / f"r_{number}.{ending}")
    frames = load_capture(tmp_path).frames
    names = ["train_r_0", "train_r_1", "only_train", "test_r_0", "test_r_1", "only_test"]
    assert [frame.name for frame in frames] == names
    assert list(frame_splits(tmp_path)) == names  # whoever joins expressions to frames calls them the same
    assert [frame.image.name for frame in frames[:2]] == ["r_0.png", "r_1.jpg"]  # whichever there is


def test_the_first_frame_may_be_damaged(tmp_path: Path) -> None:
    folder = write_transforms(tmp_path, [{"file_path": f"{n}.png"} for n in range(4)])
    data = json.loads((folder / "transforms.json").read_text())
    data["frames"][0].update(expression=[1.0], transform_matrix=None, fl_x=0)
    (folder / "transforms.json").write_text("\ufeff" + json.dumps(data), encoding="utf-8")  # as Windows' editor does
    for number in range(1, 4):
        Image.new("RGBA", (8, 6), "white").save(folder / f"{number}.png")
    problems = check_capture(folder).problems
    assert len(problems) == 4 and all("frame 0" in problem for problem in problems)
    for words in ("'expression' is [1.0]; expected 2", "'transform_matrix'", "'fl_x' is 0", "0.png: the image"):
        assert sum(words in problem for problem in problems) == 1, problems


def test_mattes_may_lie_beside_the_pictures(tmp_path: Path) -> None:
    """`mask_path`, as nerfstudio has it."""
    folder = write_transforms(tmp_path, [{"file_path": "a.jpg", "mask_path": "masks/a.png"}, {"file_path": "b.png"}])
    Image.new("RGB", (8, 6), "red").save(folder / "a.jpg")
    Image.new("RGBA", (8, 6), "red").save(folder / "b.png")
    (folder / "masks").mkdir()
    matte = np.zeros((6, 8), np.uint8)
    matte[2:4] = 255
    Image.fromarray(matte).save(folder / "masks/a.png")
    capture = load_capture(folder)
    assert (capture.frames[0].load_rgba()[..., 3] == matte / 255).all() and not capture.frames[1].mattes
    (folder / "masks/a.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (problem,) = check_capture(folder).problems
    assert "masks/a.png" in problem and "matte of frame a" in problem


def test_photographs_without_a_matte_get_them_from_a_folder(tmp_path: Path) -> None:
    """As the message about them says."""
    folder = write_transforms(tmp_path / "a", [{"file_path": f"{number}.jpg"} for number in range(3)])
    for number in range(3):
        Image.new("RGB", (8, 6), "red").save(folder / f"{number}.jpg")
    with pytest.raises(HeadGaSError, match="import-capture --mattes"):
        load_capture(folder).frames[0].load_rgba()
    with pytest.raises(HeadGaSError, match="published layouts[\\s\\S]*--mattes"):
        import_capture(folder, tmp_path / "out", ImportOptions())
    with pytest.raises(HeadGaSError, match="nowhere: is not a folder"):
        import_capture(folder, tmp_path / "out", ImportOptions(mattes=tmp_path / "nowhere"))
    (tmp_path / "mattes").mkdir()
    for number in range(3):
        Image.new("L", (8, 6), 255).save(tmp_path / f"mattes/{number}.png")
    made = import_capture(folder, tmp_path / "out", ImportOptions(mattes=tmp_path / "mattes"))
    assert (made.layout, made.train, made.test) == ("transforms.json", 2, 1)
    ours, theirs = load_capture(tmp_path / "out"), load_capture(folder)
    assert not check_capture(tmp_path / "out").problems and not ours.poses_estimated
    np.testing.assert_array_equal(ours.frames[2].viewmat, theirs.frames[2].viewmat)
    assert (ours.frames[0].load_rgba()[..., 3] == 1).all()


@pytest.mark.parametrize("mode", ["L", "1", "P", "RGB", "RGBA", "LA", "I;16"])
def test_a_matte_may_be_a_picture_of_any_mode(tmp_path: Path, mode: str) -> None:
    cover = np.zeros((4, 4), bool)
    cover[1:3] = True
    grey = Image.fromarray(cover.astype(np.uint8) * 255)
    picture = Image.fromarray(cover.astype(np.uint16) * 65535) if mode == "I;16" else grey.convert(mode)
    picture.save(tmp_path / "matte.png")  # where there is an alpha it is 1 everywhere: white is the head
    pixels = np.ones((4, 4, 4), np.float32)
    Matte(tmp_path / "matte.png").apply(pixels, "a")
    np.testing.assert_array_equal(pixels, np.dstack([np.ones((4, 4, 3)), cover]))


def test_lenses_that_bend_lines_are_refused(tmp_path: Path) -> None:
    folder = write_transforms(tmp_path, [{"file_path": "a.png"}], k1=-0.1, k2=0.0)
    with pytest.raises(HeadGaSError, match="'k1' is -0.1; expected 0: undistort"):
        load_capture(folder)
    write_transforms(tmp_path, [{"file_path": "a.png"}, {"file_path": "b.png"}], k1=0.0, p2=0)
    assert len(load_capture(folder).frames) == 2


def test_files_of_a_folder_name_the_same_parameters(tmp_path: Path) -> None:
    for split, names in (("train", ["jaw", "smile"]), ("test", ["smile", "jaw"])):
        name = f"transforms_{split}.json"
        write_transforms(tmp_path, [{"file_path": f"{split}.png"}], name, expression_names=names)
    with pytest.raises(HeadGaSError, match=r"transforms_test\.json: its 'expression_names' are not those of .*train"):
        load_capture(tmp_path)


def test_insta_may_have_a_camera_a_frame_and_only_its_angle(tmp_path: Path) -> None:
    write_insta(tmp_path, shots(5))
    for split in ("train", "test"):
        path = tmp_path / f"transforms_{split}.json"
        data = json.loads(path.read_text())
        width = data["w"]
        for field in ("fl_x", "fl_y", "cx", "cy"):
            del data[field]
        data["camera_angle_x"] = 2 * np.arctan(0.5)
        data["frames"][0].update(fl_x=70.0, cx=3.0)
        path.write_text(json.dumps(data))
    first, second = (frame.K for frame in load_capture(tmp_path).frames[:2])
    assert first[0, 0] == 70 and first[0, 2] == 3 and second[0, 0] == pytest.approx(width) == 2 * second[0, 2]


def test_vhap_s_meshes_are_not_taken_for_insta(tmp_path: Path) -> None:
    """Its export of meshes names text files of expressions, too; its cameras are OpenGL's, and the head moves."""
    folder = write_transforms(tmp_path, [{"file_path": "a.png", "exp_path": "a.txt", "timestep_index": 0}])
    assert find_layout(folder) is None
