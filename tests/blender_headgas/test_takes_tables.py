# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes in CSV: Live Link Face's in all its spellings, Audio2Face-3D's, our own; and everything that can be wrong."""

from pathlib import Path

import numpy as np
import pytest

from blender_headgas.core import arkit
from blender_headgas.core.errors import HeadGaSError
from blender_headgas.core.rotations import from_vectors, to_matrices
from blender_headgas.core.takes import Take, read_take, write_table
from blender_headgas.core.takes.livelink import careful_columns, quick_columns
from blender_headgas.core.takes.timecodes import timecode
from blender_headgas.core.takes.writing import SHAPES, head_angles

SAMPLES = Path(__file__).parents[2].parent / "shared" / "samples"
HEADER = "Timecode,BlendShapeCount,JawOpen,EyeBlinkRight,EyeBlinkLeft,HeadYaw,HeadPitch,HeadRoll,LeftEyeYaw"
FRONT, LEFT, UP = np.array([0, -1, 0]), np.array([1, 0, 0]), np.array([0, 0, 1])


def _file(tmp_path, text, name="take.csv"):
    path = tmp_path / name
    path.write_bytes(text.encode())
    return path


def _rows(header, *rows):
    return "\r\n".join([header, *rows, ""])


def test_columns_are_known_by_their_names(tmp_path):
    text = _rows(HEADER, "00:00:01:58.500,7,0.5,0.2,0.1,0,0,0,9", "00:00:01:59.500,7,0.6,0.3,0.2,0,0,0,9")
    take = read_take(_file(tmp_path, text))
    assert take.names == ("jawOpen", "eyeBlinkRight", "eyeBlinkLeft")
    assert np.allclose(take.values, [[0.5, 0.2, 0.1], [0.6, 0.3, 0.2]])
    assert take.times == pytest.approx([0, 1 / 60]) and np.allclose(take.rotations, [1, 0, 0, 0])


@pytest.mark.parametrize(
    "header",
    [
        "Timecode,BlendshapeCount,JawOpen,EyeBlinkLeft,EyeBlinkRight",
        "\ufefftimecode,blendshapeCount,jawOpen,eyeBlinkLeft,eyeBlinkRight",
        "BlendShapeCount, Timecode, jawOpen, eyeBlink_L, eyeBlink_R",
        "Timecode,BlendShapeCount,jawOpen,eyeblinkleft,EYEBLINKRIGHT",
    ],
)
def test_every_spelling(tmp_path, header):
    first = "3,00:00:00:00" if header.startswith("Blend") else "00:00:00:00,3"
    take = read_take(_file(tmp_path, _rows(header, f"{first},1,2,3")))
    assert take.names == ("jawOpen", "eyeBlinkLeft", "eyeBlinkRight") and take.values.tolist() == [[1, 2, 3]]
    assert take.rotations is None


@pytest.mark.parametrize(("separator", "point"), [(";", "."), (";", ","), ("\t", ",")])
def test_tables_that_a_spreadsheet_saved_again(tmp_path, separator, point):
    def saved(jaw):
        cells = [["Timecode", "BlendShapeCount", '"JawOpen"', "CheekPuff"], ["00:00:00:00.5", "2", jaw, "0.25"]]
        return _file(tmp_path, "\n".join(separator.join(row).replace(".", point) for row in cells))

    assert read_take(saved("0.5")).values.tolist() == [[0.5, 0.25]]
    with pytest.raises(HeadGaSError, match=r"line 2, column 3 \(JawOpen\): 'half' is no finite number"):
        read_take(saved("half"))


@pytest.mark.parametrize(
    ("codes", "times"),
    [
        (["00:00:09:58.500", "00:00:09:59.500", "00:00:10:00.500"], [0, 1 / 60, 2 / 60]),
        (["00:00:09:22.0", "00:00:09:23.0", "00:00:10:00.0", "00:00:10:01.0"], [0, 1 / 24, 2 / 24, 3 / 24]),
        (["00:00:09:28.0", "00:00:09:29.0", "00:00:10:00.0"], [0, 1 / 30, 2 / 30]),
        (["00:00:09:57.6", "00:00:09:59.6", "00:00:10:01.6"], [0, 2 / 60, 4 / 60]),  # 30 Hz in 60ths
        (["00:00:09:56.0", "00:00:09:58.0", "00:00:10:04.0"], [0, 2 / 60, 8 / 60]),  # moments are missing
        (["00:00:09:05.0", "00:00:09:06.0"], [0, 1 / 60]),  # shorter than a second
        (["23:59:59:59.0", "00:00:00:00.0", "00:00:00:01.0"], [0, 1 / 60, 2 / 60]),  # midnight
        (["1.5", "2.25"], [0, 0.75]),
    ],
)
def test_timecodes(tmp_path, codes, times):
    take = read_take(_file(tmp_path, _rows("Timecode,jawOpen", *(f"{code},0" for code in codes))))
    assert take.times == pytest.approx(times, abs=1e-9)


def test_timecodes_are_written_in_sixtieths():
    assert [timecode(seconds) for seconds in (0, 0.25, 1 / 24, 3723.5)] == [
        "00:00:00:00.000",
        "00:00:00:15.000",
        "00:00:00:02.500",
        "01:02:03:30.000",
    ]


@pytest.mark.parametrize(
    ("angles", "looks", "left_ear"),
    [
        ((0.3, 0, 0), FRONT * np.cos(0.3) + LEFT * np.sin(0.3), None),  # yaw: to the subject's left
        ((0, 0.3, 0), FRONT * np.cos(0.3) + UP * np.sin(0.3), LEFT),  # pitch: up
        ((0, 0, 0.3), FRONT, LEFT * np.cos(0.3) - UP * np.sin(0.3)),  # roll: to the subject's left
    ],
)
def test_the_head_s_angles(tmp_path, angles, looks, left_ear):
    text = _rows("Timecode,JawOpen,HeadYaw,HeadPitch,HeadRoll", "00:00:00:00.0,0," + ",".join(map(str, angles)))
    path = _file(tmp_path, text)
    turn = to_matrices(read_take(path).rotations)[0]
    assert np.allclose(turn @ FRONT, looks, atol=1e-6)
    if left_ear is not None:
        assert np.allclose(turn @ LEFT, left_ear, atol=1e-6)
    on_its_side = to_matrices(read_take(path, landscape=True).rotations)[0]
    assert np.allclose(on_its_side, turn if angles[2] else turn.T, atol=1e-6)  # roll is not turned round


def test_rows_without_a_face_are_left_out(tmp_path):
    rows = ["00:00:00:00.0,1,0.1", "00:00:00:01.0,0", "00:00:00:02.0,0,", "", "00:00:00:03.0,1,0.4"]
    take = read_take(_file(tmp_path, _rows("Timecode,BlendShapeCount,JawOpen", *rows)))
    assert take.times == pytest.approx([0, 3 / 60]) and take.values[:, 0] == pytest.approx([0.1, 0.4])


def test_the_table_of_audio2face_3d(tmp_path):
    text = ",timeCode,blendShapes.EyeBlinkLeft,blendShapes.JawOpen\n0,0.0,0.1,0.2\n1,0.0333,0.3,0.4\n"
    take = read_take(_file(tmp_path, text))
    assert take.names == ("eyeBlinkLeft", "jawOpen") and take.times == pytest.approx([0, 0.0333])
    assert np.allclose(take.values, [[0.1, 0.2], [0.3, 0.4]])


def test_the_quick_reader_finds_what_the_careful_one_finds():
    rows = [f"{i / 7:.6f},{-i},00:00:{i:02}:07.{i:03},3,{i}e-3" for i in range(40)]
    text = _rows("a,b,Timecode,Count,c", *rows)
    quick = quick_columns(text, 5, 2, [0, 1, 4], 3)
    careful = careful_columns(Path("a.csv"), text, ["a", "b", "Timecode", "Count", "c"], 2, [0, 1, 4], 3)
    assert quick is not None and quick[0] == careful[0] and list(quick[2]) == careful[2] == list(range(2, 42))
    assert np.array_equal(quick[1], careful[1])
    for old, new in (("39e-3", "nan"), (",3,39e", ",0,39e"), ("-5,", '"-5",'), ("-5,", "-5")):
        odd = text.replace(old, new)
        assert quick_columns(odd, 5, 2, [0, 1, 4], 3) is None


GOOD = "00:00:00:00.0,2,0.1,0.2"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("hello\n1\n", "no take of a known format"),
        (_rows("Timecode,BlendShapeCount,JawOpen,MouthLeft"), "no line with values"),
        (_rows("Timecode,BlendShapeCount", "0,0"), "no line with values|names no channel"),
        (_rows("Timecode,HeadYaw,HeadPitch,HeadRoll", "00:00:00:00.0,0,0,0"), "line 1: names no channel"),
        (_rows("Timecode,BlendShapeCount,JawOpen,jawOpen", GOOD), "line 1: the column 'jawOpen' is there twice"),
        (_rows("Timecode,BlendShapeCount,JawOpen,MouthLeft", GOOD, "00:00:00:01.0,2,0.1"), "line 3: has 3 columns"),
        (_rows("Timecode,BlendShapeCount,JawOpen,MouthLeft", GOOD + ",1"), "line 2: has 5 columns"),
        (
            _rows("Timecode,BlendShapeCount,JawOpen,MouthLeft", GOOD, "00:00:00:01.0,2,0.1,nan"),
            r"line 3, column 4 \(MouthLeft\): 'nan' is no finite number",
        ),
        (
            _rows("Timecode,BlendShapeCount,JawOpen,MouthLeft", "00:00:00:01.0,2,,1"),
            r"line 2, column 3 \(JawOpen\): ''",
        ),
        (_rows("Timecode,BlendShapeCount,JawOpen,MouthLeft", "00:00:00:01.0,2,1,1e999"), "column 4 .*1e999"),
        (
            _rows("Timecode,BlendShapeCount,JawOpen,MouthLeft", "00:00:00:01.0,61,1,2"),
            "column 2 .*says '61'; there are 2",
        ),
        (_rows("BlendShapeCount,Timecode,JawOpen", "1,0h 3m,0"), "line 2, column 2: '0h 3m' is neither a timecode"),
        (_rows("Timecode,JawOpen", "00:00:00:05.0,0", "00:00:00:05.0,0"), "line 3: its time is not later"),
        (_rows("Timecode,JawOpen", "00:00:00:05.0,0", "00:00:00:04.0,0"), "line 3: its time is not later"),
        (_rows("Timecode,JawOpen", "00:00:00:05.0,0") + '00:00:01:00.0,"' + "9" * 200000, "line 3"),
    ],
)
def test_damaged_tables(tmp_path, text, message):
    path = _file(tmp_path, text)
    with pytest.raises(HeadGaSError, match=message) as error:
        read_take(path)
    assert str(path) in error.value.message and error.value.hint


def test_files_that_are_no_text(tmp_path):
    path = tmp_path / "take.csv"
    path.write_bytes(b"Timecode,\xff\xfe")
    with pytest.raises(HeadGaSError, match=r"neither text nor an .npz file \(byte 9\)"):
        read_take(path)
    with pytest.raises(HeadGaSError, match="cannot be read"):
        read_take(tmp_path / "gone.csv")


def _take(names, moments=90, head=True):
    random = np.random.default_rng(1)
    rotations = from_vectors(random.uniform(-0.6, 0.6, (moments, 3))).astype(np.float32) if head else None
    return Take(names, np.arange(moments) / 24, random.random((moments, len(names))).astype(np.float32), rotations)


def test_arkit_channels_are_written_as_live_link_face_does(tmp_path):
    take = _take(("jawOpen", "mouthSmileLeft"))
    write_table(tmp_path / "out.csv", take)
    lines = (tmp_path / "out.csv").read_text().splitlines()
    assert lines[0].split(",")[:3] == ["Timecode", "BlendShapeCount", "EyeBlinkLeft"]
    assert [len(line.split(",")) for line in lines] == [63] * 91 and lines[1].split(",")[1] == "61"
    back = read_take(tmp_path / "out.csv")
    assert sorted(back.names) == sorted(arkit.NAMES) and back.times == pytest.approx(take.times, abs=1e-5)
    columns = [back.names.index(name) for name in take.names]
    assert np.allclose(back.values[:, columns], take.values) and back.values.sum() == pytest.approx(take.values.sum())
    assert np.allclose(to_matrices(back.rotations), to_matrices(take.rotations), atol=1e-6)


def test_other_channels_keep_their_names(tmp_path):
    take = _take(("jawOpen", 'odd, "one"', "expr_000"), moments=5)
    write_table(tmp_path / "out.csv", take)
    back = read_take(tmp_path / "out.csv")
    assert back.names == take.names and np.allclose(back.values, take.values)
    assert np.allclose(to_matrices(back.rotations), to_matrices(take.rotations), atol=1e-6)
    write_table(tmp_path / "out.csv", _take(("a",), head=False))
    assert read_take(tmp_path / "out.csv").rotations is None


def test_angles_of_the_head_are_undone(tmp_path):
    angles = np.random.default_rng(2).uniform(-0.8, 0.8, (50, 3))
    rows = [f"{i},0,{','.join(map(str, row))}" for i, row in enumerate(angles)]
    take = read_take(_file(tmp_path, _rows("Timecode,JawOpen,HeadYaw,HeadPitch,HeadRoll", *rows)))
    assert np.allclose(head_angles(take.rotations), angles, atol=1e-5)


def test_nothing_half_written_stays(tmp_path):
    (tmp_path / "out.csv").mkdir()
    with pytest.raises(HeadGaSError, match="cannot be written"):
        write_table(tmp_path / "out.csv", _take(("a",)))
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="the real recording is not here")
def test_a_real_recording():
    path = SAMPLES / "livelink" / "iphone_take.csv"
    take = read_take(path)
    assert sorted(take.names) == sorted(arkit.NAMES) and take.values.shape == (328, 52)
    assert take.duration == pytest.approx(5.4533, abs=1e-4)  # 00:32:09:07.867 to 00:32:14:35.066
    assert take.values[0, take.names.index("jawOpen")] == pytest.approx(0.0897284821)
    assert tuple(path.read_text().split("\n")[0].split(",")[2:54]) == SHAPES
