# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""`headgas serve`: the program that Blender talks to."""

import json
import logging
import os
import socket
import sys
import threading
import traceback
from multiprocessing import AuthenticationError
from multiprocessing.connection import Connection, Listener, answer_challenge, deliver_challenge
from typing import Any

import torch

import headgas
from headgas.errors import HeadGaSError
from headgas.service.messages import KEY_VARIABLE, PROTOCOL, receive, send
from headgas.service.requests import Requests
from headgas.training.warmup import RENDERING, Progress, compile_kernels

log = logging.getLogger(__name__)

_BACKLOG = 8


def serve(
    host: str, port: int, device: torch.device, stop_with_stdin: bool, notice: str | None = None
) -> None:
    """Listens until it is told to shut down, or until standard input closes when `stop_with_stdin`.

    Args:
        notice: what clients are told of the device, see `headgas.devices.notice`.

    Raises:
        HeadGaSError: there is no key, or the address cannot be used.
    """
    try:
        key = bytes.fromhex(os.environ.get(KEY_VARIABLE, ""))
    except ValueError:
        key = b""
    if not key:
        raise HeadGaSError(
            f"The environment variable {KEY_VARIABLE} holds no key.",
            f"Set it to the same hexadecimal number on both sides, for example the output of: {_key_command()}",
        )
    try:
        listener = Listener((host, port), "AF_INET", backlog=_BACKLOG)  # each client shows its key in its own thread
    except OSError as error:
        raise HeadGaSError(f"The service cannot listen on {host}:{port} ({error.strerror or error}).") from None
    address: Any = listener.address
    hello = {"headgas": headgas.__version__, "protocol": PROTOCOL, "host": address[0], "port": address[1]}
    print(json.dumps(hello), flush=True)
    if stop_with_stdin:
        threading.Thread(target=_end_with_stdin, daemon=True).start()
    requests = Requests(device, notice)
    if device.type == "cpu":
        threading.Thread(target=_compile, args=(requests,), name="compiling", daemon=True).start()
    while True:
        try:
            connection = listener.accept()
        except OSError as error:
            log.warning("refused a connection: %s", error)
            continue
        threading.Thread(target=_converse, args=(connection, requests, key), daemon=True).start()


def _compile(requests: Requests) -> None:
    """Prepares the kernels that frames are drawn with; a frame that is asked for earlier waits for its own."""

    def report(progress: Progress) -> None:
        requests.progress = progress

    try:
        compile_kernels(RENDERING, report)
    finally:
        requests.progress = None


def _key_command() -> str:
    return 'python -c "import secrets; print(secrets.token_hex(32))"'


def _end_with_stdin() -> None:
    """The parent holds the other end of our standard input: when it closes, the parent is gone."""
    while sys.stdin.buffer.read(4096):
        pass
    log.info("standard input closed: the service ends")
    os._exit(0)  # other threads may be in the middle of a render that nobody waits for


def _converse(connection: Connection, requests: Requests, key: bytes) -> None:
    """Answers one client until it goes away."""
    greeted = False
    with connection:
        try:
            _configure(connection)
            deliver_challenge(connection, key)
            answer_challenge(connection, key)
        except (AuthenticationError, OSError, EOFError) as error:
            log.warning("refused a connection: %s", error or type(error).__name__)
            return
        while True:
            identifier: Any = None
            try:
                request = receive(connection)
                identifier, method = request.get("id"), request["method"]
                params = request.get("params") or {}
                if not greeted and method != "hello":
                    raise HeadGaSError("The first request must be 'hello'.")
                result, pixels = requests.answer(method, params)
                greeted = True
                send(connection, {"id": identifier, "result": result})
                if pixels is not None:
                    connection.send_bytes(pixels)
                if method == "shutdown":
                    log.info("told to shut down")
                    os._exit(0)
            except (EOFError, ConnectionError):
                return
            except HeadGaSError as error:
                _try_send(connection, identifier, {"message": error.message, "hint": error.hint, "bug": False})
            except Exception as error:  # a bug must reach the user's log, and the next request may well succeed
                log.exception("a request failed")
                message = {"message": f"{type(error).__name__}: {error}", "hint": "", "bug": True}
                _try_send(connection, identifier, message | {"traceback": traceback.format_exc()})


def _try_send(connection: Connection, identifier: Any, error: dict[str, Any]) -> None:
    try:
        send(connection, {"id": identifier, "error": error})
    except (ConnectionError, OSError):
        log.warning("the client went away before its answer")


def _configure(connection: Connection) -> None:
    """Small answers must not wait for more to come, and a client whose machine is gone must be noticed."""
    if os.name == "posix":
        with socket.socket(fileno=os.dup(connection.fileno())) as duplicate:
            duplicate.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            duplicate.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
