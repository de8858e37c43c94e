# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""A running backend: the process, the connection and the pixels behind one object."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ..core.cameras import Camera
from ..core.errors import HeadGaSError
from ..core.inspection import Inspection
from .connection import ConnectionLost, ServiceConnection, ServiceError
from .pixels import Layout, Picture, PixelBuffer, split_frame
from .process import BackendProcess, LaunchSettings
from .protocol import ANSWER_DEADLINE, CONVERSION_DEADLINE, PROTOCOL, VERSION
from .waiting import Cancelled, Patience, in_thread, never

_Result = TypeVar("_Result")


class BackendBug(Exception):
    """A failure inside the backend that is nobody's input; carries the backend's own traceback."""


@dataclass(frozen=True)
class PosedAvatar:
    """One avatar of a frame."""

    path: Path
    expression: np.ndarray  # [B] float32
    transform: np.ndarray  # [4,4] float64, head space to the world, scale included


class Backend:
    """Talks to one child. Several threads may; each request waits for the one before."""

    def __init__(self, settings: LaunchSettings, cancelled: Callable[[], bool] = never) -> None:
        self.settings = settings
        self._pixels = PixelBuffer()
        self._lock = threading.Lock()
        self._process = BackendProcess(settings)
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
        """The child's process number."""
        return self._process.pid

    def compiling(self, cancelled: Callable[[], bool] = never) -> str:
        """What the first frame on this machine has to wait for, in the user's words; empty when there is nothing."""
        if self.facts.get("compiling"):
            self.facts["compiling"] = self.call("ping", {}, cancelled=cancelled).get("compiling")
        stage = self.facts.get("compiling")
        return f"compiling CPU kernels, once per machine: {stage['number']} of {stage['of']}" if stage else ""

    def settle(self, seconds: float) -> bool:
        """Whether it is free for a request: not busy with one that was cancelled. Waits at most `seconds`."""
        with self._lock:
            return self._connection.settle(seconds)

    def call(
        self,
        method: str,
        params: dict[str, Any],
        deadline: float = ANSWER_DEADLINE,
        cancelled: Callable[[], bool] = never,
    ) -> dict[str, Any]:
        """The result of one request; `deadline` in seconds. Raises HeadGaSError, BackendBug or Cancelled."""
        with self._lock:
            return self._call(method, params, self._patience(method, deadline, cancelled))

    def render(
        self,
        avatars: Sequence[PosedAvatar],
        camera: Camera,
        deadline: float,
        cancelled: Callable[[], bool] = never,
        inspection: Inspection | None = None,
        coverage: bool = False,
    ) -> Picture:
        """The avatars as `camera` sees them, or as `inspection` shows them; with `coverage`, which pixels are whose.

        deadline: seconds.
        """
        layout = Layout(camera.width, camera.height, len(avatars) if coverage else 0)
        with self._lock:
            name = self._pixels.reserve(layout.bytes)
            patience = self._patience("render", deadline, cancelled)
            try:
                params = _render_params(avatars, camera, name, inspection, coverage)
                legend = str(self._call("render", params, patience).get("legend", ""))
                if name is not None:
                    return self._pixels.frame(layout)._replace(legend=legend)
                data = self._guarded(lambda: self._connection.receive_binary(layout.bytes, patience))
                return split_frame(data, layout)._replace(legend=legend)
            except Cancelled:
                if name is None:  # pixels that nobody awaits would be taken for the next answer
                    self._process.kill()
                raise

    def convert(self, source: Path, **told: Any) -> tuple[Path, list[str]]:
        """Has another program's avatar written as one of ours beside itself: that file, and warnings for the user.

        told: what its files do not say, see `convert` in docs/formats.md.
        """
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

    def _call(self, method: str, params: dict[str, Any], patience: Patience) -> dict[str, Any]:
        return self._guarded(lambda: self._connection.call(method, params, patience))

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
            self._process.check_gone()
            self._process.kill()
            raise HeadGaSError(
                f"The connection to the backend broke: {error}{self._process.log_tail()}", "Try again: it starts anew"
            ) from None


def _render_params(
    avatars: Sequence[PosedAvatar], camera: Camera, pixels: str | None, inspection: Inspection | None, coverage: bool
) -> dict[str, Any]:
    return {
        "avatars": [
            {
                "path": str(avatar.path),
                "expression": avatar.expression.tolist(),
                "transform": avatar.transform.tolist(),
            }
            for avatar in avatars
        ],
        "camera": {
            "viewmat": camera.viewmat.tolist(),
            "K": camera.K.tolist(),
            "width": camera.width,
            "height": camera.height,
            "near": camera.near,
            "orthographic": camera.orthographic,
        },
        "pixels": pixels,
        "inspect": asdict(inspection) if inspection else None,
        "coverage": coverage,
    }
