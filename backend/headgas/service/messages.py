# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The seam's messages (docs/formats.md): JSON in, JSON out, nothing unpickled."""

import json
from multiprocessing.connection import Connection
from typing import Any

from headgas.errors import HeadGaSError

PROTOCOL = 2
KEY_VARIABLE = "HEADGAS_KEY"


def receive(connection: Connection) -> dict[str, Any]:
    """The next request; the binary message that follows one with `"binary": true` becomes its parameter `data`.

    Raises:
        HeadGaSError: it is not a JSON object with a method.
    """
    try:
        request = json.loads(connection.recv_bytes())
    except (UnicodeDecodeError, json.JSONDecodeError):
        raise HeadGaSError("The service was sent something that is not JSON.") from None
    if not isinstance(request, dict) or not isinstance(request.get("method"), str):
        raise HeadGaSError("The service was sent a message without a method.")
    if request.get("binary") is True:
        request["params"] = (request.get("params") or {}) | {"data": connection.recv_bytes()}
    return request


def send(connection: Connection, message: dict[str, Any]) -> None:
    connection.send_bytes(json.dumps(message).encode())
