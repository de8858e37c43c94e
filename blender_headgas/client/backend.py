# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""A running backend: the process or the other machine, the connection and the pixels behind one object."""

import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ..core.cameras import Camera
from ..core.errors import HeadGaSError
from ..core.inspection import Inspection
from .connection import ConnectionLost, ServiceConnection, ServiceError
from .pixels import Layout, Picture, PixelBuffer, decoded, split_frame
from .process import BackendDied, LaunchSettings
from .protocol import ANSWER_DEADLINE, CONVERSION_DEADLINE, PROTOCOL, VERSION
from .remote import RemoteSettings
from .waiting import POLL_SECONDS, Cancelled, Patience, in_thread, never

_Result = TypeVar("_Result")
Around = tuple[tuple[Sequence["PosedAvatar"], Camera], tuple[Sequence["PosedAvatar"], Camera]]  # earlier, later


class BackendBug(Exception):
    """A failure inside the backend that is nobody's input; carries the backend's own traceback."""


@dataclass(frozen=True)
class PosedAvatar:
    """One avatar of a frame."""

    path: Path
    expression: np.ndarray  # [B] float32
    transform: np.ndarray  # [4,4] float64, head space to the world, scale included
    holdout: bool = False  # it hides what is behind it, and is nothing itself


class Backend:
    """Talks to one backend. Several threads may; each request waits for the one before."""

    def __init__(self, settings: LaunchSettings | RemoteSettings, cancelled: Callable[[], bool] = never) -> None:
        self.settings = settings
        self.memory: dict[str, int | None] = {}  # in bytes, as `refresh` found it
        self.refreshed = -math.inf  # when that was, of time.monotonic()
        self._pixels = PixelBuffer()
        self._ahead: dict[str, Any] | None = None  # the parameters of the frame that was asked for ahead
        self._lock = threading.Lock()
        self._process = settings.open()
        try:
            self._connection = self._connect(cancelled)
        except BaseException:
            self._process.stop()
            raise
        try:
            self.facts = self.call("hello", {"version": VERSION, "protocol": PROTOCOL}, cancelled=cancelled)
        except BaseException:
            self.close()
            raise

    @property
    def alive(self) -> bool:
        """Whether the next request has a chance."""
        return self._process.alive

    @property
    def pid(self) -> int:
        """The child's process number; 0 for a backend on another machine."""
        return self._process.pid

    def death(self) -> BackendDied | None:
        """What to say when it has died by itself."""
        return self._process.death()

    def refresh(self) -> None:
        """Asks for the memory in use, unless it has something else to do."""
        self.refreshed = time.monotonic()
        if self._ahead is None and self._lock.acquire(blocking=False):
            try:
                patience = self._patience("ping", ANSWER_DEADLINE, never)
                self.memory = self._call("ping", {}, patience).get("memory") or {}
            finally:
                self._lock.release()

    def compiling(self, cancelled: Callable[[], bool] = never) -> str:
        """What the first frame on this machine has to wait for, in the user's words; empty when there is nothing."""
        if self.facts.get("compiling"):
            self.facts["compiling"] = self.call("ping", {}, cancelled=cancelled).get("compiling")
        stage = self.facts.get("compiling")
        return f"compiling CPU kernels, once per machine: {stage['number']} of {stage['of']}" if stage else ""

    def settle(self, seconds: float, cancelled: Callable[[], bool] = never) -> bool:
        """Whether it is free for a request: not busy with one that was cancelled. Waits at most `seconds`."""
        with self._alone(cancelled):
            return self._connection.settle(seconds, cancelled)

    def call(
        self,
        method: str,
        params: dict[str, Any],
        deadline: float = ANSWER_DEADLINE,
        cancelled: Callable[[], bool] = never,
    ) -> dict[str, Any]:
        """The result of one request; `deadline` in seconds. Raises HeadGaSError, BackendBug or Cancelled."""
        with self._alone(cancelled):
            return self._call(method, params, self._patience(method, deadline, cancelled))

    def render(
        self,
        avatars: Sequence[PosedAvatar],
        camera: Camera,
        deadline: float,
        cancelled: Callable[[], bool] = never,
        inspection: Inspection | None = None,
        coverage: bool = False,
        depth_limit: np.ndarray | None = None,
        passes: Sequence[str] = (),
        around: Around | None = None,
    ) -> Picture:
        """The avatars as `camera` sees them, or as `inspection` shows them; with `coverage`, which pixels are whose.

        Args:
            deadline: seconds.
            depth_limit: [H,W] metres, row 0 on top; Gaussians with centres behind it are left out of a pixel.
            passes: of PASSES; "motion" needs to know what is `around` the frame.
        """
        layout = Layout(camera.width, camera.height, len(avatars) if coverage else 0, tuple(passes))
        with self._alone(cancelled):
            name = self._pixels.reserve(layout.bytes) if self._process.shares_memory else None
            patience = self._patience("render", deadline, cancelled)
            try:
                params = self._frame(avatars, camera, name, coverage, passes, cancelled) | {
                    "inspect": asdict(inspection) if inspection else None,
                    "depth_limit": depth_limit is not None,
                    "around": around
                    and {
                        moment: {"avatars": self._avatars(others, cancelled), "camera": _camera(seen)}
                        for moment, (others, seen) in zip(("before", "after"), around, strict=True)
                    },
                }
                result = self._rendered(params, depth_limit, patience)
                told = {"legend": str(result.get("legend", "")), "seconds": result.get("milliseconds", 0.0) / 1e3}
                told["farthest"] = result.get("farthest", math.inf)
                if name is not None:
                    return self._pixels.frame(layout)._replace(**told)
                data = self._guarded(lambda: self._receive(self._process.encoding, layout, patience))
                return split_frame(data, layout)._replace(**told)
            except Cancelled:
                if name is None:  # pixels that nobody awaits would be taken for the next answer
                    self._process.kill()
                raise

    def splats(
        self, avatar: PosedAvatar, kind: str, axes: str, cancelled: Callable[[], bool] = never
    ) -> tuple[dict[str, Any], bytes]:
        """The splats of an avatar where it stands: what is known of them, and the bytes of a file of that kind ("ply",
        "spz") or of `core.splats.Splats` ("native"). See `splats` in docs/formats.md."""
        with self._alone(cancelled):
            patience = self._patience("splats", CONVERSION_DEADLINE, cancelled)
            told = {"avatar": self._avatars([avatar], cancelled)[0], "kind": kind, "axes": axes}
            facts = self._call("splats", told, patience)
            try:
                return facts, self._guarded(lambda: self._connection.receive_binary(int(facts["bytes"]), patience))
            except Cancelled:
                self._process.kill()  # bytes that nobody awaits would be taken for the next answer
                raise

    def render_ahead(
        self, avatars: Sequence[PosedAvatar], camera: Camera, coverage: bool = False, passes: Sequence[str] = ()
    ) -> bool:
        """Has a frame made without waiting: the same `render`, asked for next, takes it. Returns whether it begins."""
        if not self._process.shares_memory or not self._lock.acquire(blocking=False):
            return False
        try:
            layout = Layout(camera.width, camera.height, len(avatars) if coverage else 0, tuple(passes))
            name = self._pixels.reserve(layout.bytes)
            if self._ahead is None and name is not None:
                params = self._frame(avatars, camera, name, coverage, passes, never)
                self._connection.send_ahead("render", params)
                self._ahead = params
                return True
        except ConnectionLost:  # the next request finds out why
            self._ahead = None
        finally:
            self._lock.release()
        return False

    def convert(self, source: Path, **told: Any) -> tuple[Path, list[str]]:
        """Has another program's avatar written as one of ours beside itself: that file, and warnings for the user.

        told: what its files do not say, see `convert` in docs/formats.md.
        """
        if not self._process.shares_memory:
            raise HeadGaSError(
                f"{source} is of another program: only a backend on this machine can convert it",
                "Switch the remote backend off in the preferences, or run 'headgas convert' on that machine",
            )
        result = self.call("convert", {"source": str(source)} | told, CONVERSION_DEADLINE)
        return Path(result["files"][0]), [str(warning) for warning in result.get("warnings", [])]

    def close(self) -> None:
        """Ends the child and gives back all memory."""
        self._connection.close()
        self._process.stop()
        self._pixels.close()

    def _connect(self, cancelled: Callable[[], bool]) -> ServiceConnection:
        process = self._process
        announcement = process.wait_for_announcement(cancelled)
        patience = Patience("Connecting to the backend", ANSWER_DEADLINE, cancelled, process.check_alive)
        connect = partial(ServiceConnection, announcement.host, announcement.port, process.key)
        return self._guarded(lambda: in_thread(connect, patience))

    def _patience(self, method: str, deadline: float, cancelled: Callable[[], bool]) -> Patience:
        return Patience(f"The backend's answer to '{method}'", deadline, cancelled, self._process.check_alive)

    @contextmanager
    def _alone(self, cancelled: Callable[[], bool]) -> Iterator[None]:
        """Waits until no other thread asks for something."""
        while not self._lock.acquire(timeout=POLL_SECONDS):
            if cancelled():
                raise Cancelled("the backend")
        try:
            yield
        finally:
            self._lock.release()

    def _frame(
        self,
        avatars: Sequence[PosedAvatar],
        camera: Camera,
        pixels: str | None,
        coverage: bool,
        passes: Sequence[str],
        cancelled: Callable[[], bool],
    ) -> dict[str, Any]:
        """The parameters of a plain frame; `pixels` is the memory that it goes to. The lock is held."""
        return {
            "avatars": self._avatars(avatars, cancelled),
            "camera": _camera(camera),
            "pixels": pixels,
            "encoding": self._process.encoding,
            "inspect": None,
            "coverage": coverage,
            "depth_limit": False,
            "passes": list(passes),
            "around": None,
        }

    def _rendered(
        self, params: dict[str, Any], depth_limit: np.ndarray | None, patience: Patience
    ) -> dict[str, Any]:
        """The result of a frame, which may have been made ahead."""
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            try:
                result = self._guarded(lambda: self._connection.result_ahead("render", patience))
            except (HeadGaSError, BackendBug):
                if ahead == params or not self._process.alive:
                    raise
            else:
                if ahead == params:
                    return result
        brought = None if depth_limit is None else depth_limit.astype(np.float32).tobytes()
        if brought is not None and params["pixels"] is not None:
            self._pixels.write(brought)  # what was made ahead is finished: nobody draws there now
            brought = None
        return self._call("render", params, patience, brought)

    def _call(
        self, method: str, params: dict[str, Any], patience: Patience, data: bytes | None = None
    ) -> dict[str, Any]:
        self._ahead = None
        return self._guarded(lambda: self._connection.call(method, params, patience, data))

    def _avatars(self, avatars: Sequence[PosedAvatar], cancelled: Callable[[], bool]) -> list[dict[str, Any]]:
        return [
            {
                "path": self._place(avatar.path, cancelled),
                "expression": avatar.expression.tolist(),
                "transform": avatar.transform.tolist(),
                "holdout": avatar.holdout,
            }
            for avatar in avatars
        ]

    def _place(self, path: Path, cancelled: Callable[[], bool]) -> str:
        """The path of an avatar's file for the backend, which may be on another machine. The lock is held."""

        def call(method: str, params: dict[str, Any], data: bytes | None = None) -> dict[str, Any]:
            if cancelled():  # between two pieces: half a piece would break the connection
                raise Cancelled(method)
            return self._call(method, params, self._patience(method, ANSWER_DEADLINE, never), data)

        return self._process.place(path, call)

    def _receive(self, encoding: str, layout: Layout, patience: Patience) -> bytes:
        """The pixels that follow an answer."""
        data = self._connection.receive_binary(2 * layout.bytes + 1024, patience)  # noise grows a little when packed
        try:
            return decoded(data, encoding, layout)
        except ValueError as error:
            raise ConnectionLost(str(error)) from None

    def _guarded(self, exchange: Callable[[], _Result]) -> _Result:
        """Runs one exchange. After a failure in mid-air nobody knows what arrives next: the child is ended."""
        try:
            return exchange()
        except ServiceError as error:
            if error.bug:
                raise BackendBug(f"{error.message}\n{error.traceback}") from None
            raise HeadGaSError(error.message, error.hint) from None
        except TimeoutError as error:
            self._process.kill()
            raise HeadGaSError(
                f"{error}{self._process.log_tail()}", "Try again; the time limit is in the preferences of HeadGaS"
            ) from None
        except ConnectionLost as error:
            try:
                raise self._process.lost(error) from None  # named, it would hold itself by its traceback's frame
            finally:
                self._process.kill()


def _camera(camera: Camera) -> dict[str, Any]:
    return {
        "viewmat": camera.viewmat.tolist(),
        "K": camera.K.tolist(),
        "width": camera.width,
        "height": camera.height,
        "near": camera.near,
        "far": camera.far if math.isfinite(camera.far) else None,
        "orthographic": camera.orthographic,
    }
