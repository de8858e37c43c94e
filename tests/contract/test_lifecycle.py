# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The real backend's life: killed, refused, ended with Blender; no picture is wrong and nothing stays behind."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import bpy
import pytest

from tests.blender import ADDON
from tests.blender_headgas.stand_in import read_pixels, render_still

_WAIT = 30.0  # seconds
_SIGNALS = [signal.SIGTERM] + ([signal.SIGKILL] if hasattr(signal, "SIGKILL") else [])
_HAS_PROC = Path("/proc/self/environ").exists()


@pytest.fixture
def head(scene, material, real_service):
    """The imported avatar's control mesh."""
    scene.render.resolution_x = scene.render.resolution_y = 48
    bpy.ops.headgas.import_avatar(filepath=material.avatar())
    return bpy.context.object


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True


def _until(condition) -> bool:
    """Whether it becomes true in time."""
    end = time.monotonic() + _WAIT
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def _holders(key: str) -> list[str]:
    """Processes other than ours whose environment holds the service's key, where the system shows them."""
    found = []
    for folder in Path("/proc").glob("[0-9]*") if _HAS_PROC else ():
        try:
            if key.encode() in (folder / "environ").read_bytes():
                found.append(folder.name)
        except OSError:  # it ended meanwhile, or is not ours
            continue
    return found


def _segment(name: str) -> Path:
    return Path("/dev/shm", name.lstrip("/"))


@pytest.mark.parametrize("number", _SIGNALS)
def test_killed_between_frames_the_animation_goes_on(scene, head, real_service, tmp_path, number):
    pids = []

    def kill(*_: object) -> None:
        pids.append(real_service.running().pid)
        if len(pids) == 1:
            os.kill(pids[0], number)
            assert _until(lambda: real_service.running() is None)

    scene.frame_start, scene.frame_end = 1, 3
    bpy.app.handlers.render_write.append(kill)
    try:
        bpy.ops.render.render(animation=True)
    finally:
        bpy.app.handlers.render_write.remove(kill)
    assert len(pids) == 3 and pids[0] != pids[1] == pids[2]
    first, second, third = (read_pixels(tmp_path / "frames" / f"f_{frame:04d}.exr") for frame in (1, 2, 3))
    assert first.max() > 0 and (first == second).all() and (first == third).all()


def _render_and_kill(real_service, numbers: list[int]) -> None:
    """Renders, and kills the backend in the middle, one after another with these signals."""
    killed: list[int] = []
    signals = iter(numbers)

    def kill_next() -> None:
        number = next(signals, None)
        if number is None or not _until(lambda: _other(killed) is not None):
            return
        pid = _other(killed)
        os.kill(pid, signal.SIGSTOP)  # the request is sent and never answered
        killed.append(pid)
        time.sleep(1.0)
        os.kill(pid, number)
        os.kill(pid, signal.SIGCONT)
        kill_next()

    def _other(known: list[int]) -> int | None:
        backend = real_service.running()
        return backend.pid if backend is not None and backend.pid not in known else None

    thread = threading.Thread(target=kill_next)

    def start(*_: object) -> None:  # as late as can be: on a busy machine much lies between a call and its render
        os.kill(real_service.running().pid, signal.SIGSTOP)
        thread.start()

    bpy.app.handlers.render_pre.append(start)
    try:
        bpy.ops.render.render(write_still=True)
    finally:
        bpy.app.handlers.render_pre.remove(start)
        thread.join()


_HELD = pytest.mark.skipif(
    not hasattr(signal, "SIGSTOP"), reason="a process cannot be held in mid-render on this system"
)


@_HELD
@pytest.mark.parametrize(
    ("engine", "number"), [*(('HEADGAS', number) for number in _SIGNALS), ('HEADGAS_CYCLES', _SIGNALS[-1])]
)
def test_killed_in_mid_render_the_frame_is_rendered_again(
    scene, head, real_service, tmp_path, engine, number, capfd
):
    scene.render.engine, scene.cycles.samples, scene.cycles.use_denoising = engine, 1, False
    before = render_still(tmp_path / "before.exr")
    killed = real_service.running().pid
    scene.render.filepath = str(tmp_path / "after.exr")
    _render_and_kill(real_service, [number])
    assert (read_pixels(tmp_path / "after.exr") == before).all()
    assert real_service.running().pid != killed and not _exists(killed)
    assert f"stopped unexpectedly (signal {number.name}). It is started again" in capfd.readouterr().out


@_HELD
def test_killed_twice_the_frame_fails_and_the_next_works(scene, head, real_service, tmp_path):
    before = render_still(tmp_path / "before.exr")
    scene.render.filepath = str(tmp_path / "failed.exr")
    scene.frame_set(7)
    with pytest.raises(RuntimeError) as error:
        _render_and_kill(real_service, [signal.SIGTERM, signal.SIGKILL])
    message = str(error.value)
    assert "Frame 7: The backend died twice" in message and "SIGKILL" in message and "Traceback" not in message
    assert not (tmp_path / "failed.exr").exists()
    assert (render_still(tmp_path / "after.exr") == before).all()


@pytest.mark.parametrize("module", ["backend", "process"])  # our hello, and the backend's first line
def test_versions_that_do_not_fit_are_both_named(scene, head, real_service, tmp_path, monkeypatch, module):
    monkeypatch.setattr(sys.modules[f"{ADDON}.client.{module}"], "PROTOCOL", 99)
    scene.render.filepath = str(tmp_path / "failed.exr")
    with pytest.raises(RuntimeError) as error:
        bpy.ops.render.render(write_still=True)
    message = str(error.value)
    assert "protocol 99" in message and "protocol 2)" in message and message.count("0.1.0") >= 2
    assert "nstall" in message, "the fix"
    assert not (tmp_path / "failed.exr").exists() and real_service.running() is None
    monkeypatch.undo()
    assert render_still(tmp_path / "works.exr").any()


def test_disabling_the_extension_leaves_nothing(scene, head, real_service, tmp_path):
    assert render_still(tmp_path / "still.exr").any()
    backend = real_service.running()
    pid, key, segment = backend.pid, backend._process.key.hex(), backend._pixels._memory.name
    if _HAS_PROC:
        assert str(pid) in _holders(key) and _segment(segment).exists()
    bpy.ops.preferences.addon_disable(module=ADDON)
    try:
        assert not _exists(pid) and not _segment(segment).exists()
        assert _until(lambda: not _holders(key))  # its resource tracker ends a moment after it
    finally:
        bpy.ops.preferences.addon_enable(module=ADDON)


_SESSION = """
import sys
import bpy
bpy.ops.preferences.addon_enable(module={addon!r})
bpy.ops.headgas.import_avatar(filepath={avatar!r})
scene = bpy.context.scene
scene.camera = bpy.data.objects["Camera"]
scene.render.engine, scene.render.resolution_x, scene.render.resolution_y = 'HEADGAS', 32, 32
scene.render.filepath = {image!r}
bpy.ops.render.render(write_still=True)
backend = sys.modules[{addon!r} + ".client"].running()
print("HELD", backend.pid, backend._process.key.hex(), backend._pixels._memory.name, flush=True)
"""


def test_the_end_of_blender_leaves_nothing(material, tmp_path):
    script, image = tmp_path / "session.py", tmp_path / "still.png"
    script.write_text(_SESSION.format(addon=ADDON, avatar=material.avatar(), image=str(image)), "utf-8")
    log = tmp_path / "session.log"
    with log.open("wb") as file:
        session = subprocess.Popen([sys.executable, str(script)], stdout=file, stderr=file)
        try:
            assert _until(lambda: "HELD" in log.read_text("utf-8") or session.poll() is not None)
            pid, key, segment = log.read_text("utf-8").split("HELD ")[1].split()[:3]
            assert _until(lambda: not _exists(int(pid)) and not _holders(key) and not _segment(segment).exists())
        finally:
            try:
                session.wait(10)
            except subprocess.TimeoutExpired:  # the bpy 4.5 module can hang after everything of ours has ended
                session.kill()
                session.wait()
    text = log.read_text("utf-8")
    assert image.stat().st_size > 0
    assert "leaked" not in text and "Traceback" not in text, text
