# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sequences: the next frame is made ahead, what was killed is resumed, and no wrong frame is ever a file."""

import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import bpy
import numpy as np
import pytest
from avatar_files import NAMES, write_avatar
from bl_ext.user_default.headgas import client
from stand_in import read_pixels, render_still

from tests.blender import ADDON

_WAIT = 90.0  # seconds, on a busy machine
_PLACE = tuple(f"f_{frame:04d}.exr" for frame in range(10))


@pytest.fixture
def avatar(scene, service, tmp_path):
    """An avatar whose frames take half a second, which is longer than this scene takes to be evaluated."""
    return _import(tmp_path, "slow")


def _import(folder: Path, name: str) -> bpy.types.Object:
    bpy.ops.headgas.import_avatar(filepath=str(write_avatar(folder / f"{name}.safetensors")))
    control = bpy.context.object
    control.data.shape_keys.key_blocks["jawOpen"].driver_add("value").driver.expression = "frame / 10"
    return control


@contextmanager
def _handled(name: str, function):
    handlers = getattr(bpy.app.handlers, name)
    handlers.append(function)
    try:
        yield
    finally:
        handlers.remove(function)


def _until(condition, seconds: float = _WAIT) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def _jaw(path: Path) -> float:
    """The value of jawOpen that a frame shows, of an avatar whose other channels are at rest."""
    return float(np.median(read_pixels(path)[..., 2])) + 4 * 0.2


def _files(tmp_path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "frames").iterdir())


def test_the_next_frame_is_made_while_this_one_is_written(scene, avatar, service, tmp_path):
    scene.frame_start, scene.frame_end = 1, 3
    asked = []

    def look(*_: object) -> None:
        number = min(len(asked) + 2, 3)
        assert _until(lambda: service.asked(number))
        asked.append(len(service.requests))

    with _handled("render_write", look):
        bpy.ops.render.render(animation=True)
    assert asked == [2, 3, 3]
    assert [request["avatars"][0]["expression"][0] for request in service.requests] == pytest.approx([0.1, 0.2, 0.3])
    assert [_jaw(tmp_path / "frames" / _PLACE[frame]) for frame in (1, 2, 3)] == pytest.approx([0.1, 0.2, 0.3])


def test_a_frame_that_turns_out_otherwise_is_made_again(scene, avatar, service, tmp_path):
    """A handler changes what no animation says: what was made ahead is not what the frame must show."""
    scene.frame_start, scene.frame_end = 1, 3
    smile = avatar.data.shape_keys.key_blocks[NAMES[1]]

    def change(*_: object) -> None:
        smile.value += 0.1

    with _handled("render_write", change):
        bpy.ops.render.render(animation=True)
    shown = [_jaw(tmp_path / "frames" / _PLACE[frame]) for frame in (1, 2, 3)]
    assert shown == pytest.approx([0.1, 0.2 + 2 * 0.1, 0.3 + 2 * 0.2], abs=1e-5)
    assert len(service.requests) == 5


def test_stills_and_scenes_that_take_long_to_evaluate_are_not_made_ahead(scene, service, tmp_path):
    _import(tmp_path, "head")
    scene.frame_start, scene.frame_end = 1, 4
    render_still(tmp_path / "still.exr")
    evaluated = []

    def slow(*_: object) -> None:
        evaluated.append(scene.frame_current)
        time.sleep(0.1)

    with _handled("frame_change_post", slow):
        bpy.ops.render.render(animation=True)
    assert len(service.requests) == 5 and evaluated.count(2) < 4 and evaluated.count(3) == 1


@pytest.mark.parametrize("engine", ['HEADGAS', 'HEADGAS_CYCLES'])
def test_a_backend_that_dies_twice_leaves_whole_frames_only(scene, service, tmp_path, engine):
    _import(tmp_path, "die_at_3")
    scene.render.engine, scene.frame_end = engine, 6
    scene.cycles.samples, scene.cycles.use_denoising = 1, False
    scene.render.use_overwrite, scene.render.use_placeholder = False, True
    with pytest.raises(RuntimeError, match=r"Frame \d: The backend died twice") as error:
        bpy.ops.render.render(animation=True)
    failed = int(str(error.value).split("Frame ")[1][0])
    assert _files(tmp_path) == list(_PLACE[1:failed]) and failed > 1
    shown = [_jaw(tmp_path / "frames" / name) for name in _files(tmp_path)]
    assert shown == pytest.approx([frame / 10 for frame in range(1, failed)], abs=1e-4)


def test_a_backend_that_is_stopped_meanwhile_writes_no_black_frame(scene, service, tmp_path):
    _import(tmp_path, "head")
    service.misbehave("slow start")
    scene.render.filepath = str(tmp_path / "black.exr")
    thread = threading.Timer(0.7, client.stop)
    thread.start()
    with pytest.raises(RuntimeError, match="stopped while it rendered"):
        bpy.ops.render.render(write_still=True)
    thread.join()
    assert not (tmp_path / "black.exr").exists()


_SEQUENCE = """
import bpy
bpy.ops.preferences.addon_enable(module={addon!r})
bpy.ops.wm.open_mainfile(filepath={file!r})
bpy.ops.render.render(animation=True)
"""


def _killed_in_frame(scene, tmp_path, number: int) -> None:
    """Another Blender renders the scene, and is killed while it makes this frame."""
    scene.frame_start, scene.frame_end = 1, 4
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
    script = tmp_path / "sequence.py"
    script.write_text(_SEQUENCE.format(addon=ADDON, file=bpy.data.filepath), "utf-8")
    with (tmp_path / "killed.log").open("wb") as log:
        killed = subprocess.Popen([sys.executable, str(script)], stdout=log, stderr=log)
        try:
            assert _until((tmp_path / "frames" / _PLACE[number]).exists), (tmp_path / "killed.log").read_text("utf-8")
        finally:
            killed.kill()
            killed.wait()


def test_a_sequence_goes_on_after_blender_was_killed(scene, avatar, service, tmp_path):
    scene.render.use_overwrite, scene.render.use_placeholder = False, True
    _killed_in_frame(scene, tmp_path, 2)
    assert _files(tmp_path) == list(_PLACE[1:3]) and (tmp_path / "frames" / _PLACE[2]).stat().st_size == 0
    (tmp_path / "frames" / _PLACE[4]).touch()  # another machine makes it
    first = (tmp_path / "frames" / _PLACE[1]).stat().st_mtime_ns
    bpy.ops.render.render(animation=True)
    assert _files(tmp_path) == list(_PLACE[1:5])
    assert (tmp_path / "frames" / _PLACE[1]).stat().st_mtime_ns == first
    assert (tmp_path / "frames" / _PLACE[4]).stat().st_size == 0
    shown = [_jaw(tmp_path / "frames" / _PLACE[frame]) for frame in (1, 2, 3)]
    assert shown == pytest.approx([0.1, 0.2, 0.3], abs=1e-4)


def test_frames_that_are_missing_or_broken_are_named_and_made_again(scene, service, tmp_path):
    _import(tmp_path, "head")
    scene.frame_start, scene.frame_end = 1, 4
    bpy.ops.render.render(animation=True)
    assert bpy.ops.headgas.check_frames() == {'FINISHED'}
    frames = tmp_path / "frames"
    whole = (frames / _PLACE[3]).read_bytes()
    (frames / _PLACE[1]).unlink()
    (frames / _PLACE[2]).write_bytes(b"")
    with pytest.raises(RuntimeError, match="2 of 4 frames are missing, empty or cut off: 1, 2"):
        bpy.ops.headgas.check_frames()
    with pytest.raises(RuntimeError, match="no list of frames"):
        bpy.ops.headgas.check_frames(frames="x")
    assert bpy.ops.headgas.remove_broken_frames(frames="1-4") == {'FINISHED'}
    assert _files(tmp_path) == list(_PLACE[3:5])
    scene.render.use_overwrite = False
    asked = len(service.requests)
    bpy.ops.render.render(animation=True)
    assert bpy.ops.headgas.check_frames() == {'FINISHED'} and len(service.requests) == asked + 2
    assert (frames / _PLACE[3]).read_bytes() == whole


def test_a_shot_is_checked_before_a_machine_begins(scene, service, tmp_path, capfd):
    with pytest.raises(RuntimeError, match="There is no avatar"):
        bpy.ops.headgas.check_shot()
    control = _import(tmp_path, "head")
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "elsewhere.blend"))
    assert bpy.ops.headgas.check_shot() == {'FINISHED'}
    output = capfd.readouterr().out
    assert "1 avatar rendered by backend 0.1.0 on cpu: the shot is ready" in output and "Not beside" not in output
    far = write_avatar(tmp_path.parent / "far" / "away.safetensors")
    control.headgas.filepath = str(far)
    bpy.ops.headgas.check_shot()
    assert "Not beside the .blend file, so other machines need the same folders: 'away.saf" in capfd.readouterr().out
    far.unlink()
    with pytest.raises(RuntimeError, match="There is no avatar at"):
        bpy.ops.headgas.check_shot()
    control.headgas.filepath = str(write_avatar(tmp_path / "refuse.safetensors"))
    with pytest.raises(RuntimeError, match="This avatar is refused"):
        bpy.ops.headgas.check_shot()
    scene.camera.data.type = 'PANO'
    with pytest.raises(RuntimeError, match="'pano'"):
        bpy.ops.headgas.check_shot()
    scene.render.engine = 'CYCLES'
    with pytest.raises(RuntimeError, match="does not render avatars"):
        bpy.ops.headgas.check_shot()


def test_esc_does_not_wait_for_what_others_asked(scene, service, tmp_path):
    """Another thread holds the backend, and a cancelled frame does: neither keeps who gives up for half a second."""
    from bl_ext.user_default.headgas.client.launch import launch_settings
    from bl_ext.user_default.headgas.core.cameras import Camera

    hanging = client.PosedAvatar(write_avatar(tmp_path / "hang.safetensors"), np.zeros(4, np.float32), np.eye(4))
    backend = client.backend(launch_settings())
    end = threading.Event()

    def render(cancelled) -> None:
        with pytest.raises(client.Cancelled):
            backend.render([hanging], Camera(np.eye(4), np.eye(3), 8, 8, 0.1), 60.0, cancelled)

    def soon():
        started = time.monotonic()
        return lambda: time.monotonic() > started + 0.1

    other = threading.Thread(target=render, args=(end.is_set,))
    other.start()
    assert _until(lambda: service.asked(1))
    started = time.monotonic()
    render(soon())
    assert time.monotonic() - started < 0.5
    end.set()
    other.join()
    started = time.monotonic()
    with pytest.raises(client.Cancelled):
        client.backend(launch_settings(), soon())  # its cancelled frame is still being made
    assert time.monotonic() - started < 0.5


def test_machines_of_a_farm_say_where_to_compute(service, monkeypatch):
    from bl_ext.user_default.headgas.client.launch import launch_settings

    monkeypatch.setenv("HEADGAS_DEVICE", "CPU")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    facts = client.backend(launch_settings()).facts
    assert facts["arguments"][-2:] == ["--device", "cpu"] and facts["visible"] == "3"
    monkeypatch.setenv("HEADGAS_DEVICE", "tpu")
    with pytest.raises(Exception, match="HEADGAS_DEVICE is 'tpu'"):
        launch_settings()
    monkeypatch.setenv("HEADGAS_BACKEND", "somewhere")
    with pytest.raises(Exception, match="HEADGAS_BACKEND is 'somewhere'"):
        launch_settings()
    monkeypatch.setenv("HEADGAS_BACKEND", "127.0.0.1:7007")
    monkeypatch.setenv("HEADGAS_KEY", "ab")
    remote = launch_settings()
    assert (remote.host, remote.port, remote.key) == ("127.0.0.1", 7007, "ab")
