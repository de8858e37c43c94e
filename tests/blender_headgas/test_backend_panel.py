# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the preferences and the sidebar show of the backend, and of what is done to it."""

import sys
import threading
from types import SimpleNamespace

import bpy
import pytest
from bl_ext.user_default.headgas import client
from bl_ext.user_default.headgas.core.errors import HeadGaSError
from drawn import Layout, draw

PANEL = "HEADGAS_PT_backend"


@pytest.fixture(autouse=True)
def clean(service):
    """The stand-in, and no task of another test."""
    client.tasks.cancel_all()
    yield
    client.tasks.cancel_all()


def _preferences() -> Layout:
    """What the preferences draw."""
    preferences = bpy.context.preferences.addons["bl_ext.user_default.headgas"].preferences
    layout = Layout(bpy.context)
    names = [name for name in preferences.bl_rna.properties.keys() if name != "rna_type"]
    values = {name: getattr(preferences, name) for name in names}
    shown = SimpleNamespace(layout=layout, bl_rna=preferences.bl_rna, **values)
    sys.modules[type(preferences).__module__].HeadGaSPreferences.draw(
        shown, SimpleNamespace(region=SimpleNamespace(width=600))
    )
    return layout


def test_a_start_in_another_thread_is_shown(monkeypatch):
    begun, finish = threading.Event(), threading.Event()

    def slow(*_arguments):
        begun.set()
        finish.wait(10)
        raise HeadGaSError("enough")

    def start():
        with pytest.raises(HeadGaSError, match="enough"):
            client.backend(client.launch_settings())

    monkeypatch.setattr(sys.modules[client.backend.__module__], "Backend", slow)
    thread = threading.Thread(target=start)
    thread.start()
    assert begun.wait(10) and "The backend is starting" in draw(PANEL).labels
    finish.set()
    thread.join()
    assert any("does not run" in label for label in draw(PANEL).labels)


def test_versions_device_and_memory_are_shown(monkeypatch):
    assert any("does not run" in label for label in draw(PANEL).labels)
    backend = client.backend(client.launch_settings())
    backend.memory = {"process": 512_000_000, "device": 1_500_000_000}
    labels = draw(PANEL).labels
    assert labels == [
        "Backend 0.1.0, extension 0.1.0",
        "torch none, Python 3",
        "Device: cpu (fake), 1 threads",
        "Memory in use: 512 MB, 1500 MB on the GPU",
    ]
    operators = [name.removeprefix("headgas.") for name, _ in draw(PANEL).operators]
    assert operators == ["test_backend", "restart_backend", "stop_backend", "open_backend_log"]


def test_what_keeps_the_gpu_from_being_used_stays_on_show(service):
    service.misbehave("notice")
    client.backend(client.launch_settings())
    assert "The GPU cannot be used" in draw(PANEL).labels


def test_a_task_shows_its_stage_its_log_and_a_way_out():
    finish = threading.Event()

    def work(task: client.tasks.Task) -> str:
        task.stage, task.progress = "Installing torch: 96 of 192 MB", 0.25
        task.lines.extend(["Collecting torch", "Downloading torch"])
        finish.wait(10)
        return "The backend was installed"

    task = client.tasks.start("install", work)
    while not task.lines:
        pass
    shown = _preferences()
    assert shown.factors == [0.25]
    assert "Installing torch: 96 of 192 MB" in shown.labels and "Downloading torch" in shown.labels
    assert ("headgas.cancel_task", {"name": "install"}) in shown.operators
    with pytest.raises(HeadGaSError, match="already at it: Installing torch"):
        client.tasks.start("install", work)
    assert bpy.ops.headgas.cancel_task(name="install") == {'FINISHED'} and task.cancelled
    finish.set()
    task.wait(5)
    assert "The backend was installed" in _preferences().labels
    assert bpy.ops.headgas.cancel_task(name="install") == {'CANCELLED'}


def test_a_failed_test_stays_on_show_with_the_end_of_the_log(service):
    service.misbehave("die at start")
    with pytest.raises(RuntimeError, match="no torch here"):
        bpy.ops.headgas.test_backend()
    assert any("no torch here" in label for label in draw(PANEL).labels)
    service.misbehave("")
    assert bpy.ops.headgas.test_backend() == {'FINISHED'}
    assert not any("no torch here" in label for label in draw(PANEL).labels)


def test_the_preferences_show_what_fits_the_choice_of_machine():
    preferences = bpy.context.preferences.addons["bl_ext.user_default.headgas"].preferences
    names = {name for _, name in _preferences().properties}
    assert {"backend_python", "install_source", "device"} <= names and "remote_key" not in names
    preferences.use_remote = True
    try:
        names = {name for _, name in _preferences().properties}
        assert {"remote_host", "remote_port", "remote_key", "remote_pixels"} <= names and "device" not in names
    finally:
        preferences.use_remote = False
    assert preferences.bl_rna.properties["remote_key"].subtype == 'PASSWORD'


def test_the_log_can_be_opened_once_there_is_one(monkeypatch):
    opened = []
    service = sys.modules["bl_ext.user_default.headgas.operators.service"]
    window = SimpleNamespace(path_open=_note(opened))
    monkeypatch.setattr(service, "bpy", SimpleNamespace(ops=SimpleNamespace(wm=window)))
    client.backend(client.launch_settings())
    assert bpy.ops.headgas.open_backend_log.poll()
    assert bpy.ops.headgas.open_backend_log() == {'FINISHED'}
    assert opened == [str(client.launch_settings().log)]


def _note(opened: list[str]):
    def path_open(filepath: str) -> set[str]:
        opened.append(filepath)
        return {'FINISHED'}

    return path_open
