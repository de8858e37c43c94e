# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The real backend as if on another machine: pixels over the connection, avatars sent to it, a key."""

import os
import secrets
import socket
import subprocess
import time
from pathlib import Path

import bpy
import numpy as np
import pytest

from tests.blender import ADDON
from tests.blender_headgas.stand_in import read_pixels, render_still

_KEY = secrets.token_hex(16)


class Remote:
    """A service that Blender did not start."""

    def __init__(self, cache: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.cache = cache
        self.start()

    def start(self) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        environment |= {"HEADGAS_KEY": _KEY, "XDG_CACHE_HOME": str(self.cache), "LOCALAPPDATA": str(self.cache)}
        environment.setdefault("NUMBA_CACHE_DIR", str(Path.home() / ".cache" / "headgas"))  # the kernels, as ever
        command = [os.environ["HEADGAS_PYTHON"], "-m", "headgas", "serve", "--port", str(self.port), "--device", "cpu"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment)
        assert self.process.stdout and self.process.stdout.readline()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    @property
    def uploads(self) -> list[Path]:
        return list(self.cache.glob("**/avatars/*.safetensors"))


@pytest.fixture(scope="module")
def service(material, tmp_path_factory: pytest.TempPathFactory):
    remote = Remote(tmp_path_factory.mktemp("other-machine"))
    yield remote
    remote.kill()


@pytest.fixture
def preferences(service, real_service):
    """The preferences, set to that service; back to a backend of Blender's own after the test."""
    preferences = bpy.context.preferences.addons[ADDON].preferences
    _choose(preferences, service.port)
    yield preferences
    real_service.stop()
    bpy.context.preferences.addons[ADDON].preferences.use_remote = False


def _choose(preferences, port: int) -> None:
    preferences.use_remote, preferences.remote_host = True, "127.0.0.1"
    preferences.remote_port, preferences.remote_key, preferences.remote_pixels = port, _KEY, 'LOSSLESS'


@pytest.fixture
def head(scene, material, service, preferences):
    scene.render.resolution_x = scene.render.resolution_y = 48
    bpy.ops.headgas.import_avatar(filepath=material.avatar())
    _choose(bpy.context.preferences.addons[ADDON].preferences, service.port)  # a new file has new preferences
    return bpy.context.object


def _settings():
    return bpy.context.preferences.addons[ADDON].preferences


def test_the_picture_is_the_same_as_of_a_backend_here(scene, head, material, service, real_service, tmp_path):
    _settings().use_remote = False
    local = render_still(tmp_path / "local.exr")
    assert local.max() > 0 and not service.uploads and real_service.running().pid
    _settings().use_remote = True
    exact = {}
    for encoding in ('LOSSLESS', 'RAW', 'HALF'):
        _settings().remote_pixels = encoding
        exact[encoding] = render_still(tmp_path / f"{encoding}.exr")
        assert real_service.running().pid == 0
    assert (exact['LOSSLESS'] == local).all() and (exact['RAW'] == local).all()
    assert 0 < np.abs(exact['HALF'] - local).max() <= local.max() * 2.0**-11
    (upload,) = service.uploads
    assert upload.read_bytes() == Path(material.avatar()).read_bytes()


def test_a_farm_s_machines_are_told_of_it_by_the_environment(scene, head, service, real_service, tmp_path, monkeypatch):
    _settings().use_remote = False
    monkeypatch.setenv("HEADGAS_BACKEND", f"127.0.0.1:{service.port}")
    monkeypatch.setenv("HEADGAS_KEY", _KEY)
    assert render_still(tmp_path / "still.exr").any() and real_service.running().pid == 0


def test_a_changed_avatar_is_sent_again(scene, head, material, service, tmp_path):
    path = tmp_path / "mine.safetensors"
    for name in "ab":
        path.write_bytes(Path(material.avatar(name)).read_bytes())
        head.headgas.filepath = str(path)
        render_still(tmp_path / f"{name}.exr")
    assert (read_pixels(tmp_path / "a.exr") != read_pixels(tmp_path / "b.exr")).any()
    assert len(service.uploads) == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"remote_key": "ab" * 16}, "does not accept the key"),
        ({"remote_key": ""}, "There is no key"),
        ({"remote_key": "secret"}, "no hexadecimal number"),
        ({"remote_host": ""}, "no host"),
        ({"remote_port": 9}, "No backend answers at 127.0.0.1:9"),
        ({"remote_host": "192.0.2.1"}, "set to work offline"),
    ],
)
def test_what_is_wrong_with_the_address_or_the_key_is_said(scene, head, tmp_path, change, message):
    for name, value in change.items():
        setattr(_settings(), name, value)
    with pytest.raises(RuntimeError) as error:
        bpy.ops.headgas.test_backend()
    assert message in str(error.value) and _KEY not in str(error.value)
    scene.render.filepath = str(tmp_path / "failed.exr")
    with pytest.raises(RuntimeError, match=message):
        bpy.ops.render.render(write_still=True)


def test_the_backend_is_described_and_left_running(scene, head, service, real_service):
    assert bpy.ops.headgas.test_backend() == {'FINISHED'}
    assert real_service.running().memory["process"] > 50e6
    assert bpy.ops.headgas.stop_backend() == {'FINISHED'}
    time.sleep(0.2)
    assert service.process.poll() is None
    assert _KEY not in repr(real_service.launch_settings())


def test_avatars_of_other_programs_are_not_converted_there(head, material, service):
    with pytest.raises(RuntimeError, match="only a backend on this machine can convert it"):
        bpy.ops.headgas.import_avatar(filepath=str(material.folder / "a.ply"))


def test_a_connection_that_breaks_is_made_again_where_somebody_answers(scene, head, service, tmp_path, capfd):
    before = render_still(tmp_path / "before.exr")
    service.kill()
    service.start()
    assert (render_still(tmp_path / "after.exr") == before).all()
    assert "broke" in capfd.readouterr().out
    service.kill()
    scene.render.filepath = str(tmp_path / "failed.exr")
    with pytest.raises(RuntimeError, match="No backend answers at 127.0.0.1"):
        bpy.ops.render.render(write_still=True)
    assert not (tmp_path / "failed.exr").exists()
