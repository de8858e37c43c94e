# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The real service, spoken to over its connection."""

import json
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing import AuthenticationError, shared_memory
from multiprocessing.connection import Client, Connection
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import headgas
from headgas.avatars import load_avatar, save_avatar
from headgas.avatars.rendering import PlacedAvatar, Stage, render_frame
from headgas.errors import HeadGaSError
from headgas.evaluation.inspection import Inspection, Inspector
from headgas.exchange.ply import write_ply
from headgas.service.messages import PROTOCOL
from headgas.service.requests import Requests
from headgas.service.server import serve
from headgas.splatting import Camera
from headgas.splatting.splats import Splats
from tests.headgas.avatars.test_splats import some_splats
from tests.headgas.conftest import copy_kernels, intrinsics, look_at, small_avatar

WAIT = 60  # seconds
SIZE = 40  # pixels


@dataclass
class Service:
    process: subprocess.Popen
    port: int
    key: bytes

    def connect(self, greet: bool = True) -> Connection:
        connection = Client(("127.0.0.1", self.port), "AF_INET", authkey=self.key)
        if greet:
            ask(connection, "hello", version=headgas.__version__, protocol=PROTOCOL)
        return connection


def ask(connection: Connection, method: str, **params: Any) -> dict[str, Any]:
    connection.send_bytes(json.dumps({"id": 7, "method": method, "params": params}).encode())
    assert connection.poll(WAIT)
    answer = json.loads(connection.recv_bytes())
    assert answer["id"] == 7
    return answer


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    key = secrets.token_bytes(16)
    process = subprocess.Popen(
        [sys.executable, "-m", "headgas", "serve", "--stop-with-stdin", "--device", "cpu"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=os.environ | {"HEADGAS_KEY": key.hex()}, text=True,
    )  # fmt: skip
    assert process.stdout and process.stdin
    hello = json.loads(process.stdout.readline())
    assert hello["headgas"] == headgas.__version__ and hello["protocol"] == PROTOCOL
    yield Service(process, hello["port"], key)
    process.stdin.close()
    process.wait(WAIT)


@pytest.fixture(scope="module")
def avatar_path(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("service") / "avatar.safetensors"
    save_avatar(path, small_avatar(), "headgas", {})
    return str(path)


def request(avatar_path: str, **changes: Any) -> dict[str, Any]:
    K = intrinsics(SIZE)
    params = {
        "avatars": [{"path": avatar_path, "expression": [0.5, 0.0, 1.0], "transform": np.eye(4).tolist()}],
        "camera": {"viewmat": look_at(0.3).tolist(), "K": K.tolist(), "width": SIZE, "height": SIZE, "near": 0.01},
        "pixels": None,
    }
    return params | changes


def expected(avatar_path: str) -> np.ndarray:
    camera = Camera(torch.tensor(look_at(0.3)).float(), torch.tensor(intrinsics(SIZE)).float(), SIZE, SIZE)
    placed = PlacedAvatar(load_avatar(avatar_path).avatar, torch.tensor([0.5, 0.0, 1.0]), torch.eye(4))
    rgba, depth = render_frame([placed], camera)
    return np.concatenate([rgba.numpy().ravel(), depth.numpy().ravel()])


def test_pixels_come_through_shared_memory(service: Service, avatar_path: str) -> None:
    memory = shared_memory.SharedMemory(create=True, size=SIZE * SIZE * 20)
    try:
        with service.connect() as connection:
            answer = ask(connection, "render", **request(avatar_path, pixels=memory.name))
        assert answer["result"]["width"] == SIZE
        got = np.frombuffer(bytes(memory.buf[: SIZE * SIZE * 20]), np.float32)
        assert got[3 :: 4][: SIZE * SIZE].max() > 0.2
        np.testing.assert_array_equal(got, expected(avatar_path))
    finally:
        memory.close()
        memory.unlink()


def test_pixels_come_over_the_connection(service: Service, avatar_path: str) -> None:
    with service.connect() as connection:
        assert "result" in ask(connection, "render", **request(avatar_path))
        np.testing.assert_array_equal(np.frombuffer(connection.recv_bytes(), np.float32), expected(avatar_path))


@pytest.mark.parametrize("shared", [True, False])
def test_the_inside_and_coverage_of_an_orthographic_view(service: Service, avatar_path: str, shared: bool) -> None:
    params = request(avatar_path, inspect={"mode": "depth", "scale": 0.5}, coverage=True)
    params["avatars"] *= 2
    params["avatars"][1] = params["avatars"][1] | {"transform": (np.eye(4) + 0.05 * np.eye(4, k=3)).tolist()}
    params["camera"] |= {"orthographic": True, "K": [[300, 0, 20], [0, 300, 20], [0, 0, 1]], "near": -5.0}
    memory = shared_memory.SharedMemory(create=True, size=SIZE * SIZE * 28)
    try:
        with service.connect() as connection:
            result = ask(connection, "render", **(params | {"pixels": memory.name if shared else None}))["result"]
            data = bytes(memory.buf[: SIZE * SIZE * 28]) if shared else connection.recv_bytes()
    finally:
        memory.close()
        memory.unlink()
    assert result["legend"].startswith("Depth: white ")
    avatar = load_avatar(avatar_path).avatar
    places = [torch.tensor(item["transform"]) for item in params["avatars"]]
    placed = [PlacedAvatar(avatar, torch.tensor([0.5, 0.0, 1.0]), place) for place in places]
    K = torch.tensor(params["camera"]["K"]).float()
    camera = Camera(torch.tensor(look_at(0.3)).float(), K, SIZE, SIZE, orthographic=True)
    view = Inspector().view(Stage.of(placed, camera, -5.0), [avatar] * 2, Inspection("depth", scale=0.5))
    planes = view.image, view.depth, view.stage.coverage(view.image)
    assert planes[2][0].max() > 0.2 and planes[2][1].max() > 0.2
    np.testing.assert_array_equal(
        np.frombuffer(data, np.float32), np.concatenate([plane.numpy().ravel() for plane in planes])
    )


def test_the_same_question_is_rendered_once(
    avatar_path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rendered = []

    def count(*arguments: Any, **options: Any) -> Any:
        rendered.append(arguments)
        return of(*arguments, **options)

    of = Stage.of
    monkeypatch.setattr(Stage, "of", count)
    path = tmp_path / "avatar.safetensors"
    path.write_bytes(Path(avatar_path).read_bytes())
    requests, params = Requests(torch.device("cpu")), request(str(path))
    first, again = (requests.answer("render", params)[1] for _ in range(2))
    assert first == again and len(rendered) == 1
    params["avatars"][0]["expression"] = [0.5, 0.2, 1.0]
    assert requests.answer("render", request(str(path), avatars=params["avatars"]))[1] != first
    params["camera"]["near"] = 0.02
    requests.answer("render", params)
    for key, value in (("inspect", {"mode": "normal"}), ("inspect", {"mode": "opacity"}), ("coverage", True)):
        params[key] = value
        requests.answer("render", params)
        requests.answer("render", params)
    save_avatar(path, small_avatar(80), "headgas", {})
    requests.answer("render", params)
    assert len(rendered) == 7


def test_hello_names_both_versions_on_a_mismatch(service: Service) -> None:
    with service.connect(greet=False) as connection:
        error = ask(connection, "hello", version="9.9.9", protocol=99)["error"]
    assert "9.9.9" in error["message"] and headgas.__version__ in error["message"] and error["hint"]


def test_hello_must_come_first(service: Service, avatar_path: str) -> None:
    with service.connect(greet=False) as connection:
        assert "hello" in ask(connection, "describe", avatar=avatar_path)["error"]["message"]


def test_describe_gives_the_header(service: Service, avatar_path: str) -> None:
    with service.connect() as connection:
        result = ask(connection, "describe", avatar=avatar_path)["result"]
    assert result["expression_space"]["names"] == ["jawOpen", "eyeBlinkLeft", "browInnerUp"]
    assert result["gaussians"] == 60 and result["bytes"] == Path(avatar_path).stat().st_size


def test_a_file_of_another_program_is_converted(service: Service, tmp_path: Path) -> None:
    splats = Splats(**(vars(some_splats(40, 4)) | {"antialiased": True}))
    write_ply(tmp_path / "a.ply", splats)
    target = tmp_path / "a.headgas.safetensors"
    with service.connect() as connection:
        params = {"source": str(tmp_path / "a.ply"), "target": str(target), "axes": "blender", "scale": 0.5}
        result = ask(connection, "convert", **params)["result"]
        assert result["files"] == [str(target)] and "degree 4" in result["warnings"][0]
        described = ask(connection, "describe", avatar=str(target))["result"]
        assert described["expression_space"]["names"] == [] and described["gaussians"] == 40
        changes = [{"source": "gone.ply"}, {"axes": "up"}, {"scale": 0}, {"scale": "large"}, {"target": "a.txt"}]
        for change in changes:
            error = ask(connection, "convert", **(params | change))["error"]
            assert not error["bug"] and error["message"]
        assert "'source'" in ask(connection, "convert", target="a.ply")["error"]["message"]
        target.unlink()
        beside = ask(connection, "convert", source=str(tmp_path / "a.ply"), axes="blender", scale=0.5)["result"]
        assert beside["files"] == [str(target)]
    avatar = load_avatar(target).avatar
    torch.testing.assert_close(avatar.splats(torch.zeros(0)).means, splats.means / 2)


def test_an_avatar_that_needs_flame_says_where_to_name_it(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    header = "ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\nproperty int binding_0\nend_header\n0 0\n"
    (tmp_path / "point_cloud.ply").write_text(header)
    with service.connect() as connection:
        params = {"source": str(tmp_path / "point_cloud.ply")}
        wrong = {None: "'FLAME Model' in HeadGaS's preferences", str(tmp_path): "holds none of", 7: "flame is 7"}
        for flame, words in (wrong | {str(tmp_path / "gone.pkl"): "gone.pkl: there is no such file"}).items():
            error = ask(connection, "convert", **params, flame=flame)["error"]
            assert not error["bug"] and words in error["message"] + error["hint"]
    assert not list(tmp_path.glob("*.safetensors"))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"pixels": "no-such-memory"}, "shared memory"),
        ({"camera": {"viewmat": [[1]], "K": np.eye(3).tolist(), "width": 4, "height": 4}}, "viewmat must be 4×4"),
        ({"camera": {"viewmat": np.eye(4).tolist(), "K": np.eye(3).tolist(), "width": 0, "height": 4}}, "width"),
        ({"camera": {}}, "'viewmat'"),
        ({"inspect": "depth"}, "inspect is 'depth'"),
        ({"inspect": {"mode": "xray"}}, "mode 'xray'"),
        ({"inspect": {"fraction": 2}}, "fraction"),
        ({"inspect": {"mode": "influence", "parameter": "nose"}}, "'nose'"),
        ({"avatars": [{"path": "/nowhere.safetensors", "expression": [], "transform": []}]}, "nowhere"),
    ],
)
def test_unfit_requests_are_answered_with_an_error(
    service: Service, avatar_path: str, changes: dict[str, Any], words: str
) -> None:
    with service.connect() as connection:
        error = ask(connection, "render", **request(avatar_path, **changes))["error"]
        assert words in error["message"] and not error["bug"]
        assert "result" in ask(connection, "ping")


def test_wrong_expressions_and_flat_transforms_are_refused(service: Service, avatar_path: str) -> None:
    with service.connect() as connection:
        for key, value in (("expression", [0.0]), ("transform", np.zeros((4, 4)).tolist())):
            params = request(avatar_path)
            params["avatars"][0][key] = value
            error = ask(connection, "render", **params)["error"]
            assert not error["bug"]


@pytest.mark.parametrize("garbage", [b"", b"\x80\x04.", b"[]", b'{"method": 3}', b'{"id": 1, "method": "fly"}'])
def test_garbage_does_not_stop_the_service(service: Service, garbage: bytes) -> None:
    with service.connect() as connection:
        connection.send_bytes(garbage)
        assert connection.poll(WAIT)
        assert json.loads(connection.recv_bytes())["error"]["bug"] is False
        assert "result" in ask(connection, "ping")


def test_a_wrong_key_is_turned_away(service: Service) -> None:
    with pytest.raises((AuthenticationError, EOFError, OSError)):
        Client(("127.0.0.1", service.port), "AF_INET", authkey=b"wrong")
    with service.connect() as connection:
        assert "result" in ask(connection, "ping")


def test_who_never_shows_a_key_keeps_nobody_waiting(service: Service) -> None:
    with socket.create_connection(("127.0.0.1", service.port)), service.connect() as connection:
        assert "result" in ask(connection, "ping")


def test_ping_tells_the_memory_in_use(service: Service) -> None:
    with service.connect() as connection:
        memory = ask(connection, "ping")["result"]["memory"]
    assert 50e6 < memory["process"] < 20e9 and memory["device"] is None


def test_a_client_that_vanishes_hurts_nobody(service: Service, avatar_path: str) -> None:
    connection = service.connect()
    connection.send_bytes(json.dumps({"id": 1, "method": "render", "params": request(avatar_path)}).encode())
    connection.close()
    with service.connect() as second:
        assert "result" in ask(second, "ping")


def test_a_changed_file_is_opened_anew(service: Service, tmp_path: Path) -> None:
    path = tmp_path / "avatar.safetensors"
    with service.connect() as connection:
        for count in (30, 50):
            save_avatar(path, small_avatar(count), "headgas", {})
            assert ask(connection, "describe", avatar=str(path))["result"]["gaussians"] == count


def test_the_service_ends_with_its_parent() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "headgas", "serve", "--stop-with-stdin"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=os.environ | {"HEADGAS_KEY": "ab" * 16},
    )  # fmt: skip
    assert process.stdout and process.stdin
    process.stdout.readline()
    process.stdin.close()
    assert process.wait(WAIT) == 0


def test_shutdown_ends_the_service() -> None:
    key = "cd" * 16
    process = subprocess.Popen(
        [sys.executable, "-m", "headgas", "serve"], stdout=subprocess.PIPE, env=os.environ | {"HEADGAS_KEY": key}
    )
    assert process.stdout
    port = json.loads(process.stdout.readline())["port"]
    with Client(("127.0.0.1", port), "AF_INET", authkey=bytes.fromhex(key)) as connection:
        ask(connection, "hello", version=headgas.__version__, protocol=PROTOCOL)
        assert "result" in ask(connection, "shutdown")
    assert process.wait(WAIT) == 0


def test_without_a_key_nothing_is_served() -> None:
    finished = subprocess.run(
        [sys.executable, "-m", "headgas", "serve"],
        env={name: value for name, value in os.environ.items() if name != "HEADGAS_KEY"},
        capture_output=True, text=True, timeout=WAIT, check=False,
    )  # fmt: skip
    assert finished.returncode == 2
    assert "HEADGAS_KEY" in finished.stderr and "Traceback" not in finished.stderr


@pytest.mark.parametrize("key", ["", "no hexadecimal"])
def test_what_is_no_key_serves_nothing(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv("HEADGAS_KEY", key)
    with pytest.raises(HeadGaSError, match="HEADGAS_KEY holds no key"):
        serve("127.0.0.1", 0, torch.device("cpu"), False)


def test_a_taken_port_is_a_clear_error(service: Service) -> None:
    finished = subprocess.run(
        [sys.executable, "-m", "headgas", "serve", "--port", str(service.port)],
        env=os.environ | {"HEADGAS_KEY": "ef" * 16}, capture_output=True, text=True, timeout=WAIT, check=False,
    )  # fmt: skip
    assert finished.returncode == 2 and str(service.port) in finished.stderr


def test_kernels_are_compiled_in_the_background_and_the_client_can_follow(tmp_path: Path, avatar_path: str) -> None:
    copy_kernels(tmp_path, but="tiles")  # seconds remain to be compiled, and first of all
    key = secrets.token_bytes(16)
    environment = os.environ | {"HEADGAS_KEY": key.hex(), "NUMBA_CACHE_DIR": str(tmp_path)}
    process = subprocess.Popen(
        [sys.executable, "-m", "headgas", "serve", "--stop-with-stdin", "--device", "cpu"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True,
    )  # fmt: skip
    assert process.stdout and process.stdin
    service = Service(process, json.loads(process.stdout.readline())["port"], key)
    with service.connect(greet=False) as connection, service.connect() as other:
        hello = ask(connection, "hello", version=headgas.__version__, protocol=PROTOCOL)["result"]
        assert hello["compiling"]["what"] and 1 <= hello["compiling"]["number"] <= hello["compiling"]["of"]
        assert ask(connection, "describe", avatar=avatar_path)["result"]["gaussians"] > 0
        assert ask(connection, "ping")["result"]["compiling"]
        connection.send_bytes(json.dumps({"id": 7, "method": "render", "params": request(avatar_path)}).encode())
        assert ask(other, "ping")["result"]["compiling"], "a ping must not wait for a frame"
        assert connection.poll(WAIT)
        assert "result" in json.loads(connection.recv_bytes())
        np.testing.assert_array_equal(np.frombuffer(connection.recv_bytes(), np.float32), expected(avatar_path))
        end = time.monotonic() + WAIT
        while ask(other, "ping")["result"]["compiling"] and time.monotonic() < end:
            time.sleep(0.1)
        assert ask(other, "ping")["result"]["compiling"] is None
    process.stdin.close()
    process.wait(WAIT)
