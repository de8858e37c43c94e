# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real training: one Blender starts it and ends; another finds it, tells it what to do, and has its avatar."""

import subprocess
import sys
import time

import bpy
import numpy as np

from tests.blender import ADDON
from tests.blender_headgas.stand_in import render_still

_WAIT = 120.0  # seconds
_FIRST = """
import os
import bpy
bpy.ops.preferences.addon_enable(module={addon!r})
settings = bpy.context.scene.headgas_training
settings.capture, settings.folder = {capture!r}, {folder!r}
settings.length, settings.steps, settings.gaussians, settings.device = 'STEPS', 1_000_000, 400, 'CPU'
bpy.ops.headgas.train_avatar()
os._exit(0)  # as a crash does: nothing is told that Blender ends
"""


def test_a_training_outlives_the_blender_that_started_it(scene, material, tmp_path, real_service):
    from bl_ext.user_default.headgas.core.runs import FILES
    from bl_ext.user_default.headgas.operators import train_watch

    def until(condition) -> bool:
        end = time.monotonic() + _WAIT
        while not condition():
            if time.monotonic() > end:
                return False
            time.sleep(0.05)
            train_watch.look()
        return True

    folder = tmp_path / "run"
    script = _FIRST.format(addon=ADDON, capture=str(material.folder / "capture"), folder=str(folder))
    subprocess.run([sys.executable, "-c", script], check=True, timeout=_WAIT)
    train_watch.look()
    (run,) = train_watch.runs().all()
    assert run.record.path == folder
    try:
        assert until(lambda: run.state != "starting") and run.state == "training", run.reason
        bpy.ops.headgas.control_run(run=run.record.number, wish='PAUSE')
        assert until(lambda: run.state == "paused")
        step = run.status.iteration
        bpy.ops.headgas.control_run(run=run.record.number, wish='RESUME')
        assert until(lambda: run.state == "training" and run.status.iteration > step and run.avatar_changed)
        assert bpy.ops.headgas.import_run(run=run.record.number) == {'FINISHED'}
        live, head = run.avatar_changed, bpy.context.object
        early = render_still(tmp_path / "early.exr")
    finally:
        run.tell("stop")
    assert until(lambda: run.state == "stopped"), run.reason
    assert run.avatar_changed > live and run.status.iteration > step
    assert train_watch.watched_by(run) == [head], "the same avatar, and it has learnt"
    assert early.any() and not np.array_equal(early, render_still(tmp_path / "late.exr"))
    left = {path.name for path in folder.iterdir()}
    assert left == set(FILES) - {"resume.safetensors"}
    bpy.ops.headgas.delete_run('EXEC_DEFAULT', run=run.record.number)
    assert not folder.exists()


def test_a_capture_is_checked_by_the_real_backend(scene, material):
    from bl_ext.user_default.headgas.operators import train, train_watch

    capture = material.folder / "capture"
    bpy.context.scene.headgas_training.capture = str(capture)
    bpy.ops.headgas.check_capture()
    end = time.monotonic() + _WAIT
    while train.is_checking(capture.resolve()) and time.monotonic() < end:
        time.sleep(0.05)
        train_watch.look()
    found = train.check_of(capture.resolve())
    assert found.trainable and ("good", "3 training and 1 test frames of 48×48 pixels") in found.lines

