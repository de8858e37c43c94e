# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""A video of a face becomes a capture, from Blender; the backend is a stand-in."""

import os
import sys
import time
from pathlib import Path

import bpy
import pytest
from bl_ext.user_default.headgas.client import tasks
from bl_ext.user_default.headgas.client.tracking import follow_tracking
from bl_ext.user_default.headgas.core.errors import HeadGaSError
from bl_ext.user_default.headgas.core.tracking import capture_beside, read_tracking
from bl_ext.user_default.headgas.operators.track import TRACK

from tests.blender_headgas.drawn import draw

_FAKE = Path(__file__).with_name("fake_training.py")
_WAIT = 20.0  # seconds


@pytest.fixture
def video(scene, tmp_path, monkeypatch) -> Path:
    """A video that the stand-in tracks at once."""
    program = tmp_path / ("python.bat" if os.name == "nt" else "python")
    command = f'"{sys.executable}" "{_FAKE}"'
    program.write_text(f"@{command} %*\r\n" if os.name == "nt" else f'#!/bin/sh\nexec {command} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("HEADGAS_PYTHON", str(program))
    (tmp_path / "me talking.mp4").write_bytes(b"short")
    yield tmp_path / "me talking.mp4"
    tasks.cancel_all()


def test_a_tracked_video_is_the_next_to_train_on(video, scene):
    settings = scene.headgas_training
    assert bpy.ops.headgas.track_video(filepath=str(video), lens=26, torso=True) == {'FINISHED'}
    folder = video.with_name("me talking capture")
    assert settings.capture == str(folder)
    said = (folder / "tracking.html").read_text()
    assert f"track {video} --out {folder} --size 512 --held-out 0.15 --focal 26mm --torso" in said
    assert said.endswith("--offline") == (not bpy.app.online_access)
    drawn = draw("HEADGAS_PT_training")
    assert "You never turned your head right." in " ".join(drawn.labels)
    assert "headgas.open_tracking_report" in [name for name, _ in drawn.operators]
    assert bpy.ops.headgas.open_tracking_report.poll()
    settings.capture = str(video.parent)
    assert not bpy.ops.headgas.open_tracking_report.poll()


def test_what_is_wrong_with_a_video_is_reported(video, scene):
    video.write_bytes(b"empty")
    with pytest.raises(RuntimeError, match=r"Only 0 of 7 frames can be used\.[\s\S]*Film one face"):
        bpy.ops.headgas.track_video(filepath=str(video))
    assert not scene.headgas_training.capture
    assert "Only 0 of 7 frames" in " ".join(draw("HEADGAS_PT_training").labels)
    with pytest.raises(RuntimeError, match="There is no video"):
        bpy.ops.headgas.track_video(filepath=str(video.with_name("other.mp4")))
    with pytest.raises(RuntimeError, match="Choose one"):
        bpy.ops.headgas.track_video(filepath="")


def test_progress_is_shown_and_tracking_can_be_cancelled(video):
    video.write_bytes(b"long")
    program = os.environ["HEADGAS_PYTHON"]
    command = [program, "-P", "-m", "headgas", "track", str(video), "--out", str(video.with_name("out"))]
    task = tasks.start(TRACK, lambda task: follow_tracking(command, task))
    end = time.monotonic() + _WAIT
    while not task.progress and time.monotonic() < end:
        time.sleep(0.02)
    assert (task.progress, task.stage) == (0.42, "Looking for the face: frame 3 of 7")
    assert not bpy.ops.headgas.track_video.poll()
    assert 0.42 in draw("HEADGAS_PT_training").factors
    assert bpy.ops.headgas.cancel_task(name=TRACK) == {'FINISHED'}
    task.wait(_WAIT)
    assert isinstance(task.error, HeadGaSError) and not video.with_name("out").exists()


def test_captures_get_names_of_their_own(tmp_path):
    video = tmp_path / "clip.mov"
    assert capture_beside(video).name == "clip capture"
    (tmp_path / "clip capture").mkdir()
    assert capture_beside(video).name == "clip capture 2"


@pytest.mark.parametrize("said", ["", "[]", '{"advice": 3}', "{"])
def test_damaged_facts_are_not_shown(tmp_path, said):
    (tmp_path / "tracking.html").touch()
    assert read_tracking(tmp_path) is None
    (tmp_path / "tracking.json").write_text(said)
    assert read_tracking(tmp_path) is None
