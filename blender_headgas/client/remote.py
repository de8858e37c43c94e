# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""A backend on another machine: reached through the network, never started by us; avatars are sent to it once."""

import hashlib
import ipaddress
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ..core.errors import HeadGaSError
from .connection import ConnectionLost, NotConnected, WrongKey
from .process import Announcement, BackendDied, Call
from .protocol import KEY_VARIABLE, PROTOCOL
from .waiting import never

_PIECE = 1024 * 1024  # bytes of an avatar sent at once: what cannot be cancelled
_KEY_HINT = f"Copy the hexadecimal number in {KEY_VARIABLE} of that machine into the preferences of HeadGaS"


@dataclass(frozen=True)
class RemoteSettings:
    """Where the backend listens, and how pixels come back."""

    host: str
    port: int
    key: str = field(repr=False)  # hexadecimal
    encoding: str = "lossless"  # see `decoded`

    def open(self) -> "RemoteService":
        """Prepares the conversation; nothing is sent yet.

        Raises:
            HeadGaSError: the settings cannot be used.
        """
        return RemoteService(self)

    @property
    def is_local(self) -> bool:
        """Whether the address is this machine's own, such as the near end of a tunnel."""
        if self.host.lower() == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:  # a name
            return False


class RemoteService:
    """The other machine's backend, in the place of a child."""

    shares_memory = False
    pid = 0  # of nothing on this machine

    def __init__(self, settings: RemoteSettings) -> None:
        self.settings = settings
        self.alive = True  # for all we know
        self.encoding = settings.encoding
        self._places: dict[tuple[Path, int, int], str] = {}
        if not settings.host:
            raise HeadGaSError("The remote backend has no host", "Enter it in the preferences of HeadGaS")
        try:
            self.key = bytes.fromhex(settings.key)
        except ValueError:
            raise HeadGaSError("The key of the remote backend is no hexadecimal number", _KEY_HINT) from None
        if not self.key:
            raise HeadGaSError(f"There is no key for the backend at {self._address}", _KEY_HINT)

    @property
    def _address(self) -> str:
        return f"{self.settings.host}:{self.settings.port}"

    def death(self) -> None:
        """Nothing: it is not ours to watch, and a connection that breaks is noticed by the next request."""

    def check_alive(self) -> None:
        """Leaves it to the connection."""

    def wait_for_announcement(self, _cancelled: Callable[[], bool] = never) -> Announcement:
        """Where it listens: what the settings say."""
        return Announcement("", PROTOCOL, self.settings.host, self.settings.port)

    def log_tail(self) -> str:
        """Nothing: its log is on the other machine."""
        return ""

    def lost(self, error: ConnectionLost) -> HeadGaSError:
        """What a broken connection means."""
        if isinstance(error, WrongKey):
            return HeadGaSError(f"The backend at {self._address} does not accept the key", _KEY_HINT)
        if isinstance(error, NotConnected):
            return HeadGaSError(
                f"No backend answers at {self._address} ({error})",
                f"Start it there with: headgas serve --port {self.settings.port}; a tunnel must be open",
            )
        return BackendDied(
            f"The connection to the backend at {self._address} broke: {error}", "Look at its log on that machine"
        )

    def place(self, avatar: Path, call: Call) -> str:
        """The path over there of an avatar's file, which is sent if that machine does not have it.

        Raises:
            HeadGaSError: the file cannot be read, or not be kept over there.
        """
        try:
            status = avatar.stat()
            known = (avatar, status.st_mtime_ns, status.st_size)
            if known not in self._places:
                self._places[known] = _send(avatar, status.st_size, call)
        except OSError as error:
            raise HeadGaSError(f"{avatar}: the avatar cannot be read ({error.strerror or error})") from None
        return self._places[known]

    def stop(self) -> None:
        """Leaves it alone: it serves others."""
        self.alive = False

    kill = stop


def _send(avatar: Path, size: int, call: Call) -> str:
    """Has the other machine keep the file: the path that it gave it."""
    with avatar.open("rb") as file:
        told = {"sha256": hashlib.file_digest(file, "sha256").hexdigest(), "bytes": size}
        answer = call("upload", told)
        while not answer.get("path"):
            offset = int(answer["have"])
            file.seek(offset)
            answer = call("upload", told | {"offset": offset}, data=file.read(_PIECE))
            if not answer.get("path") and int(answer["have"]) <= offset:
                raise HeadGaSError(f"{avatar} changed while it was sent, or is sent by another, too", "Try again")
    return str(answer["path"])
