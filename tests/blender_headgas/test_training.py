# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Training from Blender: the checklist, a run's life, its panel; the backend is a stand-in."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import bpy
import pytest
from bl_ext.user_default.headgas.client import training
from bl_ext.user_default.headgas.client.births import birth_of
from bl_ext.user_default.headgas.core.runs import RunRecord, read_records, write_records
from bl_ext.user_default.headgas.operators import train_watch
from bl_ext.user_default.headgas.panels import pictures

from tests.blender_headgas.avatar_files import write_avatar
from tests.blender_headgas.drawn import Layout, draw

_FAKE = Path(__file__).with_name("fake_training.py")
_WAIT = 20.0  # seconds


@pytest.fixture
def settings(scene, tmp_path, monkeypatch):
    """The scene's training settings, with a capture, and a list of runs of this test's own."""
    program = tmp_path / ("python.bat" if os.name == "nt" else "python")
    command = f'"{sys.executable}" "{_FAKE}"'
    program.write_text(f"@{command} %*\r\n" if os.name == "nt" else f'#!/bin/sh\nexec {command} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("HEADGAS_PYTHON", str(program))
    monkeypatch.setattr(train_watch, "user_folder", lambda: tmp_path)
    monkeypatch.setattr(train_watch, "_runs", None)
    monkeypatch.setattr(training, "_PULSE_EVERY", 0.1)
    (tmp_path / "capture").mkdir()
    scene.headgas_training.capture = str(tmp_path / "capture")
    yield scene.headgas_training
    pictures.close()
    for run in train_watch.runs().all():
        if not run.ended:
            (run.record.path / "die").touch()


def until(condition) -> bool:
    """Whether it becomes true in time, while Blender looks at its runs."""
    end = time.monotonic() + _WAIT
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
        train_watch.look()
    return True


def newest():
    return train_watch.runs().all()[0]


def started(settings):
    """A run that trains."""
    assert bpy.ops.headgas.train_avatar() == {'FINISHED'}
    run = newest()
    assert until(lambda: run.state == "training")
    return run


def control(run, wish: str) -> None:
    bpy.ops.headgas.control_run(run=run.record.number, wish=wish)


def test_the_settings_become_the_command_line(settings, tmp_path):
    settings.preset, settings.length, settings.steps, settings.gaussians = 'headgas', 'STEPS', 70, 900
    run = started(settings)
    folder = tmp_path / "capture headgas 1"
    assert run.record.path == folder
    words = " ".join(run.record.arguments)
    for option in (f"--out {folder}", "--preset headgas", "--iterations 70", "--gaussians 900", "--live 20s", "auto"):
        assert option in words
    control(run, 'STOP')


def test_a_run_is_paused_resumed_and_stopped(settings):
    run = started(settings)
    control(run, 'PAUSE')
    assert until(lambda: run.state == "paused")
    step = run.status.iteration
    time.sleep(0.2)
    train_watch.look()
    assert run.status.iteration == step
    control(run, 'RESUME')
    assert until(lambda: run.state == "training" and run.status.iteration > step)
    control(run, 'STOP')
    assert until(lambda: run.state == "stopped")
    with pytest.raises(RuntimeError, match="does not train any more"):
        control(run, 'STOP')


def test_a_run_can_be_stopped_as_soon_as_it_speaks(settings, tmp_path):
    """Reading a large capture and compiling kernels may take a minute."""
    birth = str(birth_of(os.getpid()))
    record = RunRecord(1, str(tmp_path / "run"), "c", "modes", (), os.getpid(), birth, False, False)
    (tmp_path / "run").mkdir()
    write_records(tmp_path / "runs.json", [record])
    train_watch.look()
    assert newest().state == "starting" and "Stop and Keep" not in draw("HEADGAS_PT_runs").texts
    (tmp_path / "run/status.json").write_text(json.dumps({"state": "starting", "pid": os.getpid()}))
    train_watch.look()
    assert newest().state == "starting" and "Stop and Keep" in draw("HEADGAS_PT_runs").texts
    control(newest(), 'STOP')
    assert json.loads((tmp_path / "run/control.json").read_text()) == {"wish": "stop"}
    (tmp_path / "run/status.json").write_text(json.dumps({"state": "stopped", "pid": os.getpid()}))
    assert until(lambda: newest().ended)


def test_a_dead_run_shows_its_log_and_goes_on(settings):
    run = started(settings)
    (run.record.path / "die").touch()
    assert until(lambda: run.state == "failed")
    assert "nothing left on the disk" in run.reason and run.resumable
    assert any("nothing left on the disk" in label for label in draw("HEADGAS_PT_runs").labels)
    (run.record.path / "die").unlink()
    control(run, 'RESUME')
    again = newest()
    assert again.record.number == run.record.number and again is not run
    assert until(lambda: again.state == "training" and again.status.iteration > 100)


def test_runs_are_found_again(settings):
    number = started(settings).record.number
    train_watch.unregister_watch()
    train_watch.register_watch()
    run = train_watch.runs().get(number)
    assert until(lambda: run.state == "training" and len(run.curve.psnr) > 1)


def test_another_process_of_the_same_number_is_not_the_run(settings, tmp_path):
    """Ours has the number; only its birth says that it is not the training."""
    record = RunRecord(1, str(tmp_path / "run"), "c", "modes", (), os.getpid(), "long ago", False, False)
    (tmp_path / "run").mkdir()
    (tmp_path / "run/status.json").write_text(json.dumps({"state": "training", "pid": os.getpid()}))
    write_records(tmp_path / "runs.json", [record])
    assert until(lambda: newest().state == "failed")
    write_records(tmp_path / "runs.json", [RunRecord(**vars(record) | {"birth": birth_of(os.getpid())})])
    for _ in range(3):
        train_watch.look()
    assert newest().state == "training"


def test_an_ended_process_has_no_birth():
    child = subprocess.Popen([sys.executable, "-c", ""])
    assert birth_of(os.getpid()) == birth_of(os.getpid())
    end = time.monotonic() + _WAIT
    while birth_of(child.pid) and time.monotonic() < end:
        time.sleep(0.01)
    assert birth_of(child.pid) is None, "not even before it is reaped"
    child.wait()
    assert birth_of(0) is None


def test_the_result_is_watched_imported_and_imported_once(settings):
    settings.imports = True
    run = started(settings)
    write_avatar(run.avatar)
    assert until(lambda: run.avatar_changed)
    assert "Watch in the 3D View" in draw("HEADGAS_PT_runs").texts
    assert bpy.ops.headgas.import_run(run=run.record.number) == {'FINISHED'}
    assert [obj.name for obj in train_watch.watched_by(run)] == ["capture modes 1 control"]
    control(run, 'STOP')
    assert until(lambda: run.record.closed)
    assert len(train_watch.watched_by(run)) == 1, "it was there already"


def test_the_avatar_is_imported_when_training_ends(settings):
    settings.imports = True
    run = started(settings)
    write_avatar(run.avatar)
    (run.record.path / "finish").touch()
    assert until(lambda: run.record.closed)
    assert run.state == "finished" and len(train_watch.watched_by(run)) == 1
    assert read_records(run.record.path.parent / "runs.json")[0].closed


def test_an_avatar_that_cannot_be_imported_is_said(settings):
    settings.imports = True
    run = started(settings)
    run.avatar.write_bytes(b"half of it")
    (run.record.path / "finish").touch()
    assert until(lambda: run.record.closed)
    text = " ".join(draw("HEADGAS_PT_runs").labels)
    assert "could not be imported" in text and "Traceback" not in text


def test_nothing_is_imported_without_being_asked(settings):
    run = started(settings)
    write_avatar(run.avatar)
    (run.record.path / "finish").touch()
    assert until(lambda: run.record.closed) and not train_watch.watched_by(run)


def test_the_checklist_is_shown(settings, tmp_path):
    bpy.data.images.new("frame", 8, 8).save(filepath=str(tmp_path / "capture/0.png"))
    assert bpy.ops.headgas.check_capture() == {'FINISHED'}
    assert "Checking the capture…" in draw("HEADGAS_PT_training").labels
    assert until(lambda: "Checking the capture…" not in draw("HEADGAS_PT_training").labels)
    text = " ".join(draw("HEADGAS_PT_training").labels)
    assert [Path(name).name for name in pictures._collection()] == ["0.png"]
    assert "30 training and 6 test frames of 32×32 pixels" in text and "tongueOut" in text
    (tmp_path / "capture/broken").touch()
    bpy.ops.headgas.check_capture()
    assert until(lambda: "frame 3 has no matte." in " ".join(draw("HEADGAS_PT_training").labels))
    assert not bpy.ops.headgas.train_avatar.poll(), "it would stumble over the frame"
    (tmp_path / "capture/broken").unlink()
    (tmp_path / "capture/crash").touch()
    bpy.ops.headgas.check_capture()
    assert until(lambda: "out of memory" in " ".join(draw("HEADGAS_PT_training").labels))


def test_the_panel_shows_a_run(settings):
    run = started(settings)
    assert until(lambda: len(run.curve.psnr) > 2)
    bpy.data.images.new("face", 8, 8).save(filepath=str(run.record.path / "thumbnail.png"))
    drawn = draw("HEADGAS_PT_runs")
    assert any("50.0 it/s" in label for label in drawn.labels) and any("1:01 left" in label for label in drawn.labels)
    thumbnail, curve = str(run.record.path / "thumbnail.png"), str(run.record.path)
    shown = pictures._collection()
    assert thumbnail in shown and any(shown[curve].image_pixels_float) and len(drawn.factors) == 1
    wishes = [options.get("wish") for name, options in drawn.operators if name == "headgas.control_run"]
    assert wishes == ['PAUSE', 'STOP']
    layout = Layout(bpy.context)
    header = type("Header", (), {"layout": layout})()
    train_watch._draw_status(header, bpy.context)
    assert len(layout.factors) == 1 and "capture modes 1" in layout.labels[-1]


def test_a_look_costs_less_than_a_millisecond(settings):
    run = started(settings)
    costs = []
    for _ in range(40):
        time.sleep(0.01)
        begun = time.thread_time()
        train_watch.look()
        costs.append(time.thread_time() - begun)
    assert run.state == "training"
    assert sorted(costs)[len(costs) // 2] < 1e-3


def test_forgetting_leaves_the_folder_and_deleting_only_what_others_put_there(settings):
    first = started(settings)
    with pytest.raises(RuntimeError, match="still trains"):
        bpy.ops.headgas.forget_run(run=first.record.number)
    control(first, 'STOP')
    second = started(settings)
    control(second, 'STOP')
    assert until(lambda: first.ended and second.ended)
    assert first.record.path != second.record.path
    bpy.ops.headgas.forget_run(run=first.record.number)
    assert (first.record.path / "status.json").is_file()
    (second.record.path / "notes.txt").write_text("mine")
    bpy.ops.headgas.delete_run('EXEC_DEFAULT', run=second.record.number)
    assert [path.name for path in second.record.path.iterdir()] == ["notes.txt"]
    assert not train_watch.runs().all() and not bpy.types.HEADGAS_PT_runs.poll(bpy.context)


def test_two_runs_are_compared_and_the_sheet_is_opened(settings):
    first, second = started(settings), started(settings)
    number, other = first.record.number, str(second.record.number)
    write_avatar(first.avatar)
    assert until(lambda: first.avatar_changed)
    assert "headgas.compare_runs" not in dict(draw("HEADGAS_PT_runs").operators), "its menu would be empty"
    with pytest.raises(TypeError, match="not found"):  # it has no avatar that could be chosen
        bpy.ops.headgas.compare_runs(run=number, other=other)
    write_avatar(second.avatar)
    assert until(lambda: "headgas.compare_runs" in dict(draw("HEADGAS_PT_runs").operators))
    for run in (first, second):
        control(run, 'STOP')
    assert until(lambda: first.ended and second.ended)
    assert bpy.ops.headgas.compare_runs(run=number, other=other) == {'FINISHED'}
    assert f"Comparing with '{second.record.name}'" in " ".join(draw("HEADGAS_PT_runs").labels)
    assert until(lambda: "comparison.png" in bpy.data.images)
    assert tuple(bpy.data.images["comparison.png"].size) == (1, 1)
    (Path(first.record.capture) / "crash").touch()
    bpy.ops.headgas.compare_runs(run=number, other=other)
    assert until(lambda: "out of memory" in " ".join(draw("HEADGAS_PT_runs").labels))


def test_what_cannot_be_trained_is_said(settings, tmp_path, monkeypatch):
    settings.folder = str(tmp_path)
    with pytest.raises(RuntimeError, match="is not empty"):
        bpy.ops.headgas.train_avatar()
    settings.folder, settings.capture = "", str(tmp_path / "nowhere")
    with pytest.raises(RuntimeError, match="There is no folder"):
        bpy.ops.headgas.train_avatar()
    settings.capture = str(tmp_path / "capture")
    monkeypatch.setenv("HEADGAS_PYTHON", str(tmp_path / "gone"))
    with pytest.raises(RuntimeError, match="does not exist"):
        bpy.ops.headgas.train_avatar()
    assert not train_watch.runs().all()


def test_a_damaged_list_is_said_in_the_panel(settings, tmp_path):
    (tmp_path / "runs.json").write_text("{")
    assert "no list of training runs" in " ".join(draw("HEADGAS_PT_runs").labels)
    assert train_watch._tick() > 0
    (tmp_path / "runs.json").unlink()
