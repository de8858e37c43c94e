# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""A farm's machines: the very arguments that Flamenco's worker gives to Blender, two at once."""

import shutil
import subprocess
import sys
from pathlib import Path

import bpy
import pytest
from avatar_files import write_avatar
from stand_in import read_pixels

from tests.farm import NODE, Task, tasks_of

pytestmark = pytest.mark.skipif(NODE is None, reason="Flamenco's job types are JavaScript, and Node.js is not here")
_PROGRAM = [sys.executable, str(Path(__file__).resolve().parents[1] / "blender_program.py")]


@pytest.fixture
def job(scene, service, tmp_path):
    """The tasks of a job of 5 frames, whose files were moved to another folder since they were saved."""
    made, sent = tmp_path / "made", tmp_path / "sent"
    bpy.ops.headgas.import_avatar(filepath=str(write_avatar(made / "assets" / "head.safetensors")))
    keys = bpy.context.object.data.shape_keys
    keys.key_blocks["jawOpen"].driver_add("value").driver.expression = "frame / 10"
    scene.frame_end = 5
    bpy.ops.wm.save_as_mainfile(filepath=str(made / "shot.blend"))
    shutil.move(made, sent)
    settings = {"frames": "1-5", "chunk_size": 3, "format": "OPEN_EXR", "blendfile": str(sent / "shot.blend")}
    return tasks_of(settings | {"render_output_path": str(tmp_path / "out" / "######")}, _PROGRAM)


def _run(tasks: list[Task], folder: Path) -> list[tuple[int, str]]:
    """Runs tasks at the same time: how each ended, and what it said."""
    logs = [(folder / f"{task.name}.log").open("w+", encoding="utf-8") for task in tasks]
    running = [subprocess.Popen(t.command, stdout=f, stderr=f) for t, f in zip(tasks, logs, strict=True)]
    codes = [process.wait(100) for process in running]
    return [(code, Path(file.name).read_text("utf-8")) for code, file in zip(codes, logs, strict=True)]


def test_a_job_rendered_by_two_machines_at_once(job, tmp_path):
    doctor, *chunks, check = job
    assert [task.name for task in job] == ["doctor", "render-1-3", "render-4,5", "check-frames"]
    assert [task.after for task in chunks] == [["doctor"]] * 2 and check.after == ["render-1-3", "render-4,5"]
    ended = _run(chunks, tmp_path)
    assert [code for code, _ in ended] == [0, 0], ended
    assert all("the shot is ready" in said and "Not beside" not in said for _, said in ended)
    frames = sorted((tmp_path / "out").iterdir())
    assert [path.name for path in frames] == [f"{frame:06d}.exr" for frame in range(1, 6)]
    for frame, path in enumerate(frames, 1):
        assert read_pixels(path)[..., 2] == pytest.approx(frame / 10 - 0.8, abs=1e-4)
    frames[3].write_bytes(b"")
    (tmp_path / "sent" / "assets" / "head.safetensors").rename(tmp_path / "gone")
    ended = _run([check, doctor], tmp_path)
    assert [code for code, _ in ended] == [1, 1], ended
    assert "1 of 5 frames are missing, empty or cut off: 4" in ended[0][1]
    assert "There is no avatar at" in ended[1][1]


def test_what_machines_cannot_share_is_refused():
    settings = {"frames": "1-5", "chunk_size": 3, "blendfile": "x.blend", "render_output_path": "/x"}
    with pytest.raises(RuntimeError, match="one video"):
        tasks_of(settings | {"format": "FFMPEG"}, ["blender"])
    with pytest.raises(RuntimeError, match="invalid range"):
        tasks_of(settings | {"format": "PNG", "frames": "all"}, ["blender"])
