# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests and answers: JSON over an authenticated local connection; nothing is ever unpickled."""

import json
import time
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client
from typing import Any

from .waiting import POLL_SECONDS, Patience

_MESSAGE_LIMIT = 64 * 1024 * 1024  # bytes of a JSON answer


class ConnectionLost(Exception):
    """The other end is gone, or does not speak our language."""


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
        except (OSError, EOFError, AuthenticationError, AssertionError, ValueError) as error:
            # AssertionError is what Python 3.11 raises for a peer that does not begin with the challenge
            raise ConnectionLost(f"no connection to {host}:{port}: {error!r}") from None
        self._last = self._answered = 0  # request numbers

    def close(self) -> None:
        """Hangs up."""
        self._connection.close()

    def call(self, method: str, params: dict[str, Any], patience: Patience) -> dict[str, Any]:
        """The result of one request.

        Answers to requests that were cancelled earlier arrive first, and are dropped.
        """
        self._last += 1
        try:
            self._connection.send_bytes(json.dumps({"id": self._last, "method": method, "params": params}).encode())
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

    def settle(self, seconds: float) -> bool:
        """Whether nothing that was cancelled is still being worked on; waits for it at most `seconds`."""
        end = time.monotonic() + seconds
        try:
            while self._answered < self._last:
                if not self._connection.poll(max(0.0, end - time.monotonic())):
                    return False
                self._read_json()
        except (OSError, EOFError, ConnectionLost):
            return False
        return True

    def receive_binary(self, size: int, patience: Patience) -> bytes:
        """The binary message of exactly `size` bytes that follows an answer."""
        try:
            self._wait(patience)
            data = self._connection.recv_bytes(size)
        except (OSError, EOFError) as error:
            raise ConnectionLost(repr(error)) from None
        if len(data) != size:
            raise ConnectionLost(f"{len(data)} bytes of pixels instead of {size}")
        return data

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
