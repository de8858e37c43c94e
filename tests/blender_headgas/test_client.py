# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The client against a backend that misbehaves: every failure is a message in time, and nothing is left behind."""

import gc
import os
import subprocess
import sys
import time
import weakref
from pathlib import Path

import bpy
import numpy as np
import pytest
from avatar_files import write_avatar
from bl_ext.user_default.headgas import client
from bl_ext.user_default.headgas.client import discovery, pixels, process
from bl_ext.user_default.headgas.client.waiting import Patience, in_thread, never
from bl_ext.user_default.headgas.core.cameras import Camera
from bl_ext.user_default.headgas.core.errors import HeadGaSError
from bl_ext.user_default.headgas.core.inspection import Inspection

CAMERA = Camera(np.eye(4), np.diag([10.0, 10.0, 1.0]), 8, 6, 0.01)


def _avatar(path: Path) -> client.PosedAvatar:
    return client.PosedAvatar(path, np.zeros(4, np.float32), np.eye(4))


def _gone(pid: int) -> bool:
    """Whether a child of ours no longer exists."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_one_backend_serves_all_and_ends_when_told(service):
    first = client.backend(client.launch_settings())
    assert client.backend(client.launch_settings()) is first
    assert first.facts["rasterizer"] == "fake" and first.call("ping", {}) == {}
    assert first.facts["arguments"][:5] == ["-P", "-m", "headgas", "serve", "--stop-with-stdin"]
    assert client.running() is first
    client.stop()
    assert client.running() is None and _gone(first.pid)
    assert client.backend(client.launch_settings()).pid != first.pid


def test_preferences_reach_the_command_line(service):
    preferences = bpy.context.preferences.addons["bl_ext.user_default.headgas"].preferences
    before = client.backend(client.launch_settings())
    preferences.threads, preferences.device = 3, 'CPU'
    try:
        after = client.backend(client.launch_settings())
        assert after is not before and _gone(before.pid)
        assert after.facts["arguments"][-4:] == ["--threads", "3", "--device", "cpu"]
    finally:
        preferences.threads, preferences.device = 0, 'AUTO'


def test_a_slow_start_is_waited_for(service):
    service.misbehave("slow start")
    assert client.backend(client.launch_settings()).alive


def test_the_user_can_follow_what_the_backend_compiles(service):
    service.misbehave("compiling")
    backend = client.backend(client.launch_settings())
    assert backend.compiling() == "compiling CPU kernels, once per machine: 2 of 2"
    assert backend.compiling() == "" and backend.compiling() == ""


def test_a_backend_that_compiles_nothing_is_not_asked(service):
    backend = client.backend(client.launch_settings())
    assert "compiling" not in backend.facts and backend.compiling() == ""


@pytest.mark.parametrize(
    ("mode", "messages"),
    [
        ("die at start", ["exit status 3", "no torch here", "headgas doctor"]),
        ("garbage", ["Welcome to something else"]),
        ("newer", ["0.1.0", "9.9.0", "protocol 99", "pip install headgas=="]),
        ("newer hello", ["0.1.0", "9.9.0", "Update"]),
        ("wrong key", ["connection to the backend broke"]),
    ],
)
def test_a_bad_start_is_explained_and_leaves_nothing(service, mode, messages):
    service.misbehave(mode)
    with pytest.raises(HeadGaSError) as error:
        client.backend(client.launch_settings())
    for message in messages:
        assert message in str(error.value)
    assert client.running() is None


def test_a_silent_start_ends_at_the_deadline(service, monkeypatch):
    service.misbehave("silent")
    child = process.BackendProcess(client.launch_settings())
    with pytest.raises(HeadGaSError, match="longer than 0.3 seconds"):
        child.wait_for_announcement(deadline=0.3)
    child.kill()
    assert _gone(child.pid)


def test_a_start_can_be_cancelled(service):
    service.misbehave("silent")
    begin = time.monotonic()
    with pytest.raises(client.Cancelled):
        client.backend(client.launch_settings(), lambda: time.monotonic() - begin > 0.2)
    assert time.monotonic() - begin < 10 and client.running() is None


def test_a_render_that_hangs_ends_at_the_deadline_and_the_next_works(service, tmp_path):
    backend = client.backend(client.launch_settings())
    with pytest.raises(HeadGaSError, match="longer than 0.5 seconds"):
        backend.render([_avatar(tmp_path / "hang.safetensors")], CAMERA, 0.5)
    assert _gone(backend.pid)
    again = client.backend(client.launch_settings())
    assert again.render([_avatar(tmp_path / "fine.safetensors")], CAMERA, 10.0).image.shape == (6, 8, 4)


def test_escape_ends_the_wait_at_once_and_the_next_answer_is_the_right_one(service, tmp_path):
    backend = client.backend(client.launch_settings())
    begin = time.monotonic()
    with pytest.raises(client.Cancelled):
        backend.render([_avatar(tmp_path / "slow.safetensors")], CAMERA, 10.0, lambda: True)
    assert time.monotonic() - begin < 0.4
    changed = Camera(CAMERA.viewmat, CAMERA.K, 4, 3, 0.01)
    depth = backend.render([_avatar(tmp_path / "fine.safetensors")], changed, 10.0).depth
    assert (depth == np.arange(4) + 1000 * np.arange(3)[:, None]).all()
    assert client.backend(client.launch_settings()) is backend


def test_a_backend_that_is_stuck_in_cancelled_work_is_replaced(service, tmp_path):
    backend = client.backend(client.launch_settings())
    with pytest.raises(client.Cancelled):
        backend.render([_avatar(tmp_path / "hang.safetensors")], CAMERA, 60.0, lambda: True)
    again = client.backend(client.launch_settings())
    assert again is not backend and _gone(backend.pid) and again.call("ping", {}) == {}


def test_a_python_without_the_backend_is_named(monkeypatch):
    monkeypatch.setenv("HEADGAS_PYTHON", sys.executable)
    with pytest.raises(HeadGaSError, match="has no HeadGaS backend") as error:
        client.backend(client.launch_settings())
    assert sys.executable in error.value.message and "pip install headgas" in error.value.hint


def test_a_killed_backend_is_noticed_and_replaced(service):
    backend = client.backend(client.launch_settings())
    os.kill(backend.pid, 9)
    with pytest.raises(HeadGaSError, match="SIGKILL"):
        backend.call("ping", {})
    assert client.backend(client.launch_settings()).call("ping", {}) == {}


@pytest.mark.parametrize("shared", [True, False])
def test_it_is_said_which_pixels_are_whose(service, tmp_path, monkeypatch, shared):
    backend = client.backend(client.launch_settings())
    if not shared:
        monkeypatch.setattr(pixels, "_allocated", lambda size: None)
    avatars = [_avatar(tmp_path / name) for name in "abc"]
    plain = backend.render(avatars, CAMERA, 10.0)
    assert plain.coverage is None and plain.legend == "" and service.requests[-1]["inspect"] is None
    told = backend.render(avatars, CAMERA, 10.0, inspection=Inspection("count", scale=0.5), coverage=True)
    assert service.requests[-1]["inspect"] == {"mode": "count", "parameter": "", "fraction": 1.0, "scale": 0.5}
    assert (service.requests[-1]["pixels"] is not None) == shared and told.legend == "count"
    assert (told.image == plain.image).all() and (told.depth == plain.depth).all()
    assert (told.coverage == (np.arange(8) % 3 == np.arange(3)[:, None, None]).repeat(6, 1)).all()


def _asked(path: Path, notices: list[str]) -> np.ndarray:
    """The depth of a frame that may be asked for twice."""

    def request(backend: client.Backend) -> np.ndarray:
        return backend.render([_avatar(path)], CAMERA, 10.0)[1]

    return client.ask(client.launch_settings(), request, notify=notices.append)


def test_a_backend_that_dies_is_asked_again_once(service, tmp_path):
    notices = []
    first = client.backend(client.launch_settings())
    _asked(tmp_path / "fine.safetensors", notices)
    assert _asked(tmp_path / "die_at_2.safetensors", notices).shape == (6, 8)
    assert notices == ["The backend stopped unexpectedly (exit status 7). It is started again"]
    assert client.running() is not first and _gone(first.pid)
    with pytest.raises(client.BackendDied, match="died twice") as error:
        _asked(tmp_path / "die_at_2.safetensors", notices)
    assert "about to die" in error.value.message and len(notices) == 1
    assert _asked(tmp_path / "fine.safetensors", notices).shape == (6, 8)


def test_a_request_that_kills_every_backend_is_given_up(service, tmp_path):
    notices = []
    with pytest.raises(client.BackendDied, match="died twice"):
        _asked(tmp_path / "die_at_1.safetensors", notices)
    assert len(notices) == 1 and len(service.requests) == 2


def test_deaths_far_apart_are_each_repaired(service, tmp_path, monkeypatch):
    registry = sys.modules[client.ask.__module__]
    monkeypatch.setattr(registry, "_SOON", 0.0)
    notices = []
    for _ in range(3):
        client.backend(client.launch_settings())
        os.kill(client.running().pid, 9)
        while client.running():
            time.sleep(0.01)
        assert _asked(tmp_path / "fine.safetensors", notices).shape == (6, 8)
    assert notices == ["The backend stopped unexpectedly (signal SIGKILL). It is started again"] * 3


def test_what_was_ended_on_purpose_has_not_died(service, tmp_path):
    notices = []
    for _ in range(2):
        backend = client.backend(client.launch_settings())
        with pytest.raises(HeadGaSError, match="longer than"):
            backend.render([_avatar(tmp_path / "hang.safetensors")], CAMERA, 0.2)
        _asked(tmp_path / "fine.safetensors", notices)
    assert not notices


def test_stopping_ends_a_start_in_another_thread(service):
    service.misbehave("silent")
    started = client.tasks.start("test", lambda _: client.backend(client.launch_settings()))
    time.sleep(0.3)
    begin = time.monotonic()
    client.stop()
    started.wait(10)
    with pytest.raises(HeadGaSError, match="Cancelled"):
        started.outcome()
    assert time.monotonic() - begin < 10 and client.running() is None
    service.misbehave("")
    assert client.backend(client.launch_settings()).alive


def test_the_log_of_the_one_that_died_is_kept(service, tmp_path):
    with pytest.raises(HeadGaSError):
        _asked(tmp_path / "die_at_1.safetensors", [])
    log = client.launch_settings().log.read_text("utf-8")
    assert log.count("about to die") >= 2


def test_shared_memory_grows_and_goes(service, tmp_path):
    backend = client.backend(client.launch_settings())
    names = []
    for size in (8, 16, 4):
        camera = Camera(np.eye(4), np.diag([9.0, 9.0, 1.0]), size, size, 0.01)
        backend.render([_avatar(tmp_path / "a")], camera, 9)
        names.append(service.requests[-1]["pixels"])
    assert names[0] != names[1] == names[2]
    if Path("/dev/shm").is_dir():
        assert not Path("/dev/shm", names[0].lstrip("/")).exists() and Path("/dev/shm", names[1].lstrip("/")).exists()
        client.stop()
        assert not Path("/dev/shm", names[1].lstrip("/")).exists()


def test_test_and_stop_operators(service):
    assert not bpy.ops.headgas.stop_backend.poll()
    assert bpy.ops.headgas.test_backend() == {'FINISHED'}
    before = client.running().pid
    assert bpy.ops.headgas.restart_backend() == {'FINISHED'} and client.running().pid != before and _gone(before)
    assert bpy.ops.headgas.stop_backend() == {'FINISHED'} and client.running() is None
    service.misbehave("die at start")
    with pytest.raises(RuntimeError, match="no torch here"):
        bpy.ops.headgas.test_backend()


def test_blender_s_python_variables_do_not_leak():
    environment = {"PYTHONPATH": "x", "PythonHome": "y", "PATH": "z", "VIRTUAL_ENV": "v"}
    assert discovery.clean_environment(environment) == {"PATH": "z"}


_SESSION = """
import os, sys
import bpy
bpy.ops.preferences.addon_enable(module="bl_ext.user_default.headgas")
bpy.ops.headgas.import_avatar(filepath={avatar!r})
scene = bpy.context.scene
scene.camera = bpy.data.objects["Camera"]
scene.render.engine, scene.render.resolution_x, scene.render.resolution_y = 'HEADGAS', 8, 8
scene.render.filepath = {image!r}
bpy.ops.render.render(write_still=True)
from bl_ext.user_default.headgas import client
print("PID", client.running().pid, flush=True)
"""


_WITHOUT_A_WINDOW = """
from bl_ext.user_default.headgas import engine
from types import SimpleNamespace
import sys
engine.failures.bpy = SimpleNamespace(app=SimpleNamespace(background=True, module=False, binary_path="blender"))
bpy.context.object.headgas.filepath = "/nowhere"
try:
    bpy.ops.render.render(write_still=True)
except RuntimeError as error:
    print("AS EXPECTED", error)
"""


def _run_session(folder: Path, end: str) -> tuple[int | None, str]:
    """Runs a Blender of its own that renders a frame and then `end`. Returns its exit status and what it printed."""
    avatar, image = str(write_avatar(folder / "a.safetensors")), str(folder / "still.png")
    script, log = folder / "session.py", folder / "session.log"
    script.write_text(_SESSION.format(avatar=avatar, image=image) + end)
    with log.open("wb") as file:
        session = subprocess.Popen([sys.executable, str(script)], stdout=file, stderr=file)
        try:
            status = session.wait(40)
        except subprocess.TimeoutExpired:  # the bpy 4.5 module can hang after everything of ours has ended
            status = None
            session.kill()
            session.wait()
    return status, log.read_text()


@pytest.mark.parametrize("end", ["sys.exit()", "os.kill(os.getpid(), 9)", _WITHOUT_A_WINDOW])
def test_nothing_outlives_blender(service, tmp_path, end):
    status, text = _run_session(tmp_path, end)
    pid = int(text.split("PID ")[1].split()[0])
    limit = time.monotonic() + 5
    memory = Path("/dev/shm", service.requests[-1]["pixels"].lstrip("/"))
    while not (_gone(pid) and not memory.exists()) and time.monotonic() < limit:
        time.sleep(0.05)
    assert _gone(pid) and not memory.exists(), text
    assert (tmp_path / "still.png").exists()
    if end != "os.kill(os.getpid(), 9)":
        assert "leaked" not in text and "Traceback" not in text, text
    if end == _WITHOUT_A_WINDOW:
        assert "AS EXPECTED" in text and status == 1, text


def test_an_error_does_not_hold_whoever_waited():
    """A render engine that is freed after Blender has freed its own part cannot end Cycles' session any more."""

    class Waiter:
        pass

    def wait(waiter: Waiter) -> None:
        in_thread(lambda: int("x"), Patience("nothing", 9.0, never, lambda: None))

    waiter = Waiter()
    held = weakref.ref(waiter)
    gc.collect()
    gc.disable()
    try:
        with pytest.raises(ValueError):
            wait(waiter)
        del waiter
        assert held() is None
    finally:
        gc.enable()
