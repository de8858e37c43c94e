# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""Live Link Face over UDP: its packets, and which of them count.

One packet, big-endian, as Unreal Engine's AppleARKitLiveLinkSource.cpp sends it (version 6) and PyLiveLinkFace and LLV
read and send it; what looks like '$' before PyLiveLinkFace's identifier is the last byte of its length, 36:

    u8 6 · i32 length, device identifier (UTF-8) · i32 length, the sender's name (UTF-8)
    · i32 frame · f32 part of a frame · i32 frames per second, numerator · i32 denominator · u8 61 · 61 f32

A packet from a phone that sees no face ends before the 61.
"""

import ipaddress
import math
import socket
import struct
from collections import deque
from dataclasses import dataclass

import numpy as np

from .errors import HeadGaSError
from .rotations import inverse, multiplied
from .takes.livelink import head_turns

PORT = 11111  # what the app suggests
_VERSION = 6
_SIDES = ("Left", "Right")
_EYE = ("eyeBlink", "eyeLookDown", "eyeLookIn", "eyeLookOut", "eyeLookUp", "eyeSquint", "eyeWide")
_PAIRS = ("mouthSmile", "mouthFrown", "mouthDimple", "mouthStretch")
_LATER_PAIRS = ("mouthPress", "mouthLowerDown", "mouthUpperUp", "browDown")

# The order of Unreal's EARFaceBlendShape. Not that of the app's CSV files, where jaw and mouth go right before left.
CHANNELS: tuple[str, ...] = (
    *(name + side for side in _SIDES for name in _EYE),
    *("jawForward", "jawLeft", "jawRight", "jawOpen", "mouthClose", "mouthFunnel", "mouthPucker"),
    *("mouthLeft", "mouthRight"),
    *(name + side for name in _PAIRS for side in _SIDES),
    *("mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper"),
    *(name + side for name in _LATER_PAIRS for side in _SIDES),
    *("browInnerUp", "browOuterUpLeft", "browOuterUpRight", "cheekPuff"),
    *(name + side for name in ("cheekSquint", "noseSneer") for side in _SIDES),
    "tongueOut",
)  # [52]; after them yaw, pitch and roll of the head, the left eye and the right eye
_HEAD = slice(len(CHANNELS), len(CHANNELS) + 3)
_COUNT = len(CHANNELS) + 9

_SILENCE = 2.0  # seconds without a packet until another sender may take over
_FRESH = 1.0  # seconds that the lamp remembers
_SENDERS = 16  # names that are remembered: garbage must not fill the memory
_BIGGEST = 65536  # bytes of a datagram


@dataclass(frozen=True)
class Packet:
    """What one datagram says."""

    device: str
    name: str  # as the user called the phone in the app
    frame: int
    position: float  # frames, with the part of one
    rate: float  # frames per second
    values: np.ndarray | None  # [61] float32: 52 channels, then angles in radians; None where no face is seen


@dataclass(frozen=True)
class Moment:
    """A face at one time."""

    seconds: float  # since the first packet, by the sender's clock
    values: np.ndarray  # [61] float32


def parse_packet(data: bytes) -> Packet:
    """The packet in a datagram."""
    if not data or data[0] != _VERSION:
        found = f"begins with {data[0]}" if data else "is empty"
        raise HeadGaSError(f"A packet {found}, not with version {_VERSION}", "Set the app to Live Link (ARKit)")
    device, at = _text(data, 1)
    name, at = _text(data, at)
    try:
        frame, part, numerator, denominator = struct.unpack_from(">ifii", data, at)
    except struct.error:
        raise HeadGaSError(f"A packet of {len(data)} bytes ends before its time") from None
    if not math.isfinite(part):
        raise HeadGaSError("A packet has a time that is no number")
    rate = numerator / denominator if numerator > 0 and denominator > 0 else 60.0  # PyLiveLinkFace may write 0
    return Packet(device, name, frame, frame + min(max(part, 0.0), 1.0), rate, _values(data, at + 16))


def head_rotation(values: np.ndarray, sideways: bool = False) -> np.ndarray:
    """The head's turn in head space, a quaternion wxyz [4] float32, of a packet's values [61].

    `sideways`: the phone lies in landscape.
    """
    return head_turns(*values[_HEAD], landscape=sideways)


def relative_rotation(rotation: np.ndarray, zero: np.ndarray) -> np.ndarray:
    """The turn that leads from the pose `zero` to the pose `rotation`: quaternions wxyz [4]."""
    return multiplied(inverse(zero), rotation)


class Receiver:
    """A UDP socket that never waits."""

    def __init__(self, address: str, port: int) -> None:
        try:
            ip = ipaddress.ip_address(address.strip())
        except ValueError:
            raise HeadGaSError(
                f"'{address}' is no address to listen on",
                "127.0.0.1 hears this machine only; 0.0.0.0 hears phones on your network",
            ) from None
        self._socket = socket.socket(socket.AF_INET if ip.version == 4 else socket.AF_INET6, socket.SOCK_DGRAM)
        try:
            self._socket.setblocking(False)
            self._socket.bind((str(ip), port))
        except OSError as error:
            self._socket.close()
            raise HeadGaSError(
                f"Nothing can be received at {ip}, port {port}: {error.strerror or error}",
                "Close the program that listens there, or choose another port; the address must be this machine's",
            ) from None

    @property
    def port(self) -> int:
        """The port in use."""
        return self._socket.getsockname()[1]

    def waiting(self, limit: int = 512) -> list[bytes]:
        """The datagrams that have arrived, oldest first; the system's buffer keeps what is more than `limit`."""
        found: list[bytes] = []
        while len(found) < limit:
            try:
                found.append(self._socket.recv(_BIGGEST))
            except BlockingIOError:
                break
            except ConnectionResetError:  # Windows passes on what became of other programs' datagrams
                continue
        return found

    def close(self) -> None:
        """Gives the port back."""
        self._socket.close()


class Reception:
    """Chooses one sender's newest packets, and counts what happens to all others.

    Sender: the one named `wanted`; else the first that is heard, until it has been silent for two seconds.
    Times `now` are seconds of one clock that never goes back.
    """

    def __init__(self, wanted: str = "") -> None:
        self.wanted = wanted.strip()
        self.lost = 0  # frame numbers that never came
        self.late = 0  # came after a newer one, or twice
        self.malformed = 0
        self.problem = ""  # what was wrong with the last malformed packet
        self.sees_face = False
        self.senders: dict[str, float] = {}  # name -> when it was heard last
        self._sender: tuple[str, str] | None = None
        self._last: Packet | None = None
        self._heard = 0.0
        self._seconds = 0.0
        self._arrivals: deque[float] = deque(maxlen=1000)
        self._malformed_at = -math.inf

    def take(self, data: bytes, now: float) -> Moment | None:
        """The face in a datagram; None where it is not to be shown."""
        try:
            packet = parse_packet(data)
        except HeadGaSError as error:
            self.malformed += 1
            self.problem, self._malformed_at = str(error), now
            return None
        if packet.name in self.senders or len(self.senders) < _SENDERS:
            self.senders[packet.name] = now
        if not self._is_chosen(packet, now) or self._is_late(packet):
            return None
        self._follow(packet, now)
        self.sees_face = packet.values is not None
        return None if packet.values is None else Moment(self._seconds, packet.values)

    @property
    def sender(self) -> str:
        """The name of the sender in use; empty before the first packet."""
        return self._sender[1] if self._sender else ""

    def rate(self, now: float) -> int:
        """Packets of the last second."""
        return sum(1 for arrival in self._arrivals if now - arrival <= _FRESH)

    def lamp(self, now: float) -> str:
        """GREEN: packets arrive. RED: only such as nobody understands. YELLOW: none do."""
        if self.rate(now):
            return 'GREEN'
        return 'RED' if now - self._malformed_at <= _FRESH else 'YELLOW'

    def _is_chosen(self, packet: Packet, now: float) -> bool:
        if self.wanted and packet.name != self.wanted:
            return False
        sender = (packet.device, packet.name)
        if sender != self._sender:
            if self._sender is not None and now - self._heard <= _SILENCE:
                return False
            self._sender, self._last = sender, None
        return True

    def _is_late(self, packet: Packet) -> bool:
        """Older than what is shown, by less than a second: a sender that goes back further has started anew."""
        if self._last is None or not -packet.rate < packet.position - self._last.position <= 0:
            return False
        self.late += 1
        return True

    def _follow(self, packet: Packet, now: float) -> None:
        """Counts what is missing and moves the clock on, by the sender's own times where they make sense."""
        if self._arrivals:
            step = 0.0
            if self._last is not None:
                step = packet.position / packet.rate - self._last.position / self._last.rate
                missing = packet.frame - self._last.frame - 1
                self.lost += missing if 0 < missing < _SILENCE * packet.rate else 0
            self._seconds += step if 0 < step <= _SILENCE else max(now - self._heard, 1e-3)
        self._arrivals.append(now)
        self._last, self._heard = packet, now


def _text(data: bytes, at: int) -> tuple[str, int]:
    """The text whose length stands at `at`, and where the next field begins."""
    if len(data) < at + 4:
        raise HeadGaSError(f"A packet of {len(data)} bytes ends before its names")
    (length,) = struct.unpack_from(">i", data, at)
    end = at + 4 + length
    if length < 0 or end > len(data):
        raise HeadGaSError(f"A packet of {len(data)} bytes has a name of {length}")
    try:
        return data[at + 4 : end].decode("utf-8").rstrip("\0"), end
    except UnicodeDecodeError:
        raise HeadGaSError("A packet has a name that is not UTF-8") from None


def _values(data: bytes, at: int) -> np.ndarray | None:
    """The 61 numbers whose count stands at `at`; None where the packet ends there."""
    if len(data) == at:
        return None
    if data[at] != _COUNT or len(data) < at + 1 + 4 * _COUNT:
        raise HeadGaSError(f"A packet of {len(data)} bytes says it has {data[at]} values; {_COUNT} are expected")
    values = np.frombuffer(data, ">f4", _COUNT, at + 1).astype(np.float32)
    if not np.isfinite(values).all():
        raise HeadGaSError("A packet has values that are no numbers")
    return values
