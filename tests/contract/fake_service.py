# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for `headgas serve` that speaks its protocol, draws what a test can check, and misbehaves on command.

What it draws: red and green are the ray x/z and y/z through the pixel's centre, blue is the sum of
(i + 1) * expression[i] over all avatars, alpha is 1; depth is column + 1000 * row, row 0 on top. Avatars cover the
pixels in turns, from left to right; holdouts are transparent there. The legend is the inspection's mode. What it
converts, it copies. Every request for a picture, a conversion or splats is added to the file that HEADGAS_FAKE_REQUESTS
names, a JSON object a line.
Misbehaviour is asked for in HEADGAS_FAKE and by the avatars' file names.
"""

import json
import os
import shutil
import sys
import threading
import time
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, Listener
from multiprocessing.shared_memory import SharedMemory
from typing import Any

import numpy as np

_MODE = os.environ.get("HEADGAS_FAKE", "")
_PROTOCOL = 99 if _MODE == "newer" else 2
_VERSION = "9.9.0" if _MODE in ("newer", "newer hello") else "0.1.0"
_renders = 0
_questions = 0


def main() -> None:
    """Serves until standard input closes."""
    if _MODE == "die at start":
        print("first line of woe\nImportError: no torch here", file=sys.stderr)
        sys.exit(3)
    if _MODE == "silent":
        time.sleep(600)
    if _MODE == "slow start":
        time.sleep(1.5)
    if _MODE == "garbage":
        print("Welcome to something else", flush=True)
        time.sleep(600)
    leaks = sorted(name for name in os.environ if name.startswith("PYTHON") and name != "PYTHONUTF8")
    if leaks:
        print(f"the environment leaks {leaks}", file=sys.stderr)
        sys.exit(4)
    key = bytes.fromhex(os.environ["HEADGAS_KEY"])
    listener = Listener(("127.0.0.1", 0), "AF_INET", authkey=b"wrong" if _MODE == "wrong key" else key)
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    host, port = listener.address
    print(json.dumps({"headgas": _VERSION, "protocol": _PROTOCOL, "host": host, "port": port}), flush=True)
    while True:
        try:
            connection = listener.accept()
        except Exception as error:
            print(f"refused a client: {error!r}", file=sys.stderr)
            continue
        threading.Thread(target=_serve, args=(connection,), daemon=True).start()


def _end_with_stdin() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


def _serve(connection: Connection) -> None:
    while True:
        try:
            request = json.loads(connection.recv_bytes())
            if request.get("binary"):
                request["params"]["depth_limit"] = np.frombuffer(connection.recv_bytes(), np.float32).tolist()
        except EOFError:
            return
        try:
            result, pixels = _answer(request["method"], request["params"])
            answer = {"id": request["id"], "result": result}
        except _Refusal as refusal:
            answer, pixels = {"id": request["id"], "error": refusal.args[0]}, None
        connection.send_bytes(json.dumps(answer).encode())
        if pixels is not None:
            connection.send_bytes(pixels)


class _Refusal(Exception):
    """An error answer."""


def _answer(method: str, params: dict[str, Any]) -> tuple[dict[str, Any], bytes | None]:
    if method == "hello":
        if _MODE == "newer hello":
            raise _Refusal({"message": "The extension is 0.1.0, the backend 9.9.0", "hint": "Update", "bug": False})
        facts = {"version": _VERSION, "protocol": _PROTOCOL, "python": "3", "torch": "none", "device": "cpu"}
        facts |= {"rasterizer": "fake", "threads": 1, "pid": os.getpid(), "arguments": sys.argv[1:]}
        facts["visible"] = os.environ.get("CUDA_VISIBLE_DEVICES")
        facts |= {"notice": "The GPU cannot be used"} if _MODE == "notice" else {}
        return facts | _compiling(), None
    if method == "ping":
        return _compiling(), None
    if method == "render":
        return _render(params)
    if method == "convert":
        return _convert(params), None
    if method == "splats":
        return _splats(params)
    raise _Refusal({"message": f"unknown method {method}", "hint": "", "bug": True, "traceback": "Traceback: none"})


def _compiling() -> dict[str, Any]:
    """Says at the first two questions that kernels are being compiled, in that mode."""
    global _questions  # noqa: PLW0603
    _questions += 1
    if _MODE != "compiling":
        return {}
    return {"compiling": {"number": _questions, "of": 2, "what": "something"} if _questions <= 2 else None}


def _render(params: dict[str, Any]) -> tuple[dict[str, Any], bytes | None]:
    global _renders  # noqa: PLW0603
    _renders += 1
    started = time.perf_counter()
    if params["depth_limit"] and params["pixels"] is not None:
        memory = _attach(params["pixels"])
        count = params["camera"]["width"] * params["camera"]["height"]
        params["depth_limit"] = np.frombuffer(memory.buf, np.float32, count=count).tolist()
        memory.close()
    _record(params)
    for avatar in params["avatars"]:
        _misbehave(os.path.basename(avatar["path"]))
    frame = _draw(params)
    camera = params["camera"]
    legend = params["inspect"]["mode"] if params["inspect"] else ""
    result = {"width": camera["width"], "height": camera["height"], "legend": legend}
    result["farthest"] = camera["width"] - 1 + 1000.0 * (camera["height"] - 1)
    result["milliseconds"] = 1e3 * (time.perf_counter() - started)
    if params["pixels"] is None:
        return result, frame.tobytes()
    memory = _attach(params["pixels"])
    np.frombuffer(memory.buf, np.float32, count=frame.size)[:] = frame
    memory.close()
    return result, None


def _record(params: dict[str, Any]) -> None:
    if "HEADGAS_FAKE_REQUESTS" in os.environ:
        with open(os.environ["HEADGAS_FAKE_REQUESTS"], "a", encoding="utf-8") as file:
            file.write(json.dumps(params) + "\n")


def _convert(params: dict[str, Any]) -> dict[str, Any]:
    """Copies the file, or what a folder holds; a name that begins with `warn` gives a warning."""
    name = os.path.basename(params["source"])
    _record(params)
    _misbehave(name)
    source, target = params["source"], os.path.splitext(params["source"])[0] + ".headgas.safetensors"
    shutil.copyfile(os.path.join(source, os.listdir(source)[0]) if os.path.isdir(source) else source, target)
    warnings = ["There is something to know"] if name.startswith("warn") else []
    return {"files": [target], "format": "fake", "warnings": warnings}


def _splats(params: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    """Of a "native" kind as many as the first parameter says, all numbers rising from 0; else the request as JSON."""
    _record(params)
    _misbehave(os.path.basename(params["avatar"]["path"]))
    count, harmonics = round(params["avatar"]["expression"][0]), 4
    data = json.dumps(params).encode()
    if params["kind"] == "native":
        data = np.arange(count * (11 + 3 * harmonics), dtype="<f4").tobytes()
    return {"count": count, "harmonics": harmonics, "bytes": len(data), "warnings": ["Splats differ"]}, data


def _misbehave(name: str) -> None:
    if name.startswith("die_at_"):
        if _renders == int(name.removeprefix("die_at_").split(".")[0]):
            print("about to die", file=sys.stderr, flush=True)
            os._exit(7)
    elif name.startswith("hang"):
        time.sleep(600)
    elif name.startswith("slow"):
        time.sleep(0.5)
    elif name.startswith("refuse"):
        raise _Refusal({"message": "This avatar is refused", "hint": "Try another", "bug": False})
    elif name.startswith("bug"):
        raise _Refusal({"message": "ZeroDivisionError", "hint": "", "bug": True, "traceback": "Traceback: line 1"})


def _draw(params: dict[str, Any]) -> np.ndarray:
    """The frame [H*W*5] float32, longer with coverage and passes."""
    camera = params["camera"]
    width, height = camera["width"], camera["height"]
    inverse = np.linalg.inv(np.array(camera["K"]))
    columns, rows = np.meshgrid(np.arange(width), np.arange(height))
    image = np.empty((height, width, 4), np.float32)
    pixels = np.stack([columns + 0.5, rows + 0.5, np.ones_like(columns)], axis=-1)
    image[..., :2] = (pixels @ inverse.T)[..., :2]
    image[..., 2] = sum(np.dot(np.arange(1, 1 + len(a["expression"])), a["expression"]) for a in params["avatars"])
    image[..., 3] = 1.0
    if all("half" in os.path.basename(avatar["path"]) for avatar in params["avatars"]):
        image *= 0.5
    depth = (columns + 1000.0 * rows).astype(np.float32)
    behind = np.zeros_like(depth, bool)
    if params["depth_limit"]:
        behind = depth > np.reshape(params["depth_limit"], depth.shape)
        image[behind], depth[behind] = 0.0, 1e10
    covering = len(params["avatars"]) if params["coverage"] else 0
    for number, avatar in enumerate(params["avatars"]):
        if avatar["holdout"]:
            held = columns % len(params["avatars"]) == number
            image[held], depth[held] = 0.0, 1e10
    coverage = [(~behind & (columns % covering == number)).astype(np.float32) for number in range(covering)]
    made = {"median": depth + np.float32(0.5), "count": columns.astype(np.float32)}
    made["normal"] = np.broadcast_to(np.array([0.0, -1.0, 0.0], np.float32), (height, width, 3))
    made["motion"] = np.broadcast_to(np.array([1.0, 2.0, 3.0, 4.0], np.float32), (height, width, 4))
    passes = [made[name] for name in params["passes"]]
    return np.concatenate([plane.ravel() for plane in (image, depth, *coverage, *passes)])


def _attach(name: str) -> SharedMemory:
    try:
        return SharedMemory(name=name, track=False)  # Python 3.13
    except TypeError:
        memory = SharedMemory(name=name)
        resource_tracker.unregister(memory._name, "shared_memory")
        return memory


if __name__ == "__main__":
    main()
