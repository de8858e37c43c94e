# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a video to a capture: with a stand-in for the face tracker, and with the real one where it is installed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headgas.captures import check_capture, load_capture
from headgas.captures.tracking import Tracked, TrackOptions, environment, is_ready, observing, pictures, track
from headgas.captures.tracking.advice import advice
from headgas.captures.tracking.channels import ALWAYS, Channel
from headgas.captures.tracking.focal import intrinsics
from headgas.captures.tracking.pose import HeadMotion
from headgas.cli import main
from headgas.errors import HeadGaSError
from headgas.evaluation.tracking_report import write_tracking_report
from tests.headgas.captures.tracking import faces

ROOT = Path(__file__).resolve().parents[4]
SMALL = TrackOptions(focal="800", size=64)


@pytest.fixture(autouse=True)
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tracks with this Python and faces.py."""
    monkeypatch.setenv(environment.VARIABLE, sys.executable)
    monkeypatch.setattr(observing, "_WORKER", Path(faces.__file__))


@pytest.fixture(scope="module")
def tracked(tmp_path_factory: pytest.TempPathFactory) -> Tracked:
    """A video with two bad frames, tracked; no test changes it."""
    folder, seen = tmp_path_factory.mktemp("tracked"), faces.video(frames=60, noise=0.2)
    landmarks, sharpness = seen.landmarks.copy(), np.full(60, 50.0)
    landmarks[10], sharpness[20] = np.nan, 3.0
    source = faces.write_video(folder / "video", seen, landmarks=landmarks, sharpness=sharpness)
    told: list[tuple[float, str]] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(environment.VARIABLE, sys.executable)
        patch.setattr(observing, "_WORKER", Path(faces.__file__))
        result = track(source, folder / "capture", SMALL, lambda share, text: told.append((share, text)))
    assert [share for share, _ in told] == sorted(share for share, _ in told) and told[-1][0] == 1.0
    return result


def test_a_tracked_video_is_a_capture(tracked: Tracked) -> None:
    checked = check_capture(tracked.out)
    assert not checked.problems
    capture = load_capture(tracked.out)
    assert len(capture.split("train")) == 49 and len(capture.split("test")) == 9
    assert [frame.name for frame in capture.split("test")][-1] == "000059"
    assert {"jawOpen", "eyeBlinkLeft", "component_00"} <= set(capture.expression_space.names)
    written = sorted(path.name for path in tracked.out.iterdir())
    assert written == ["capture.json", "images", "points.npy", "tracking.json"]
    assert json.loads((tracked.out / "capture.json").read_text())["poses"] == "estimated"  # training refines them
    facts = json.loads((tracked.out / "tracking.json").read_text())
    assert facts["frames"]["dropped"] == {"no face was found": 1, "the face is blurred": 1}
    assert [dropped["frame"] for dropped in facts["dropped"]] == [10, 20]
    assert facts["focal"] == 800 and facts["focal_from"] == "given"


def test_the_landmarks_lie_on_the_capture_s_pictures(tracked: Tracked) -> None:
    truth = faces.video(frames=60)
    for place in (0, 25, 57):
        frame, number = tracked.frames[place], tracked.numbers[place]
        points = truth.positions[number][:468] @ frame.viewmat[:3, :3].T + frame.viewmat[:3, 3]
        pixels = (points @ frame.K.T)[:, :2] / points[:, 2:]
        assert np.median(np.linalg.norm(pixels - tracked.landmarks[place, :468], axis=1)) < 0.6  # of 64
        x0, y0, x1, y1 = frame.boxes["mouth"]
        low, high = tracked.landmarks[place, [61, 291]].min(0), tracked.landmarks[place, [61, 291]].max(0)
        assert x0 <= low[0] and y0 <= low[1] and x1 >= high[0] and y1 >= high[1]


def test_the_report_shows_and_says_it(tracked: Tracked) -> None:
    page = write_tracking_report(tracked).read_text(encoding="utf-8")
    assert "no face was found" in page and ">10<" in page
    assert "jawOpen" in page and "component_00" in page and "turned your head" in page
    assert page.count("<img") == 3
    with Image.open(tracked.out / "tracking_sheet.png") as sheet:
        pixels = np.asarray(sheet.convert("RGB"), int)
    green = (pixels == (0, 160, 70)).all(-1).sum()
    assert sheet.size == (1280, 3 * 338) and green > 3000  # landmarks on twelve pictures
    for name in ("tracking.html", "tracking_sheet.png", "tracking_views.png", "tracking_errors.png"):
        (tracked.out / name).unlink()


def test_the_command_tells_how_far_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = faces.write_video(tmp_path / "video", faces.video(frames=20))
    out = tmp_path / "capture"
    assert main(["track", str(source), "--out", str(out), "--size", "48", "--focal", "50mm", "--held-out", "0"]) == 0
    said = capsys.readouterr()
    assert "20 training and 0 test frames" in said.out and "film a minute" in said.out
    assert said.out.splitlines()[-2:] == [str(out / "tracking.html"), str(out)]
    assert " 65%  Cutting out the head: frame 1 of 1" in said.err and "100%  Done" in said.err
    assert not load_capture(out).frames[0].load_rgba()[0, 0, 3]


def test_what_cannot_be_tracked_is_said(tmp_path: Path) -> None:
    source = faces.write_video(tmp_path / "video", faces.video(frames=20))
    cases = [
        (tmp_path / "missing.mp4", SMALL, "no such file"),
        (source, TrackOptions(focal="wide"), "focal length 'wide' cannot be read"),
        (source, TrackOptions(focal="0"), "focal length '0'"),
        (source, TrackOptions(focal="26"), "26 could be millimetres or pixels"),
        (source, TrackOptions(size=5), "size 5"),
        (source, TrackOptions(held_out=0.9), "held out"),
        (source, TrackOptions(rate=float("nan")), "frames per second"),
        (tmp_path, SMALL, "cannot be read as a video"),
    ]
    for path, options, message in cases:
        with pytest.raises(HeadGaSError, match=message):
            track(path, tmp_path / "out", options)
    empty = faces.write_video(tmp_path / "empty", faces.video(frames=20), landmarks=np.full((20, 478, 3), np.nan))
    with pytest.raises(HeadGaSError, match="0 of 20 frames can be used.*20 × no face"):
        track(empty, tmp_path / "out", SMALL)
    (source / "crash").touch()
    with pytest.raises(HeadGaSError, match="libGL"):
        track(source, tmp_path / "out", SMALL)
    assert not (tmp_path / "out" / "capture.json").exists()
    (source / "crash").unlink()
    track(source, tmp_path / "out", SMALL)  # what was begun there is no obstacle
    with pytest.raises(HeadGaSError, match="is not empty"):
        track(source, tmp_path / "out", SMALL)


def test_the_torso_is_cut_below_the_chin_and_specks_are_gone() -> None:
    to_camera = np.array([[1.0, 0, 0], [0, 0, -1.0], [0, 1.0, 0]])
    motion = HeadMotion(to_camera[None], np.array([[0, 0, 0.6]]), faces.neutral_face())
    box = pictures.boxes(motion, faces.K, torso=False)[0]
    K = pictures.intrinsics(faces.K, box, 128)
    viewmat = np.eye(4)
    viewmat[:3, :3], viewmat[:3, 3] = to_camera, (0, 0, 0.6)
    above = K[:2, 2] + K[0, 0] * np.array([[-0.05, 0.05], [0.05, 0.05], [0.0, 0.0]]) / 0.6
    share = pictures.above_chin(128, K, viewmat, chin=-0.115, face=above)
    throat = 0.6 - 0.04  # nearer than the neck's middle
    chin_row = K[1, 1] * 0.115 / throat + K[1, 2]
    below = chin_row + K[1, 1] * 0.03 / throat
    middle = share[:, 54:74]
    assert (middle[: int(chin_row)] == 1).all() and (share[int(below) + 1 :] == 0).all()
    assert share[int(chin_row), 3] == 0 and share[30, 3] == 1  # a shoulder, and what is beside the forehead
    raised = int(chin_row - K[1, 1] * 0.03 / throat)
    assert share[raised, 10] == 0  # a shoulder that is higher than the chin
    assert pictures.boxes(motion, faces.K, torso=True)[0, 2] > box[2]
    matte = np.zeros((128, 128))
    matte[40:90, 40:90], matte[5:9, 5:9] = 1, 1
    color = np.where(matte[..., None] > 0, (0.8, 0.6, 0.5), (0.0, 0.2, 0.9))
    rgba = pictures.matted(color, matte)
    assert rgba[60, 60, 3] > 0.99 and rgba[7, 7, 3] < 0.01 and rgba[20, 60, 3] < 0.01
    np.testing.assert_allclose(rgba[60, 60, :3], (0.8, 0.6, 0.5), atol=0.01)


def test_the_chin_of_a_head_that_looks_down_is_kept() -> None:
    """It is before the neck, and therefore lower in the picture than where the neck ends."""
    down = np.radians(35)
    nod = np.array([[1, 0, 0], [0, np.cos(down), -np.sin(down)], [0, np.sin(down), np.cos(down)]])
    viewmat = np.eye(4)
    viewmat[:3, :3], viewmat[:3, 3] = faces.TO_CAMERA @ nod, (0, 0, 0.6)
    head = faces.neutral_face()
    head[[152, 148, 377], 1] = -0.1
    face = head @ viewmat[:3, :3].T + viewmat[:3, 3]
    K = np.array([[200.0, 0, 64], [0, 200, 64], [0, 0, 1]])
    pixels = (face @ K.T)[:, :2] / face[:, 2:]
    chin = pictures.chin_height(head[None])
    share = pictures.above_chin(128, K, viewmat, chin, pixels)
    u, v = np.floor(pixels[152]).astype(int)
    without = pictures.above_chin(128, K, viewmat, chin, np.array([[60.0, 40], [68, 40], [64, 50]]))
    assert without[v, u] < 0.2 and share[v, u] > 0.8
    assert (share[v + 8 :] == 0).all()  # the chest


def test_a_picture_has_room_for_high_and_wide_hair() -> None:
    motion = HeadMotion(faces.TO_CAMERA[None], np.array([[0, 0, 0.6]]), faces.neutral_face())
    pixels = faces.FOCAL / 0.6  # a metre
    usual = pictures.boxes(motion, faces.K, torso=False)[0]
    for above, aside in ((0.22, 0.1), (0.15, 0.2)):
        centre = faces.K[:2, 2]
        head = np.array([[centre[0] - aside * pixels, centre[1] - above * pixels, centre[0] + 0.08 * pixels]])
        hair = pictures.hair_reach(head, motion, faces.K)
        assert hair == pytest.approx((above, aside))
        left, top, edge = pictures.boxes(motion, faces.K, torso=False, hair=hair)[0]
        assert left < head[0, 0] and top < head[0, 1]
        assert top + edge == pytest.approx(usual[1] + usual[2], abs=2) or aside == 0.2  # the neck ends where it did
    unseen = pictures.hair_reach(np.full((1, 3), np.nan), motion, faces.K)
    np.testing.assert_array_equal(pictures.boxes(motion, faces.K, torso=False, hair=unseen)[0], usual)


def test_what_lies_outside_the_video_is_no_head(tmp_path: Path) -> None:
    inside = pictures.in_video(32, np.array((-10, -20, 64)), width=40, height=30)
    assert inside.sum() == 20 * 15 and inside[10:25, 5:25].all()
    seen = faces.video(frames=20)
    moved = seen.landmarks + (5 - seen.landmarks[..., 0].min(), 0, 0)  # an ear leaves the video
    result = track(faces.write_video(tmp_path / "video", seen, landmarks=moved), tmp_path / "capture", SMALL)
    frame = result.frames[int(np.argmin(moved[:, :, 0].mean(1)))]
    left = frame.K[0, 2] - frame.K[0, 0] / faces.FOCAL * faces.WIDTH / 2
    alpha = frame.load_rgba()[..., 3]
    assert left > 5 and not alpha[:, : int(left)].any() and alpha[:, int(left) + 1].max() > 0.9


def test_a_matte_s_edge_follows_the_colour_where_brightness_shows_none() -> None:
    u = np.mgrid[:256, :256][1]
    head = u < 160
    color = np.where(head[..., None], (0.6, 0.1, 0.3), (0.0, 0.4, 0.31))
    np.testing.assert_allclose(*(c @ (0.299, 0.587, 0.114) for c in (color[0, 0], color[0, 255])), atol=0.01)
    coarse = np.clip((163 - u) / 12 + 0.5, 0, 1)  # soft, and three pixels beside
    soft = pictures.matted(color, coarse)[..., 3]
    assert np.abs(soft - head).mean() < 0.4 * np.abs(coarse - head).mean()


def test_what_the_network_half_believes_is_no_head() -> None:
    """On busy backgrounds grey clouds hang on the head's coarse matte."""
    matte = np.zeros((128, 128))
    matte[20:110, 20:70], matte[40:90, 70:110] = 1, 0.25
    rgba = pictures.matted(np.full((128, 128, 3), 0.5), matte)
    assert (rgba[44:86, 78:106, 3] < 0.05).all() and (rgba[30:100, 30:60, 3] > 0.99).all()


def test_colour_from_behind_does_not_shine_through() -> None:
    u = np.mgrid[:256, :256][1]
    matte = np.clip((160 - u) / 5 + 0.5, 0, 1)  # a soft edge, such as hair's
    color = matte[..., None] * (0.7, 0.5, 0.4) + (1 - matte[..., None]) * np.array((0.0, 1.0, 0.0))
    rgba = pictures.matted(color, matte)
    soft = (rgba[..., 3] > 0.3) & (rgba[..., 3] < 0.7)
    assert soft.any()
    before, after = (np.abs(c[soft] - (0.7, 0.5, 0.4)).mean() for c in (color, rgba[..., :3]))
    assert after < 0.65 * before


def test_the_focal_length_is_said_or_photographed_or_guessed(tmp_path: Path) -> None:
    assert intrinsics(None, tmp_path / "a.mp4", 1920, 1080)[0][0, 0] == 2400
    assert intrinsics("26mm", tmp_path, 1920, 1080)[0][0, 0] == pytest.approx(26 / 43.27 * np.hypot(1920, 1080))
    picture, exif = Image.new("RGB", (40, 30)), Image.Exif()
    exif.get_ifd(0x8769)[0xA405] = 50
    picture.save(tmp_path / "0.jpg", exif=exif)
    K, origin = intrinsics(None, tmp_path, 40, 30)
    assert origin == "exif" and K[0, 0] == pytest.approx(50 / 43.27 * 50) and K[0, 2] == 20


def test_the_advice_names_what_was_not_shown() -> None:
    facts = {"frames": {"train": 400, "test": 50, "dropped": {"the face is blurred": 90}, "missing": 60}}
    facts["eyes_apart"] = 120.0
    facts |= {"yaw": [-30.0, 4.0], "pitch": [-12.0, 12.0], "errors": {"stable": 1.0}, "focal_from": "given"}
    zeros = np.zeros(3)
    names = ("eyeBlinkLeft", "mouthPucker", "browInnerUp", "eyeLookInLeft")
    channels = [Channel(name, zeros, 1.0, 0.0, "") for name in names]
    channels.append(Channel("jawOpen", zeros, 0.0, 0.0, "hardly moved"))
    channels.append(Channel("mouthSmileLeft", zeros, 0.0, 0.0, ALWAYS))
    said = advice(facts, channels)
    assert [sentence.partition(":")[0] for sentence in said] == [
        "The last 60 frames of the video cannot be read",
        "90 of 540 frames cannot be used; many frames are blurred",
        "You never turned your head right",
        "Your face was hardly seen at rest",
        "You never opened your mouth wide",
    ]


def test_without_network_or_python_the_tracker_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(environment.VARIABLE)
    monkeypatch.setattr(environment, "user_cache", lambda: tmp_path)
    assert not is_ready()
    with pytest.raises(HeadGaSError, match="nothing may be downloaded"):
        environment.tracker_python(lambda share, text: None, offline=True)
    with monkeypatch.context() as patch:
        patch.setattr(environment, "_candidates", lambda: iter([str(tmp_path / "no-python")]))
        with pytest.raises(HeadGaSError, match=r"a Python from 3\.9 to 3\.12"):
            environment.tracker_python(lambda share, text: None)
    monkeypatch.setattr(environment, "_base_python", lambda: sys.executable)
    steps: list[list[str]] = []
    run = environment._run

    def without_network(command: list[str], what: str, hint: str) -> None:
        steps.append(command)
        if "pip" in command:
            run([sys.executable, "-c", "raise SystemExit('no route to host')"], what, hint)

    with monkeypatch.context() as patch:
        patch.setattr(environment, "_run", without_network)
        with pytest.raises(HeadGaSError, match=r"cannot install mediapipe==0\.10\.21:\nno route") as caught:
            environment.tracker_python(lambda share, text: None)
    assert "Is there a network?" in caught.value.hint and not is_ready()
    assert "venv" in steps[0] and "--only-binary" in steps[1]
    monkeypatch.setenv(environment.VARIABLE, str(tmp_path / "nothing"))
    with pytest.raises(HeadGaSError, match="which is no file"):
        environment.tracker_python(lambda share, text: None)


def test_the_real_tracker_finds_the_face(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Six views of the demo character, moved about."""
    monkeypatch.undo()
    if not is_ready():
        pytest.skip("the tracker's environment is not made: the first `headgas track` downloads about 130 MB")
    with Image.open(ROOT / "docs/images/demo_character.png") as opened:
        views = [opened.convert("RGB").crop((x, y, x + 320, y + 320)) for y in (0, 320) for x in (0, 320, 640)]
    (tmp_path / "video").mkdir()
    for number in range(18):
        moved = views[number // 3].rotate(5 * (number % 3 - 1), Image.Resampling.BICUBIC, fillcolor=(238, 240, 243))
        moved.save(tmp_path / "video" / f"{number}.png")
    command = [sys.executable, "-m", "headgas", "track", str(tmp_path / "video"), "--out", str(tmp_path / "out")]
    finished = subprocess.run([*command, "--offline"], capture_output=True, text=True, check=False, env=os.environ)
    assert finished.returncode == 0, finished.stderr
    assert not check_capture(tmp_path / "out").problems
    frames = load_capture(tmp_path / "out").frames
    assert len(frames) > 14
    yaw = [np.degrees(np.arctan2(-frame.viewmat[2, 0], frame.viewmat[2, 1])) for frame in frames]
    assert max(yaw) - min(yaw) > 15  # it looks to both sides
    assert 0.1 < frames[0].load_rgba()[..., 3].mean() < 0.8


def test_a_face_far_away_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The network that looks at whole pictures finds nothing in this one."""
    monkeypatch.undo()
    if not is_ready():
        pytest.skip("the tracker's environment is not made: the first `headgas track` downloads about 130 MB")
    picture = Image.new("RGB", (1280, 720), (238, 240, 243))
    with Image.open(ROOT / "docs/images/demo_character.png") as opened:
        picture.paste(opened.convert("RGB").crop((0, 0, 320, 320)).resize((200, 200)), (850, 100))
    (tmp_path / "video").mkdir()
    picture.save(tmp_path / "video" / "0.png")
    python = environment.tracker_python(lambda share, text: None, offline=True)
    seen = observing.Tracker(python, tmp_path / "video", 30.0).observe(lambda done, of: None)
    assert seen.found.tolist() == [True]
    nose = seen.landmarks[0, 1, :2]
    assert np.linalg.norm(nose - (960, 210)) < 25
    _, left, top, right = seen.heads[0]
    assert 850 < left < nose[0] - 25 and nose[0] + 25 < right < 1050 and 100 <= top < nose[1] - 40


_ON_ITS_SIDE = """
import struct, sys
from pathlib import Path
import cv2, numpy as np
sys.path.insert(0, sys.argv[1])
import worker
path, picture = sys.argv[2], np.zeros((48, 64, 3), np.uint8)
picture[:, :20] = 255  # is stored at the left
writer = cv2.VideoWriter(path, cv2.VideoWriter_fourcc(*"mp4v"), 30, (64, 48))
for _ in range(3):
    writer.write(picture)
writer.release()
data = bytearray(open(path, "rb").read())
matrix = data.find(b"tkhd") + 44
data[matrix : matrix + 20] = struct.pack(">5i", 0, 1 << 16, 0, -1 << 16, 0)  # a quarter turn clockwise
open(path, "wb").write(data)
source = worker.Source(path, 30)
shown = [picture for _, picture in source]
assert worker.shown_seconds(path) == 0.1
edits = data.find(b"elst") + 12
data[edits : edits + 8] = struct.pack(">Ii", 67, 512)  # milliseconds that are shown, and those before that are not
trimmed = path.replace("film", "trimmed")
open(trimmed, "wb").write(data)
source_of_two = worker.Source(trimmed, 30)
assert source_of_two.count == len(list(source_of_two)) == 2, source_of_two.count
assert len(shown) == source.count == 3 and shown[0].shape == (64, 48, 3), (source.count, shown[0].shape)
assert shown[0][:16].mean() > 200 and shown[0][30:].mean() < 50, "what is stored at the left is not on top"
folder = Path(path).with_name("pictures")
(folder / "2.png").mkdir(parents=True)
cv2.imwrite(str(folder / "1.png"), picture)
(folder / "10.png").touch()
try:
    list(worker.Source(folder, 30))
except worker.Unusable as error:
    assert "10.png: cannot be read as a picture" in str(error), error
else:
    raise AssertionError("an empty file is no picture")
"""


def test_a_phone_s_video_stands_upright_and_what_was_trimmed_is_not_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Phones store their pictures lying on their side, and say so."""
    monkeypatch.undo()
    if not is_ready():
        pytest.skip("the tracker's environment is not made: the first `headgas track` downloads about 130 MB")
    python, folder = environment.tracker_python(lambda share, text: None, offline=True), str(observing._WORKER.parent)
    command = [str(python), "-I", "-c", _ON_ITS_SIDE, folder, str(tmp_path / "film.mp4")]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
