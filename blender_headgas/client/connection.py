# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests and answers: JSON over an authenticated local connection; nothing is ever unpickled."""

import json
import os
import socket
import time
from collections.abc import Callable
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Connection
from typing import Any

from .waiting import POLL_SECONDS, Cancelled, Patience, in_thread

_MESSAGE_LIMIT = 64 * 1024 * 1024  # bytes of a JSON answer
# A network that broke is noticed in 25 seconds: asked after 10 silent ones, every 5, three times.
_PULSE = {"TCP_KEEPIDLE": 10, "TCP_KEEPALIVE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3}


class ConnectionLost(Exception):
    """The other end is gone, or does not speak our language."""


class NotConnected(ConnectionLost):
    """Nobody answers at the address, or not as a backend does."""


class WrongKey(NotConnected):
    """The backend does not accept the key."""


class ServiceError(Exception):
    """The service's own error answer."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(str(error.get("message", "unknown error")))
        self.message = str(error.get("message", "unknown error"))
        self.hint = str(error.get("hint") or "")
        self.bug = bool(error.get("bug"))
        self.traceback = str(error.get("traceback") or "")


class ServiceConnection:
    """One client's end of the conversation."""

    def __init__(self, host: str, port: int, key: bytes) -> None:
        try:
            self._connection = Client((host, port), family="AF_INET", authkey=key)
            _configure(self._connection)
        except AuthenticationError as error:
            raise WrongKey(f"{host}:{port} does not accept the key: {error}") from None
        except (OSError, EOFError, AssertionError, ValueError) as error:
            # AssertionError is what Python 3.11 raises for a peer that does not begin with the challenge
            raise NotConnected(f"no connection to {host}:{port}: {error!r}") from None
        self._last = self._answered = 0  # request numbers
        self._ahead = 0  # the number of a request whose answer is not waited for yet; 0: there is none

    def close(self) -> None:
        """Hangs up."""
        self._connection.close()

    def call(
        self, method: str, params: dict[str, Any], patience: Patience, data: bytes | None = None
    ) -> dict[str, Any]:
        """The result of one request; `data` goes with it as a binary message.

        Answers to requests that were cancelled earlier arrive first, and are dropped.
        """
        self._ahead = 0
        try:
            request = self._next(method, params)
            if data is None:
                self._connection.send_bytes(json.dumps(request).encode())
            else:
                in_thread(lambda: self._send_with(request, data), patience)
        except (OSError, EOFError) as error:
            raise ConnectionLost(repr(error)) from None
        return self._result(method, patience)

    def send_ahead(self, method: str, params: dict[str, Any]) -> None:
        """Sends a request whose result `result_ahead` gives later."""
        try:
            self._connection.send_bytes(json.dumps(self._next(method, params)).encode())
        except OSError as error:
            raise ConnectionLost(repr(error)) from None
        self._ahead = self._last

    def result_ahead(self, method: str, patience: Patience) -> dict[str, Any]:
        """The result of the request that was sent ahead."""
        self._ahead = 0
        return self._result(method, patience)

    def _next(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        self._last += 1
        return {"id": self._last, "method": method, "params": params}

    def _result(self, method: str, patience: Patience) -> dict[str, Any]:
        """The result of the last request."""
        try:
            while True:
                answer = self._receive_json(patience)
                if answer.get("id") == self._last:
                    break
        except (OSError, EOFError) as error:
            raise ConnectionLost(repr(error)) from None
        if "error" in answer:
            raise ServiceError(answer["error"] if isinstance(answer["error"], dict) else {"message": answer["error"]})
        result = answer.get("result")
        if not isinstance(result, dict):
            raise ConnectionLost(f"an answer to '{method}' without a result")
        return result

    def settle(self, seconds: float, cancelled: Callable[[], bool]) -> bool:
        """Whether nothing that was cancelled is still being worked on; waits for it at most `seconds`.

        Raises:
            Cancelled: the user does not want to wait.
        """
        end = time.monotonic() + seconds
        last = self._ahead - 1 if self._ahead else self._last
        try:
            while self._answered < last:
                if self._connection.poll(POLL_SECONDS):
                    self._read_json()
                elif time.monotonic() > end:
                    return False
                elif cancelled():
                    raise Cancelled("the backend")
        except (OSError, EOFError, ConnectionLost):
            return False
        return True

    def receive_binary(self, limit: int, patience: Patience) -> bytes:
        """The binary message of at most `limit` bytes that follows an answer."""
        try:
            self._wait(patience)
            return self._connection.recv_bytes(limit)
        except (OSError, EOFError) as error:
            raise ConnectionLost(repr(error)) from None

    def _send_with(self, request: dict[str, Any], data: bytes) -> None:
        self._connection.send_bytes(json.dumps(request | {"binary": True}).encode())
        self._connection.send_bytes(data)

    def _receive_json(self, patience: Patience) -> dict[str, Any]:
        self._wait(patience)
        return self._read_json()

    def _read_json(self) -> dict[str, Any]:
        try:
            answer = json.loads(self._connection.recv_bytes(_MESSAGE_LIMIT))
        except ValueError:
            raise ConnectionLost("an answer that is not JSON") from None
        if not isinstance(answer, dict):
            raise ConnectionLost("an answer that is not a JSON object")
        if isinstance(answer.get("id"), int):
            self._answered = answer["id"]
        return answer

    def _wait(self, patience: Patience) -> None:
        while not self._connection.poll(POLL_SECONDS):
            patience.spend()


def _configure(connection: Connection) -> None:
    """Small messages must not wait for more to come, and a peer whose machine is gone must be noticed."""
    if os.name == "posix":
        with socket.socket(fileno=os.dup(connection.fileno())) as duplicate:
            duplicate.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            duplicate.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for name, value in _PULSE.items():
                if hasattr(socket, name):  # each system has its own set
                    duplicate.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
