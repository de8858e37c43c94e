# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames within a depth limit that travels with the request."""

import json
from multiprocessing import shared_memory

import numpy as np
import torch

from headgas.avatars import load_avatar
from headgas.avatars.rendering import PlacedAvatar, render_frame
from headgas.splatting import Camera
from tests.headgas.conftest import intrinsics, look_at
from tests.headgas.service.test_service import SIZE, Service, ask, avatar_path, expected, request, service  # noqa: F401


def _limited(path: str) -> tuple[np.ndarray, np.ndarray]:
    """A limit [H,W] in metres that slices the head, and the picture within it."""
    limit = np.linspace(0.35, 0.65, SIZE, dtype=np.float32)[None].repeat(SIZE, 0)
    camera = Camera(torch.tensor(look_at(0.3)).float(), torch.tensor(intrinsics(SIZE)).float(), SIZE, SIZE)
    placed = PlacedAvatar(load_avatar(path).avatar, torch.tensor([0.5, 0.0, 1.0]), torch.eye(4))
    rgba, depth = render_frame([placed], camera, depth_limit=torch.from_numpy(limit))
    return limit, np.concatenate([rgba.numpy().ravel(), depth.numpy().ravel()])


def test_a_depth_limit_travels_as_the_pixels_do(service: Service, avatar_path: str) -> None:  # noqa: F811
    limit, wanted = _limited(avatar_path)
    whole = expected(avatar_path)
    assert 0.1 < np.mean(whole[3 : 4 * SIZE**2 : 4] > wanted[3 : 4 * SIZE**2 : 4] + 0.1) < 0.9
    memory = shared_memory.SharedMemory(create=True, size=SIZE * SIZE * 20)
    try:
        memory.buf[: limit.nbytes] = limit.tobytes()
        with service.connect() as connection:
            assert "result" in ask(connection, "render", **request(avatar_path, pixels=memory.name, depth_limit=True))
            got = np.frombuffer(bytes(memory.buf[: SIZE * SIZE * 20]), np.float32)
            np.testing.assert_array_equal(got, wanted)
            params = request(avatar_path, depth_limit=True)
            connection.send_bytes(json.dumps({"id": 7, "method": "render", "binary": True, "params": params}).encode())
            connection.send_bytes(limit.tobytes())
            assert "result" in json.loads(connection.recv_bytes())
            np.testing.assert_array_equal(np.frombuffer(connection.recv_bytes(), np.float32), wanted)
            connection.send_bytes(json.dumps({"id": 7, "method": "render", "binary": True, "params": params}).encode())
            connection.send_bytes(limit.tobytes()[:-4])
            assert "depth limit" in json.loads(connection.recv_bytes())["error"]["message"]
            assert "result" in ask(connection, "render", **request(avatar_path))
            np.testing.assert_array_equal(np.frombuffer(connection.recv_bytes(), np.float32), whole)
    finally:
        memory.close()
        memory.unlink()
